# real clock
"""Cases of the streams area: what a transport does with a protocol (STREAM-*)."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, drain, end

MIB = 1 << 20
PATTERN = bytes(range(256)) * 4096  # 1 MiB


@case("STREAM-1")
def test_life_of_a_connection(kit: Kit) -> None:
    """connection_made, data, eof, connection_lost(None), each when it is due and the last once."""
    log, peer = kit.connection()
    kit.put(peer, b"hello")
    kit.run(log.until(lambda: log.received == b"hello"))
    kit.equal(log.events, ["made", "data"], "events before the end of file")
    peer.close()
    end(kit, log)
    kit.equal(log.events, ["made", "data", "eof", "lost"], "events")
    kit.check(log.error is None, f"connection_lost got {log.error!r}")


@case("STREAM-1")
def test_data_that_waits_for_the_connection(kit: Kit) -> None:
    """Bytes and end of file that are there first still come after connection_made (T12)."""
    given, peer = kit.tcp_pair()
    kit.put(peer, b"early")
    peer.close()
    log = kit.protocol()
    kit.run(kit.loop.create_connection(lambda: log, sock=given))
    kit.equal(log.events[:1], ["made"], "first event when create_connection has returned")
    end(kit, log)
    kit.equal((log.events, bytes(log.received)), (["made", "data", "eof", "lost"], b"early"), "events")


@case("STREAM-1")
def test_accepted_connections_begin_with_made(kit: Kit) -> None:
    """Clients that send before they are accepted are told to the protocol in order (T12)."""
    logs = [kit.protocol() for _ in range(5)]
    unused = list(logs)

    async def main() -> None:
        server = await kit.loop.create_server(lambda: unused.pop(), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        for i in range(5):
            client = kit.client(address)
            kit.put(client, b"%d" % i)
            client.close()
        for log in logs:
            await log.until_event("lost")
        server.close()

    kit.run(main())
    kit.equal([log.events for log in logs], [["made", "data", "eof", "lost"]] * 5, "events")
    kit.equal(b"".join(sorted(bytes(log.received) for log in logs)), b"01234", "bytes")


@case("STREAM-1")
def test_exception_in_data_received(kit: Kit) -> None:
    """An exception in data_received is reported and ends the connection with it, once (zuvloop#23)."""
    error = ZeroDivisionError("planted")

    def fails(log: Log, data: bytes) -> None:
        peer.send(b"two")
        raise error

    log, peer = kit.connection(data=fails)
    kit.put(peer, b"one")
    end(kit, log)
    kit.equal((log.events, log.chunks), (["made", "data", "lost"], 1), "events")
    kit.check(log.error is error, f"connection_lost got {log.error!r}")
    kit.check(any(context.get("exception") is error for context in kit.errors), "nobody was told")


@case("STREAM-1")
def test_extra_info(kit: Kit) -> None:
    """At connection_made the transport knows its addresses and its socket."""
    seen: list[Any] = []

    def made(log: Log, transport: Any) -> None:
        seen.extend(transport.get_extra_info(name) for name in ("sockname", "peername"))
        seen.append(transport.get_extra_info("socket").getsockname())
        seen.append(transport.get_extra_info("nonsense", "default"))

    log, peer = kit.connection(made=made)
    address = peer.getpeername()
    kit.equal(seen, [address, peer.getsockname(), address, "default"], "extra info")
    log.transport.abort()
    end(kit, log)


@case("STREAM-1")
def test_datagram_endpoint(kit: Kit) -> None:
    """A datagram protocol is made, gets datagrams whole, and is lost once, with nothing after close (zuvloop#77)."""
    events: list[Any] = []

    class Datagrams(asyncio.DatagramProtocol):
        connection_made = kit.observed(lambda self, transport: events.append("made"))

        def datagram_received(self, data: bytes, address: Any) -> None:
            events.append(data)
            if data == b"two":
                transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            events.append(("lost", exc))

    transport, _ = kit.run(kit.loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0)))
    sender = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for data in (b"one", b"two", b"three"):
        sender.sendto(data, transport.get_extra_info("sockname"))
    kit.run_for(0.02)
    kit.equal(events, ["made", b"one", b"two", ("lost", None)], "events")


@case("STREAM-2")
def test_megabyte_arrives(kit: Kit) -> None:
    """1 MiB written by the peer in odd pieces arrives once and in order."""
    log, peer = kit.connection()

    def send() -> None:
        peer.setblocking(True)
        for start in range(0, MIB, 30_011):
            peer.sendall(PATTERN[start : start + 30_011])
        peer.shutdown(socket.SHUT_WR)

    kit.thread(send)
    end(kit, log)
    kit.check(bytes(log.received) == PATTERN, f"{len(log.received)} bytes arrived, or other ones")


@case("STREAM-2")
def test_megabyte_is_written(kit: Kit) -> None:
    """1 MiB written in pieces by write and writelines leaves once and in order (cpython gh-103462)."""
    log, peer = kit.connection()
    got = bytearray()
    kit.thread(drain, peer, got)
    for start in range(0, MIB, 65536):
        piece = PATTERN[start : start + 65536]
        log.transport.write(piece[:10_000])
        log.transport.writelines([piece[10_000:30_000], bytearray(piece[30_000:60_000]), memoryview(piece)[60_000:]])
    log.transport.write_eof()
    end(kit, log)
    kit.check(bytes(got) == PATTERN, f"{len(got)} bytes arrived, or other ones")


@case("STREAM-2")
def test_writes_from_every_callback(kit: Kit) -> None:
    """What is written in connection_made, data_received and eof_received arrives in this order."""

    def eof(log: Log, _: None) -> bool:
        log.transport.write(b"eof ")
        log.transport.write(b"")
        log.transport.close()
        return True

    got = bytearray()
    log, peer = kit.connection(
        made=lambda log, transport: (transport.write(b"made "), transport.writelines([b"and ", b"", b"more "])),
        data=lambda log, data: log.transport.write(b"data "),
        eof=eof,
    )
    kit.put(peer, b"x")
    kit.run(log.until(lambda: log.received))
    peer.shutdown(socket.SHUT_WR)
    kit.thread(drain, peer, got)
    end(kit, log)
    kit.close_threads()
    kit.equal(bytes(got), b"made and more data eof ", "bytes")


@case("STREAM-2")
def test_echo_through_streams(kit: Kit) -> None:
    """start_server and open_connection carry 300 lines and a block larger than their limit both ways."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(5000):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main() -> tuple[list[bytes], bytes]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.writelines([b"line %d\n" % i for i in range(300)])
        lines = [await reader.readline() for _ in range(300)]
        writer.write(PATTERN[:300_000])
        block = await reader.readexactly(300_000)
        writer.close()
        server.close()
        return lines, block

    lines, block = kit.run(main())
    kit.run_for(0.01)
    kit.equal(lines, [b"line %d\n" % i for i in range(300)], "lines")
    kit.check(block == PATTERN[:300_000], "the block came back changed")


@case("STREAM-2")
def test_datagrams_both_ways(kit: Kit) -> None:
    """Datagrams of a pair of endpoints arrive whole, in order, with the sender's address."""
    got: list[tuple[bytes, object]] = []
    done = kit.loop.create_future()

    class Echo(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            server.sendto(data.upper(), address)

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            got.append((data, address))
            if len(got) == 3:
                done.set_result(None)

    server, _ = kit.run(kit.loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0)))
    address = server.get_extra_info("sockname")
    client, _ = kit.run(kit.loop.create_datagram_endpoint(Client, remote_addr=address))
    for data in (b"one", b"two", b"x" * 5000):
        client.sendto(data)
    kit.run(done)
    client.close()
    server.close()
    kit.turns(3)
    kit.equal(got, [(data, address) for data in (b"ONE", b"TWO", b"X" * 5000)], "datagrams")


@case("STREAM-1")
def test_read_pipe(kit: Kit) -> None:
    """A read pipe is told as a connection is: made, data, eof, lost."""
    read_end, write_end = os.pipe()
    log = kit.protocol()
    file = os.fdopen(read_end, "rb", 0)
    kit.run(kit.loop.connect_read_pipe(lambda: log, file))
    kit.put(write_end, b"through a pipe")
    kit.run(log.until(lambda: log.received))
    os.close(write_end)
    end(kit, log)
    kit.equal((log.events, bytes(log.received)), (["made", "data", "eof", "lost"], b"through a pipe"), "events")


@case("STREAM-2")
def test_buffered_protocol(kit: Kit) -> None:
    """A BufferedProtocol with a buffer of seven bytes gets every byte in order (bpo-33694)."""
    got = bytearray()
    lost = kit.loop.create_future()

    class Buffered(asyncio.BufferedProtocol):
        buffer = bytearray(7)

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            got.extend(self.buffer[:nbytes])

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(exc)

    given, peer = kit.tcp_pair()
    kit.run(kit.loop.create_connection(Buffered, sock=given))
    kit.put(peer, PATTERN[:1000])
    peer.close()
    kit.run(lost)
    kit.check(bytes(got) == PATTERN[:1000], f"{len(got)} bytes arrived, or other ones")


@case("STREAM-1")
def test_set_protocol(kit: Kit) -> None:
    """After set_protocol the data, the end of file and the loss go to the new protocol, none to the old one."""
    log, peer = kit.connection()
    kit.put(peer, b"old")
    kit.run(log.until(lambda: log.received == b"old"))
    new = kit.protocol()
    new.events.append("made")  # set_protocol does not call connection_made
    new.transport = log.transport
    log.transport.set_protocol(new)
    kit.check(log.transport.get_protocol() is new, "get_protocol() is not what was set")
    kit.put(peer, b"new")
    peer.close()
    kit.run(new.until_event("lost"))
    kit.equal((log.events, bytes(log.received)), (["made", "data"], b"old"), "the first protocol's events")
    kit.equal((new.events, bytes(new.received)), (["made", "data", "eof", "lost"], b"new"), "the second's")
