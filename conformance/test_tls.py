# real clock
"""Cases of TLS: handshakes and data (TLS-1, TLS-2). See also test_tls_ends.py and test_tls_start.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, drain
from loopcheck.tls import NAME, VERSIONS, Tls, client_peer, contexts, gets, join, part, server_peer

PATTERN = bytes(range(256)) * 4096  # 1 MiB
PIECES = [b"%04d" % i for i in range(500)]


@family("TLS-1", version=VERSIONS.keys())
def test_handshake(kit: Kit, version: str) -> None:
    """A handshake ends in connection_made on both sides, and the transports know its results"""
    tls = contexts(version)
    facts: list[object] = []

    def made(log: Log, transport: asyncio.Transport) -> None:
        facts.append(transport.get_extra_info("ssl_object").version())

    async def main() -> None:
        inside, log = kit.protocol(made=made), kit.protocol(made=made)
        await join(kit, tls, inside, log)
        info = log.transport.get_extra_info
        kit.check(info("cipher"), "get_extra_info('cipher') is empty at the client")
        kit.check(info("sslcontext") is tls.client, "get_extra_info('sslcontext') is not the context")
        names = dict(info("peercert")["subjectAltName"])
        kit.equal(names, {"DNS": NAME}, "names in get_extra_info('peercert')")
        kit.equal(info("peername"), inside.transport.get_extra_info("sockname"), "peername")
        await part(log, inside)

    kit.run(main())
    kit.equal(facts, [VERSIONS[version].name.replace("_", ".")] * 2, "versions seen in connection_made")


@case("TLS-1")
def test_server_hostname_is_the_host(kit: Kit) -> None:
    """Without server_hostname the host that was asked for is sent to the server, and verified."""
    tls = contexts()
    asked: list[object] = []
    tls.server.sni_callback = lambda _, name, __: asked.append(name)

    async def main() -> None:
        inside, log = kit.protocol(), kit.protocol()
        server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
        port = server.sockets[0].getsockname()[1]
        await kit.loop.create_connection(lambda: log, NAME, port, ssl=tls.client, family=socket.AF_INET)
        await inside.until_event("made")
        server.close()
        await part(log, inside)

    kit.run(main())
    kit.equal(asked, [NAME], "names that the server was asked for")


@case("TLS-1")
def test_protocols_of_the_application_layer(kit: Kit) -> None:
    """The protocol that ALPN chose is known to both sides when the connection is made."""
    tls = contexts()
    tls.server.set_alpn_protocols(["h2", "http/1.1"])
    tls.client.set_alpn_protocols(["http/1.1"])
    chosen: list[object] = []

    def made(log: Log, transport: asyncio.Transport) -> None:
        chosen.append(transport.get_extra_info("ssl_object").selected_alpn_protocol())

    async def main() -> None:
        inside, log = kit.protocol(made=made), kit.protocol(made=made)
        await join(kit, tls, inside, log)
        await part(log, inside)

    kit.run(main())
    kit.equal(chosen, ["http/1.1"] * 2, "protocols chosen")


@family("TLS-1", version=VERSIONS.keys())
def test_data_behind_the_handshake(kit: Kit, version: str) -> None:
    """Data that the peer sends right behind its handshake comes after connection_made (uvloop@2081db8)"""
    tls = contexts(version)
    address = server_peer(kit, tls, lambda peer: peer.sendall(b"at once") or peer.recv(1))
    log = kit.protocol()

    async def main() -> bytes:
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)
        got = await gets(log, 7)
        await part(log)
        return got

    kit.equal(kit.run(main()), b"at once", "data")
    kit.equal(log.events, ["made", "data", "lost"], "events")


@case("TLS-1")
def test_over_a_unix_socket(kit: Kit) -> None:
    """create_unix_server and create_unix_connection speak TLS too."""
    tls = contexts()

    async def main(path: str) -> bytes:
        inside, log = kit.protocol(), kit.protocol()
        server = await kit.loop.create_unix_server(lambda: inside, path, ssl=tls.server)
        await kit.loop.create_unix_connection(lambda: log, path, ssl=tls.client, server_hostname=NAME)
        log.transport.write(b"hello")
        got = await gets(inside, 5)
        server.close()
        await part(log, inside)
        return got

    with tempfile.TemporaryDirectory() as directory:
        kit.equal(kit.run(main(os.path.join(directory, "s"))), b"hello", "data")


WRONG: dict[str, tuple[str, dict[str, object]]] = {
    "no_hostname": ("sock", {"ssl": contexts().client}),
    "hostname_without_tls": ("address", {"server_hostname": NAME}),
    "timeout_without_tls": ("address", {"ssl_handshake_timeout": 1}),
    "no_context": ("server", {"ssl": True}),
}


@family("TLS-1", wrong=WRONG)
def test_wrong_options(kit: Kit, wrong: tuple[str, dict[str, Any]]) -> None:
    """Options of TLS that make no sense are refused with ValueError or TypeError, and nothing is left open"""
    what, options = wrong
    address = kit.listener().getsockname()
    given = kit.client(address)

    async def main() -> None:
        if what == "sock":
            await kit.loop.create_connection(asyncio.Protocol, sock=given, **options)
        elif what == "address":
            await kit.loop.create_connection(asyncio.Protocol, *address, **options)
        else:
            await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, **options)

    try:
        kit.run(main())
    except (ValueError, TypeError):
        return
    kit.fail(f"{options} was accepted for {what}")


@family("TLS-2", version=VERSIONS.keys())
def test_megabyte_both_ways(kit: Kit, version: str) -> None:
    """A megabyte in each direction at once arrives complete and in order"""
    tls = contexts(version)

    async def main() -> None:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        for one in (log, inside):
            one.transport.write(PATTERN[::-1])
            one.transport.writelines([PATTERN[i : i + 9999] for i in range(0, len(PATTERN), 9999)])
        for one in (log, inside):
            got = await gets(one, 2 * len(PATTERN))
            kit.check(got == PATTERN[::-1] + PATTERN, f"{len(got)} bytes arrived, or other ones")
        await part(log, inside)

    kit.run(main())


def serve_once(kit: Kit, tls: Tls, other: asyncio.AbstractEventLoop, address: asyncio.Future[Any]) -> None:
    """Runs another loop that tells where it listens, and returns its megabyte to the first client."""

    async def main() -> None:
        served = asyncio.Event()

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(len(PATTERN)))
            await writer.drain()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            served.set()

        try:
            server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=tls.server, limit=len(PATTERN))
        except NotImplementedError as error:
            kit.loop.call_soon_threadsafe(address.set_exception, error)
            return
        kit.loop.call_soon_threadsafe(address.set_result, server.sockets[0].getsockname())
        await served.wait()
        server.close()

    other.run_until_complete(main())


@family("TLS-2", version=VERSIONS.keys())
def test_loop_against_loop(kit: Kit, version: str) -> None:
    """Two loops in two threads, a server and a client, carry a megabyte there and back"""
    tls = contexts(version)
    address = kit.loop.create_future()
    kit.thread(serve_once, kit, tls, kit.new_loop(), address)

    async def main() -> bytes:
        host, port = await address
        reader, writer = await asyncio.open_connection(host, port, ssl=tls.client, server_hostname=NAME)
        writer.write(PATTERN)
        got = await reader.read(-1)
        writer.close()
        return got

    kit.check(kit.run(main()) == PATTERN, "other bytes came back")
    kit.close_threads()


@case("TLS-2")
def test_small_writes(kit: Kit) -> None:
    """Five hundred small writes, some empty, of bytes, bytearray and memoryview, arrive in order."""
    tls = contexts()

    async def main() -> bytes:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        for i, piece in enumerate(PIECES):
            log.transport.write((bytes, bytearray, memoryview)[i % 3](piece))
            log.transport.write(b"")
        log.transport.writelines([b"", b"end"])
        got = await gets(inside, 4 * len(PIECES) + 3)
        await part(log, inside)
        return got

    kit.equal(kit.run(main()), b"".join(PIECES) + b"end", "bytes")


@case("TLS-2")
def test_write_inside_data_received(kit: Kit) -> None:
    """Writes made in data_received, while many others wait, keep their order (picows#40, cpython gh-106028)."""
    tls = contexts()

    async def main() -> bytes:
        inside = kit.protocol(data=lambda log, data: log.transport.writelines([data[:1], data[1:]]))
        log = kit.protocol()
        await join(kit, tls, inside, log)
        for i in range(0, len(PATTERN), 50_000):
            log.transport.write(PATTERN[i : i + 50_000])
        got = await gets(log, len(PATTERN))
        await part(log, inside)
        return got

    kit.check(kit.run(main()) == PATTERN, "the bytes that came back are not those that were sent")


class Buffered(asyncio.BufferedProtocol):
    """Offers the same small buffer again and again, wipes it when it was read; may make it larger, or pause a turn."""

    def __init__(self, kit: Kit, kind: type, grows: bool = False, pauses: bool = False) -> None:
        self.grows, self.pauses = grows, pauses
        self.kit, self.kind, self.space, self.received = kit, kind, bytearray(700), bytearray()
        self.full, self.lost = kit.loop.create_future(), kit.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        return self.space if self.kind is bytearray else memoryview(self.space)

    def buffer_updated(self, nbytes: int) -> None:
        self.kit.recorder.note()
        self.received += self.space[:nbytes]
        self.space[:] = bytes(len(self.space))
        if self.grows:
            self.space.append(0)
        if self.pauses:
            self.transport.pause_reading()
            self.kit.loop.call_soon(self.transport.resume_reading)
        if len(self.received) >= 50_000 and not self.full.done():
            self.full.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@family("TLS-2", kind={"bytearray": bytearray, "memoryview": memoryview})
def test_buffered_protocol(kit: Kit, kind: type) -> None:
    """A BufferedProtocol gets the plain text into the very buffer that it offers (cpython gh-156275)"""
    tls = contexts()
    address = server_peer(kit, tls, lambda peer: peer.sendall(PATTERN[:50_000]) or peer.recv(1))
    protocol = Buffered(kit, kind)

    async def main() -> None:
        connect = kit.loop.create_connection
        transport, _ = await connect(lambda: protocol, *address, ssl=tls.client, server_hostname=NAME)
        await protocol.full
        transport.abort()
        await protocol.lost

    kit.run(main())
    kit.check(bytes(protocol.received) == PATTERN[:50_000], "other bytes are in the buffer")


@case("TLS-2")
def test_buffered_protocol_that_grows(kit: Kit) -> None:
    """A BufferedProtocol may make its bytearray larger when it has read it: nobody holds it any more."""
    tls = contexts()
    address = server_peer(kit, tls, lambda peer: peer.sendall(PATTERN[:50_000]) or peer.recv(1))
    protocol = Buffered(kit, bytearray, grows=True)

    async def main() -> None:
        connect = kit.loop.create_connection
        transport, _ = await connect(lambda: protocol, *address, ssl=tls.client, server_hostname=NAME)
        await asyncio.wait([protocol.full, protocol.lost], return_when=asyncio.FIRST_COMPLETED)
        transport.abort()
        await protocol.lost

    kit.run(main())
    kit.check(bytes(protocol.received) == PATTERN[:50_000], f"{len(protocol.received)} bytes of 50000, or other ones")


@case("TLS-2")
def test_buffer_between_reads(kit: Kit) -> None:
    """Nobody holds a BufferedProtocol's bytearray either where what came brought it no byte, as session tickets."""
    tls = contexts("1_3")
    address = server_peer(kit, tls, lambda peer: peer.recv(1) and peer.sendall(PATTERN[:500]) or peer.recv(1))
    protocol = Buffered(kit, bytearray)

    async def main() -> None:
        connect = kit.loop.create_connection
        transport, _ = await connect(lambda: protocol, *address, ssl=tls.client, server_hostname=NAME)
        await asyncio.sleep(0.01)
        protocol.space.append(0)
        transport.write(b"!")
        while len(protocol.received) < 500:
            await asyncio.sleep(0.001)
        transport.abort()
        await protocol.lost

    kit.run(main())
    kit.check(bytes(protocol.received) == PATTERN[:500], "other bytes are in the buffer")


@family("TLS-2", pauses={"reading": False, "pausing": True})
def test_buffered_protocol_to_the_end(kit: Kit, pauses: bool) -> None:
    """A BufferedProtocol with a small buffer gets everything that the peer sent before it closed"""
    tls = contexts()
    address = server_peer(kit, tls, lambda peer: peer.sendall(PATTERN[:50_000]))
    protocol = Buffered(kit, memoryview, pauses=pauses)

    async def main() -> None:
        await kit.loop.create_connection(lambda: protocol, *address, ssl=tls.client, server_hostname=NAME)
        await protocol.lost

    kit.run(main())
    kit.check(bytes(protocol.received) == PATTERN[:50_000], f"{len(protocol.received)} bytes of 50000, or other ones")


@case("TLS-2")
def test_reading_can_be_paused(kit: Kit) -> None:
    """Over TLS too no data comes while reading is paused, and all of it when it is resumed."""
    tls = contexts()

    async def main() -> bytes:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        inside.pause_reading()
        log.transport.write(PATTERN)
        await asyncio.sleep(0.02)
        kit.check(not inside.received, "data came while reading was paused", rule="STREAM-6")
        inside.resume_reading()
        got = await gets(inside, len(PATTERN))
        await part(log, inside)
        return got

    kit.check(kit.run(main()) == PATTERN, "other bytes arrived")


@case("TLS-2")
def test_writing_is_paused_and_resumed(kit: Kit) -> None:
    """Over TLS pause_writing comes when the peer does not read, resume_writing when it does, and nothing is lost."""
    tls = contexts()

    async def main() -> bytes:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        inside.pause_reading()
        while "pause" not in log.flow and len(log.flow) < 200:
            log.transport.write(PATTERN)
            await asyncio.sleep(0)
        inside.resume_reading()
        await log.until_event("resume")
        log.transport.write(b"the end")
        await inside.until(lambda: inside.received.endswith(b"the end"))
        got = bytes(inside.received)
        await part(log, inside)
        return got

    got = kit.run(main())
    kit.check(got == PATTERN * (len(got) // len(PATTERN)) + b"the end", "other bytes arrived")


@case("TLS-2")
def test_streams_of_lines(kit: Kit) -> None:
    """start_server and open_connection carry lines over TLS, one answer for each."""
    tls = contexts()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    async def main() -> list[bytes]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls.server)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port, ssl=tls.client, server_hostname=NAME)
        got = []
        for _ in range(20):
            writer.write(b"line\n")
            got.append(await reader.readline())
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        server.close()
        await asyncio.sleep(0.01)
        return got

    kit.equal(kit.run(main()), [b"LINE\n"] * 20, "answers")


@case("TLS-2")
def test_blocking_client(kit: Kit) -> None:
    """A server of the loop answers a plain blocking client, whose reads end with the server's close_notify."""
    tls = contexts()
    got = bytearray()
    inside = kit.protocol(data=lambda log, data: (log.transport.write(data.upper()), log.transport.close()))

    async def main() -> None:
        server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
        address = server.sockets[0].getsockname()
        client_peer(kit, tls, address, lambda peer: (peer.sendall(b"hello"), drain(peer, got)))
        await inside.until_event("lost")
        server.close()

    kit.run(main())
    kit.close_threads()
    kit.equal(bytes(got), b"HELLO", "answer")
