"""Transports whose bytes wait to be sent: their end, and who writes while a file is sent."""

import asyncio
import io
import socket

import pytest

MUCH = bytes(1 << 22)


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    for sock in (here, there):
        sock.setblocking(False)
    yield here, there
    for sock in (here, there):
        sock.close()


class Closes(asyncio.BufferedProtocol):
    """Closes its transport when it is asked for a buffer."""

    def __init__(self):
        self.updates = 0

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        self.transport.close()
        return bytearray(10)

    def buffer_updated(self, count):
        self.updates += 1


def test_close_in_get_buffer(loop, pair):
    """Nothing is handed over after it, though the transport has not sent all yet."""
    here, there = pair
    protocol = Closes()

    async def main():
        transport, _ = await loop.create_connection(lambda: protocol, sock=here)
        transport.write(MUCH)
        there.send(b"x")
        await asyncio.sleep(0.01)
        assert transport.is_closing() and transport.get_write_buffer_size() > 0
        transport.abort()

    loop.run_until_complete(main())
    assert protocol.updates == 0


def test_close_while_a_file_waits_its_turn(loop, pair, errors):
    """A sendfile that waits for what was written before it ends once, when the closed transport has sent that."""
    here, there = pair

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        transport.write(MUCH)
        sending = asyncio.ensure_future(loop.sendfile(transport, io.BytesIO(b"a file")))
        await asyncio.sleep(0.005)
        transport.close()
        got = 0
        while data := await loop.sock_recv(there, 1 << 16):
            got += len(data)
        await asyncio.wait({sending}, timeout=5)
        return got, sending.exception()

    got, error = loop.run_until_complete(main())
    assert (got, errors) == (len(MUCH), []) and isinstance(error, ConnectionError)


@pytest.mark.parametrize("call", ["write", "writelines"])
def test_nothing_gets_into_a_file(loop, pair, call):
    """RuntimeError for who writes, in one piece or several, while the fallback of sendfile waits for its peer."""
    here, there = pair

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        sending = asyncio.ensure_future(loop.sendfile(transport, io.BytesIO(MUCH)))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="sendfile is in progress"):
            getattr(transport, call)({"write": b"!", "writelines": [b"!", b"?"]}[call])
        transport.abort()
        with pytest.raises(ConnectionError):
            await sending

    loop.run_until_complete(main())
