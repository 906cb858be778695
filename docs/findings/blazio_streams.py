"""blazio: stream transports: data while reading is paused, protocols that cannot be changed, contexts, addresses.

    python blazio_streams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import contextvars
import importlib
import multiprocessing
import os
import select
import socket
import struct
import sys
import threading
import time
import weakref


class Log(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self):
        self.events, self.data, self.error = [], b"", None

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.data += data
        self.events.append("data")

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, error):
        self.error = error
        self.events.append("lost")


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        ours.setblocking(False)
        return ours, listener.accept()[0]


def connect(loop, protocol):
    """The protocol's transport, and the blocking socket at the other end."""
    ours, peer = tcp_pair()
    transport, _ = loop.run_until_complete(loop.create_connection(lambda: protocol, sock=ours))
    return transport, peer


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


def check_data_while_paused(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    run_for(loop, 0.01)
    transport.pause_reading()
    peer.send(b"x")
    run_for(loop, 0.1)
    if protocol.data:
        return "data_received() is called while reading is paused"


def check_end_while_paused(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    run_for(loop, 0.01)
    transport.pause_reading()
    peer.close()
    run_for(loop, 0.1)
    if "eof" in protocol.events:
        return "eof_received() is called while reading is paused"


def check_data_in_the_turn_of_the_pause(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    run_for(loop, 0.01)
    peer.send(b"x")
    time.sleep(0.01)
    loop.call_soon(transport.pause_reading)
    run_for(loop, 0.1)
    if protocol.data:
        return "data_received() is called after pause_reading() in the same turn"


def check_data_after_close(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    run_for(loop, 0.01)
    peer.send(b"x")
    time.sleep(0.01)
    transport.close()
    run_for(loop, 0.1)
    if protocol.data:
        return "data_received() is called after close()"


def check_set_protocol(new_loop):
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self):
            self.space, self.count = bytearray(100), 0

        def get_buffer(self, size_hint):
            return self.space

        def buffer_updated(self, count):
            self.count += count

    loop, plain, buffered = new_loop(), Log(), Buffered()
    transport, peer = connect(loop, plain)
    transport.set_protocol(buffered)
    peer.send(b"hello")
    run_for(loop, 0.1)
    if (plain.data, bytes(buffered.space[: buffered.count])) != (b"", b"hello"):
        return f"set_protocol() to a BufferedProtocol: {plain.data!r} to the old, {buffered.count} bytes to the new one"


def check_set_protocol_to_plain(new_loop):
    class Buffered(asyncio.BufferedProtocol):
        space = bytearray(100)
        count = 0

        def get_buffer(self, size_hint):
            return self.space

        def buffer_updated(self, count):
            self.count += count

    loop, plain, buffered = new_loop(), Log(), Buffered()
    transport, peer = connect(loop, buffered)
    transport.set_protocol(plain)
    peer.send(b"hello")
    run_for(loop, 0.1)
    if plain.data != b"hello":
        return (
            f"set_protocol() from a BufferedProtocol: {plain.data!r} to the new, {buffered.count} bytes to the old one"
        )


def check_context(new_loop):
    variable = contextvars.ContextVar("variable", default="nothing")

    class Notes(Log):
        def data_received(self, data):
            self.data = variable.get()

    async def main():
        variable.set("the opener's")
        ours, peer = tcp_pair()
        _, protocol = await loop.create_connection(Notes, sock=ours)
        peer.send(b"x")
        await asyncio.sleep(0.1)
        return protocol.data

    loop = new_loop()
    seen = loop.run_until_complete(main())
    if seen != "the opener's":
        return f"a context variable of who opened the connection is {seen!r} in data_received()"


def check_context_of_a_datagram(new_loop):
    variable = contextvars.ContextVar("variable", default="nothing")

    class Notes(asyncio.DatagramProtocol):
        data = None

        def datagram_received(self, data, address):
            self.data = variable.get()

    async def main():
        variable.set("the maker's")
        transport, protocol = await loop.create_datagram_endpoint(Notes, local_addr=("127.0.0.1", 0))
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.sendto(b"x", transport.get_extra_info("socket").getsockname())
        await asyncio.sleep(0.1)
        return protocol.data

    loop = new_loop()
    seen = loop.run_until_complete(main())
    if seen != "the maker's":
        return f"a context variable of who made the endpoint is {seen!r} in datagram_received()"


def check_context_of_clients(new_loop):
    variable, seen = contextvars.ContextVar("variable", default="nothing"), []

    class Notes(Log):
        def data_received(self, data):
            seen.append(variable.get())
            variable.set("another client's")

    async def main():
        variable.set("the maker's")
        server = await loop.create_server(Notes, "127.0.0.1", 0)
        for _ in range(2):
            client = socket.create_connection(server.sockets[0].getsockname())
            client.send(b"x")
            await asyncio.sleep(0.05)

    loop = new_loop()
    loop.run_until_complete(main())
    if seen != ["the maker's"] * 2:
        return f"a context variable of who made the server, as two clients' protocols see it: {seen}"


def check_weak_reference(new_loop):
    loop = new_loop()
    transport, peer = connect(loop, Log())
    if raises(TypeError, lambda: weakref.ref(transport)):
        return "a transport cannot be referenced weakly"


def check_socket_of_a_closed_transport(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    sock = transport.get_extra_info("socket")
    transport.abort()
    run_for(loop, 0.05)
    if "lost" in protocol.events and sock.fileno() != -1:
        return f"the socket of a transport that is closed still has the fd number {sock.fileno()}"


def check_reset(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    run_for(loop, 0.01)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    run_for(loop, 0.1)
    if not isinstance(protocol.error, ConnectionResetError):
        return f"after a reset by the peer connection_lost() is given {protocol.error!r}"


def check_local_address(new_loop):
    async def main():
        listener = socket.create_server(("127.0.0.1", 0))
        transport, _ = await loop.create_connection(Log, *listener.getsockname(), local_addr=("127.0.0.2", 0))
        return transport.get_extra_info("sockname")[0]

    loop = new_loop()
    name = loop.run_until_complete(main())
    if name != "127.0.0.2":
        return f"local_addr=('127.0.0.2', 0) is ignored: the connection comes from {name}"


def check_two_socket_closes(new_loop):
    class Aborts(Log):
        def connection_made(self, transport):
            transport.abort()

    loop = new_loop()
    ours, peer = tcp_pair()

    async def main():
        await loop.create_connection(Aborts, sock=ours)

    with contextlib.suppress(Exception):
        loop.run_until_complete(main())
    run_for(loop, 0.05)
    if ours.fileno() != -1:
        return "abort() in connection_made() closes the fd, but not the socket object, which closes the number again"


class Stays(Log):
    """Keeps its half of the connection open after the end of file."""

    def eof_received(self):
        super().eof_received()
        return True


def full_pair():
    """A UNIX pair of which the first socket can send nothing more, and how much is in it."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            count += ours.send(bytes(65536))
    return ours, peer, count


def check_waiting_bytes_at_the_peers_end(new_loop):
    loop, protocol = new_loop(), Stays()
    ours, peer, count = full_pair()
    transport, _ = loop.run_until_complete(loop.create_connection(lambda: protocol, sock=ours))
    transport.write(b"last")
    peer.shutdown(socket.SHUT_WR)
    run_for(loop, 0.05)
    transport.close()
    got = bytearray()
    peer.settimeout(1)
    reader = threading.Thread(target=lambda: got.extend(b"".join(iter(lambda: peer.recv(65536), b""))))
    reader.start()
    run_for(loop, 0.3)
    if "lost" not in protocol.events:
        transport.abort()
        run_for(loop, 0.05)
    reader.join()
    if not got.endswith(b"last"):
        return f"bytes that wait while the peer ends its half are dropped: connection_lost({protocol.error!r})"
    if protocol.error is not None:
        return f"bytes wait while the peer ends its half: connection_lost({protocol.error!r})"


def check_writer_of_a_full_socket(new_loop):
    loop, calls = new_loop(), []
    ours, peer, count = full_pair()
    peer.shutdown(socket.SHUT_WR)
    loop.add_reader(ours.fileno(), lambda: loop.remove_reader(ours.fileno()))
    loop.add_writer(ours.fileno(), calls.append, 1)
    run_for(loop, 0.05)
    if calls and not select.select([], [ours], [], 0)[1]:
        return f"the writer of a socket that is full is called {len(calls)} times when the peer ends its half"


def check_stop_in_a_reader(new_loop):
    loop, ran = new_loop(), []
    ours, peer = tcp_pair()

    def ready():
        loop.stop()
        loop.call_soon(ran.append, 1)
        loop.remove_writer(ours.fileno())

    loop.add_writer(ours.fileno(), ready)
    loop.run_forever()
    if ran:
        return "what a watcher asks for after stop() runs before the run returns"


def check_error_of_a_close_that_failed(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    transport.write(bytes(8 << 20))
    transport.close()
    run_for(loop, 0.05)
    peer.close()
    run_for(loop, 0.05)
    if "lost" not in protocol.events:
        return "connection_lost() is not called when the peer of a closed transport goes"
    if not isinstance(protocol.error, OSError):
        return f"the peer went before it took what was written before close(): connection_lost({protocol.error!r})"


def run(check):
    module, _, factory = sys.argv[1].partition(":")
    wrong = check(getattr(importlib.import_module(module), factory))
    print(f"{check.__name__[6:]}: {wrong or 'right'}", flush=True)
    os._exit(1 if wrong else 0)


def main():
    checks = {name[6:]: check for name, check in globals().items() if name.startswith("check_")}
    if len(sys.argv) < 2 or ":" not in sys.argv[1] or set(sys.argv[2:]) - set(checks):
        print(f"{__doc__}\nThe checks are {', '.join(checks)}.", file=sys.stderr)
        return 2
    statuses = []
    for name in sys.argv[2:] or checks:
        process = multiprocessing.get_context("fork").Process(target=run, args=(checks[name],))
        process.start()
        process.join(10)
        if process.is_alive() or process.exitcode < 0:
            print(f"{name}: {'it hangs' if process.is_alive() else 'it is killed by a signal'}", flush=True)
            process.kill()
            process.join()
        statuses.append(process.exitcode)
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
