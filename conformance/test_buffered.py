# real clock
"""Cases of buffered protocols (BUF-*)."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

PATTERN = bytes(range(256)) * 1024  # 256 KiB
Buffer = Callable[["Buffered"], Any]


class Planted(Exception):
    """Raised on purpose by a protocol."""


class Buffered(asyncio.BufferedProtocol):
    """Offers what `buffer` gives it; writes down what it is told."""

    def __init__(self, kit: Kit, size: int, buffer: Buffer | None = None) -> None:
        self.kit = kit
        self.space = bytearray(size)
        self.buffer = buffer or (lambda me: me.space)
        self.received = bytearray()
        self.events: list[str] = []  # made, data, eof, lost; data once for all that follow each other
        self.hints: list[int] = []
        self.error: BaseException | None = None
        self.transport: Any = None
        self.on_data: Callable[[int], object] = lambda count: None
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._seen("made")

    def get_buffer(self, sizehint: int) -> Any:
        self.hints.append(sizehint)
        return self.buffer(self)

    def buffer_updated(self, nbytes: int) -> None:
        self.received += memoryview(self.space).cast("B")[:nbytes]
        self.on_data(nbytes)
        self._seen("data")

    def eof_received(self) -> None:
        self._seen("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._seen("lost")

    def _seen(self, event: str) -> None:
        self.kit.recorder.note()
        if event == "data" and self.events[-1:] == ["data"]:
            return
        if "lost" in self.events:
            self.kit.blame(f"{event} after connection_lost", rule="STREAM-1")
        self.events.append(event)
        self.changed.set()

    async def until_lost(self) -> None:
        while "lost" not in self.events:
            self.changed.clear()
            await self.changed.wait()


def connect(kit: Kit, size: int = 4096, buffer: Buffer | None = None) -> tuple[Buffered, socket.socket]:
    given, peer = kit.tcp_pair()
    protocol = Buffered(kit, size, buffer)
    kit.run(kit.loop.create_connection(lambda: protocol, sock=given))
    return protocol, peer


def send_and_close(peer: socket.socket, data: bytes) -> None:
    """For a thread."""
    peer.setblocking(True)
    peer.sendall(data)
    peer.close()


@family("BUF-1", size={"1": 1, "7": 7, "4096": 4096, "65536": 65536, "2097152": 1 << 21})
def test_sizes_of_the_buffer(kit: Kit, size: int) -> None:
    """Every byte arrives in order through a buffer of any size, then the end (cpython bpo-33694)"""
    data = PATTERN[: max(500, min(len(PATTERN), size * 300))]
    protocol, peer = connect(kit, size)
    kit.thread(send_and_close, peer, data)
    kit.run(protocol.until_lost())
    kit.check(bytes(protocol.received) == data, f"{len(protocol.received)} bytes arrived, or other ones")
    kit.equal((protocol.events, protocol.error), (["made", "data", "eof", "lost"], None), "events and error")


def as_array(me: Buffered) -> Any:
    if not isinstance(me.space, array.array):
        me.space = array.array("B", bytes(100))  # type: ignore[assignment]
    return me.space


@family("BUF-1", kind=("memoryview", "bytearray", "array", "slice", "growing"))
def test_kinds_of_buffer(kit: Kit, kind: str) -> None:
    """The buffer may be a memoryview, a bytearray, an array of bytes, a slice of one, or another one each time"""
    kinds: dict[str, Buffer] = {
        "memoryview": lambda me: memoryview(me.space),
        "bytearray": lambda me: me.space,
        "array": as_array,
        "slice": lambda me: memoryview(me.space)[:50],
        "growing": lambda me: memoryview(me.space)[: len(me.hints) * 11 % 90 + 1],
    }
    protocol, peer = connect(kit, 100, kinds[kind])
    kit.thread(send_and_close, peer, PATTERN[:5000])
    kit.run(protocol.until_lost())
    kit.check(bytes(protocol.received) == PATTERN[:5000], f"{len(protocol.received)} bytes arrived, or other ones")


@case("BUF-1")
def test_end_without_data(kit: Kit) -> None:
    """A peer that closes at once: eof_received and connection_lost, no buffer_updated (uvloop PR#177)."""
    protocol, peer = connect(kit)
    peer.close()
    kit.run(protocol.until_lost())
    kit.equal((protocol.events, protocol.error), (["made", "eof", "lost"], None), "events and error")


@case("BUF-1")
def test_size_hints(kit: Kit) -> None:
    """The hint that get_buffer is given is -1 or the size of a buffer, never 0."""
    protocol, peer = connect(kit)
    kit.thread(send_and_close, peer, PATTERN)
    kit.run(protocol.until_lost())
    wrong = [hint for hint in protocol.hints if hint == 0 or hint < -1]
    kit.equal(wrong, [], "hints")


@case("BUF-1")
def test_pause_in_buffer_updated(kit: Kit) -> None:
    """pause_reading() in buffer_updated holds back the rest; resumed it comes, all of it."""
    protocol, peer = connect(kit, 10)

    async def main() -> None:
        while len(protocol.received) < 95:
            count = len(protocol.received)
            await asyncio.sleep(0.001)
            kit.check(len(protocol.received) - count <= 10, "data came while reading was paused", rule="STREAM-6")
            protocol.transport.resume_reading()
            await asyncio.sleep(0)
        protocol.transport.abort()
        await protocol.until_lost()

    protocol.on_data = lambda count: protocol.transport.pause_reading()
    kit.put(peer, PATTERN[:95])
    kit.run(main())
    kit.equal(bytes(protocol.received), PATTERN[:95], "data")


@family("BUF-1", way=("to_buffered", "to_plain"))
def test_set_protocol(kit: Kit, way: str) -> None:
    """set_protocol() changes between a buffered and a plain protocol: what comes next goes to the new one"""
    buffered, peer = connect(kit)
    plain = kit.protocol()
    plain.events.append("made")  # set_protocol does not call connection_made
    plain.transport = buffered.transport
    first, second = (plain, buffered) if way == "to_buffered" else (buffered, plain)
    buffered.transport.set_protocol(first)

    async def main() -> None:
        for one, data in ((first, b"first"), (second, b"second")):
            buffered.transport.set_protocol(one)
            kit.put(peer, data)
            while len(one.received) < len(data):
                await asyncio.sleep(0.001)
        buffered.transport.abort()
        await asyncio.sleep(0.005)

    kit.run(main())
    kit.equal((bytes(first.received), bytes(second.received)), (b"first", b"second"), "data of each")


def boom(*_: object) -> Any:
    raise Planted("planted")


BAD: dict[str, Buffer] = {
    "empty": lambda me: bytearray(),
    "empty_view": lambda me: memoryview(bytearray()),
    "read_only": lambda me: bytes(100),
    "none": lambda me: None,
    "text": lambda me: "x" * 100,
    "raises": boom,
}


@family("BUF-2", buffer=BAD)
def test_bad_buffer(kit: Kit, buffer: Buffer) -> None:
    """A get_buffer that raises or gives nothing that can be written to ends the connection with an error, told once"""
    protocol, peer = connect(kit, 100, buffer)
    kit.put(peer, b"hello")
    kit.run(protocol.until_lost())
    kit.turns(3)
    kit.equal((protocol.events, bytes(protocol.received)), (["made", "lost"], b""), "events and data")
    kit.check(protocol.error is not None, "connection_lost was given None")
    kit.equal(len(kit.errors), 1, "calls of the exception handler")


@family("BUF-2", error={"exception": Planted, "cancelled": asyncio.CancelledError})
def test_raising_buffer_updated(kit: Kit, error: type[BaseException]) -> None:
    """A buffer_updated that raises is reported and ends the connection, once (zuvloop#23)"""
    protocol, peer = connect(kit, 2)
    calls: list[int] = []

    def raises(count: int) -> None:
        calls.append(count)
        raise error("planted")

    protocol.on_data = raises
    kit.put(peer, b"hello")
    kit.run(protocol.until_lost())
    kit.turns(3)
    kit.equal((calls, protocol.events), ([2], ["made", "lost"]), "calls of buffer_updated, and events")
    kit.check(isinstance(protocol.error, error), f"connection_lost was given {protocol.error!r}")
    kit.equal([type(c.get("exception")) for c in kit.errors], [error], "exceptions told to the handler")


@family("BUF-1", where={"begin": (0, 20), "middle": (40, 60), "end": (97, 100)})
def test_part_of_a_larger_buffer(kit: Kit, where: tuple[int, int]) -> None:
    """A part of a larger buffer that is offered is filled from its own beginning, and nothing around it"""
    first, last = where
    protocol = Buffered(kit, 100, lambda me: memoryview(me.space)[first:last])
    protocol.space[:] = b"." * 100
    given, peer = kit.tcp_pair()
    kit.run(kit.loop.create_connection(lambda: protocol, sock=given))
    kit.put(peer, b"abc")
    kit.run_for(0.005)
    expected = b"." * first + b"abc" + b"." * (97 - first)
    kit.equal(bytes(protocol.space), expected, "the whole buffer")
    protocol.transport.abort()
    kit.run_for(0.002)


@family("BUF-2", buffer=BAD)
def test_bad_buffer_later(kit: Kit, buffer: Buffer) -> None:
    """A third get_buffer that raises or gives nothing usable ends the connection like a first one, told once"""
    protocol, peer = connect(kit, 2, lambda me: me.space if len(me.received) < 4 else buffer(me))
    kit.put(peer, b"hello")
    kit.run(protocol.until_lost())
    kit.turns(3)
    kit.equal((protocol.events, bytes(protocol.received)), (["made", "data", "lost"], b"hell"), "events and data")
    kit.check(protocol.error is not None, "connection_lost was given None")
    kit.equal(len(kit.errors), 1, "calls of the exception handler")


@family("RAISE-3", method=("get_buffer", "buffer_updated"), error={"exit": SystemExit, "interrupt": KeyboardInterrupt})
def test_leave_from_a_buffered_protocol(kit: Kit, method: str, error: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt in a method of a buffered protocol leave the run, and the loop runs again"""
    given, peer = kit.tcp_pair()
    protocol = Buffered(kit, 10)

    def leave(*_: object) -> None:
        raise error("planted")

    kit.run(kit.loop.create_connection(lambda: protocol, sock=given))
    setattr(protocol, "buffer" if method == "get_buffer" else "on_data", leave)
    kit.put(peer, b"hello")
    kit.raises(error, lambda: kit.run_for(0.1))
    protocol.buffer, protocol.on_data = (lambda me: me.space), (lambda count: None)
    protocol.transport.abort()
    kit.run_for(0.005)
    kit.equal(protocol.events[-1], "lost", "last event")


async def opened(kit: Kit, way: str, protocol: Buffered) -> socket.socket:
    """Gives the protocol a connection; returns its other end."""
    loop, family_of = kit.loop, socket.AF_INET if way == "served" else socket.AF_UNIX
    if way in ("unix", "accepted"):
        ours, theirs = socket.socketpair()
        if way == "unix":
            await loop.create_unix_connection(lambda: protocol, sock=ours)
        else:
            await loop.connect_accepted_socket(lambda: protocol, ours)
        return kit.own(theirs)
    listener = socket.socket(family_of)
    listener.bind(("127.0.0.1", 0) if way == "served" else f"\0loopcheck-buffered-{os.getpid()}")
    serve: Any = loop.create_server if way == "served" else loop.create_unix_server
    server = await serve(lambda: protocol, sock=listener)
    client = kit.own(socket.socket(family_of))
    await loop.sock_connect(client, listener.getsockname())
    while not protocol.events:
        await protocol.changed.wait()
    server.close()
    return client


@family("BUF-1", way=("served", "unix_served", "accepted", "unix"))
def test_buffers_of_every_way(kit: Kit, way: str) -> None:
    """A BufferedProtocol gets what comes into its buffer, however its connection was opened"""
    protocol = Buffered(kit, 100)
    peer = kit.run(opened(kit, way, protocol))
    kit.put(peer, b"hello")
    peer.close()
    kit.run(protocol.until_lost())
    kit.equal((bytes(protocol.received), protocol.error), (b"hello", None), "received, and the error")
