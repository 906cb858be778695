# real clock
"""Cases of TLS beside its straight way (RAISE-*, TLS-*, HOLD-1): callbacks that raise, pauses, ends, what is let go."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import threading
import weakref
from typing import Any

from loopcheck.children import spawn
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log
from loopcheck.tls import client_peer, contexts, join, part

MUCH = bytes(1 << 20)
LEAVING: dict[str, type[BaseException]] = {"exit": SystemExit, "interrupt": KeyboardInterrupt}


class Planted(Exception):
    """Raised on purpose by a callback."""


def joined(kit: Kit) -> tuple[Log, Log]:
    """A server's and a client's protocol, connected over TLS."""
    inside, log = kit.protocol(), kit.protocol()
    kit.run(join(kit, contexts(), inside, log))
    return inside, log


def plant(log: Log, event: str, error: type[BaseException]) -> None:
    def hook(*_: object) -> None:
        raise error("planted")

    log.hooks[event] = hook


def provoke(event: str, inside: Log, log: Log) -> None:
    """Makes the loop call the protocol's method of this name."""
    if event == "data":
        inside.transport.write(b"hello")
    elif event == "eof":
        inside.transport.close()
    elif event == "lost":
        log.transport.abort()
    else:
        inside.pause_reading()
        while not log.flow:
            log.transport.write(MUCH)
        inside.resume_reading()


async def is_told(kit: Kit) -> None:
    while not kit.errors:
        await asyncio.sleep(0.001)


@family("RAISE-1", event=("data", "eof", "pause", "resume", "lost"))
def test_raise(kit: Kit, event: str) -> None:
    """Over TLS too an exception in a protocol's method is told once, and ends the connection where it has to"""
    inside, log = joined(kit)
    kit.errors.clear()
    ran: list[int] = []
    plant(log, event, Planted)
    kit.soon(provoke, event, inside, log)
    kit.soon(ran.append, 1)
    with contextlib.suppress(asyncio.TimeoutError):
        kit.run(asyncio.wait_for(is_told(kit), 1))
    kit.run_for(0.005)  # is it told once?
    told = [type(one.get("exception")) for one in kit.errors]
    kit.equal((ran, told), ([1], [Planted]), "neighbours, and exceptions that the handler was told of")
    is_fatal = event in ("data", "eof", "lost")
    kit.equal(log.transport.is_closing(), is_fatal, "is the transport closing", rule="RAISE-2")
    kit.run(part(inside, log))
    kit.equal(log.events.count("lost"), 1, "calls of connection_lost")


@family("RAISE-3", event=("data", "eof", "pause", "lost"), error=LEAVING)
def test_leave(kit: Kit, event: str, error: type[BaseException]) -> None:
    """Over TLS too SystemExit and KeyboardInterrupt in a protocol's method leave the run, and the loop runs again"""
    inside, log = joined(kit)
    kit.errors.clear()
    plant(log, event, error)
    kit.soon(provoke, event, inside, log)
    kit.raises(error, lambda: kit.run_for(0.1))
    log.hooks.clear()
    for one in (inside, log):
        if one.transport is not None:
            one.transport.abort()
    kit.run_for(0.005)


@family("TLS-3", size={"a_record": 5_000, "several": 50_000})
def test_end_while_reading_is_paused(kit: Kit, size: int) -> None:
    """What came before the end of the connection, while reading was paused, is delivered once it goes on"""
    inside, log = joined(kit)
    data = bytes(range(250)) * (size // 250)
    log.pause_reading()
    inside.transport.write(data)
    kit.run_for(0.005)
    inside.transport.abort()
    kit.run_for(0.005)
    kit.equal(bytes(log.received), b"", "delivered while it is paused")
    log.resume_reading()
    kit.run(asyncio.wait_for(log.until_event("lost"), 3))
    kit.check(bytes(log.received) == data, f"{len(log.received)} of {len(data)} bytes were delivered")


@case("STREAM-6")
def test_paused_reading_holds_the_peer_up(kit: Kit) -> None:
    """While reading is paused the peer's bytes wait with the peer: they are not collected without bound."""
    tls = contexts()
    log = kit.protocol(data=lambda log, _: log.pause_reading())
    sent: list[int] = []
    ended = threading.Event()

    def talk(peer: ssl.SSLSocket) -> None:
        peer.settimeout(0.1)
        with contextlib.suppress(OSError):
            while len(sent) < 384:
                sent.append(peer.send(MUCH[:65_536]))
        ended.set()

    async def main() -> None:
        server = await kit.loop.create_server(lambda: log, "127.0.0.1", 0, ssl=tls.server)
        client_peer(kit, tls, server.sockets[0].getsockname(), talk)
        while not ended.is_set():
            await asyncio.sleep(0.005)
        server.close()
        await part(log)

    kit.run(main())
    kit.check(sent and sum(sent) < 16 << 20, f"{sum(sent)} of 24 MiB were taken from the peer")


@family("HOLD-1", end=("close", "abort"))
def test_let_go(kit: Kit, end: str) -> None:
    """The SSL object of a connection that has ended is freed: no timer of its handshake or end holds it (uvloop#220)"""
    inside, log = joined(kit)
    kept = [weakref.ref(one.transport.get_extra_info("ssl_object")) for one in (inside, log)]
    getattr(log.transport, end)()
    for one in (log, inside):
        kit.run(asyncio.wait_for(one.until_event("lost"), 3))
        one.transport = None
    del inside, log, one
    kit.turns(3)
    gc.collect()
    kit.equal([one() is None for one in kept], [True, True], "are they freed")


class Kept(asyncio.Protocol, asyncio.DatagramProtocol, asyncio.SubprocessProtocol):
    """Something to be weakly referenced, that leaves its transport to the case."""

    def __init__(self, kit: Kit) -> None:
        self.note, self.lost = kit.recorder.note, kit.loop.create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.note()
        self.lost.set_result(None)


async def opened(kit: Kit, kind: str, protocol: Kept) -> Any:
    """The transport of such a protocol, and the ends that have to stay open."""
    loop = kit.loop
    if kind == "tcp":
        return (await loop.create_connection(lambda: protocol, sock=kit.tcp_pair()[0]))[0]
    if kind == "endpoint":
        return (await loop.create_datagram_endpoint(lambda: protocol, local_addr=("127.0.0.1", 0)))[0]
    if kind == "read_pipe":
        file: Any = os.fdopen(os.dup(kit.pipe()[0]), "rb", 0)
        return (await loop.connect_read_pipe(lambda: protocol, file))[0]
    if kind == "write_pipe":
        file = os.fdopen(os.dup(kit.pipe()[1]), "wb", 0)
        return (await loop.connect_write_pipe(lambda: protocol, file))[0]
    if kind == "child":
        return (await loop.subprocess_exec(lambda: protocol, "true"))[0]
    given, _peer = kit.tcp_pair()
    tls = contexts()
    server = kit.protocol()
    listener = await loop.create_server(lambda: server, "127.0.0.1", 0, ssl=tls.server)
    address = listener.sockets[0].getsockname()
    given.close()
    made = await loop.create_connection(lambda: protocol, *address, ssl=tls.client, server_hostname="localhost")
    listener.close()
    return made[0]


@family("HOLD-1", kind=("tcp", "tls", "endpoint", "read_pipe", "write_pipe", "child"))
def test_protocol_of_a_transport_that_is_kept(kit: Kit, kind: str) -> None:
    """The transport of a connection that has ended, which the program keeps, does not keep its protocol (gh-87745)"""

    async def main() -> tuple[Any, weakref.ref[Any]]:
        protocol = Kept(kit)
        transport = await opened(kit, kind, protocol)
        if kind != "child":
            transport.close()
        await asyncio.wait_for(protocol.lost, 3)
        return transport, weakref.ref(protocol)

    transport, kept = kit.run(main())
    kit.turns(3)
    gc.collect()
    kit.check(kept() is None, f"{type(transport).__name__} keeps its protocol")


@case("TLS-5")
def test_start_tls_of_a_pipe(kit: Kit) -> None:
    """start_tls refuses a transport that cannot be upgraded with TypeError, and leaves it as it was."""
    read_end, _write_end = kit.pipe()
    log = kit.protocol()
    kit.run(kit.loop.connect_read_pipe(lambda: log, os.fdopen(os.dup(read_end), "rb", 0)))
    start = kit.loop.start_tls(log.transport, log, contexts().client, server_hostname="localhost")
    kit.raises(TypeError, lambda: kit.run(asyncio.wait_for(start, 2)))
    kit.check(not log.transport.is_closing(), "the pipe is closing")
    kit.check(log.transport.get_protocol() is log, "the pipe has another protocol")
    log.transport.close()
    kit.run(log.until_event("lost"))


@case("TLS-6")
def test_start_tls_is_cancelled(kit: Kit) -> None:
    """A start_tls that is cancelled while its peer says nothing ends the connection."""
    log, peer = kit.connection()

    async def main() -> bool:
        loop = kit.loop
        task = asyncio.ensure_future(loop.start_tls(log.transport, log, contexts().client, server_hostname="localhost"))
        await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait({task})
        with contextlib.suppress(ConnectionError):
            while await asyncio.wait_for(loop.sock_recv(peer, 65_536), 2):
                pass
        return task.cancelled()

    kit.check(kit.run(main()), "it was not cancelled")


@family("PROC-1", stream=("stdin", "stdout"))
def test_devnull_is_not_our_own(kit: Kit, stream: str) -> None:
    """A child's stdin or stdout that is DEVNULL is not that of the program"""
    left, right = socket.socketpair()
    number = 0 if stream == "stdin" else 1
    saved = os.dup(number)
    right.send(b"ours\n")
    left.setblocking(False)
    right.setblocking(False)
    os.dup2(left.fileno(), number)
    options: dict[str, Any] = {"stdin": asyncio.subprocess.DEVNULL, stream: asyncio.subprocess.DEVNULL}
    try:
        child = spawn(kit, "cat; echo theirs", stderr=asyncio.subprocess.DEVNULL, **options)
        kit.run(asyncio.wait_for(child.lost, 3))
    finally:
        os.dup2(saved, number)
        os.close(saved)
    with left, right:
        with contextlib.suppress(BlockingIOError):
            kit.equal(right.recv(100), b"", "what the child wrote to our own stdout")
        kit.equal(left.recv(100), b"ours\n", "what is left on our own stdin")


class Nested(asyncio.BufferedProtocol):
    """Pauses and resumes reading in each buffer_updated; counts how many of these run at once."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.space = kit, bytearray(100)
        self.received = self.depth = self.depth_max = 0
        self.lost = kit.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.space

    def buffer_updated(self, nbytes: int) -> None:
        self.kit.recorder.note()
        self.depth += 1
        self.depth_max = max(self.depth, self.depth_max)
        self.received += nbytes
        self.transport.pause_reading()
        self.transport.resume_reading()
        self.depth -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


@case("THREAD-1")
def test_no_callback_inside_another(kit: Kit) -> None:
    """Over TLS a buffer_updated that pauses and resumes reading is not called again before it has returned."""
    log = Nested(kit)
    inside = kit.protocol(data=lambda inside, _: (inside.transport.write(bytes(2000)), inside.transport.close()))
    tls = contexts()

    async def main() -> None:
        server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
        address = server.sockets[0].getsockname()
        options: dict[str, Any] = {"ssl": tls.client, "server_hostname": "localhost"}
        await kit.loop.create_connection(lambda: log, *address, **options)
        log.transport.write(b"go")
        server.close()
        await asyncio.wait_for(log.lost, 3)
        await inside.until_event("lost")

    kit.run(main())
    kit.equal((log.received, log.depth_max), (2000, 1), "bytes, and calls of buffer_updated at once")


@case("TLS-6")
def test_silent_visitor_keeps_no_other_waiting(kit: Kit) -> None:
    """A client that does not shake hands does not keep the next from being served."""
    tls = contexts()
    log = kit.protocol()

    async def main() -> None:
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=tls.server)
        address = server.sockets[0].getsockname()
        silent = kit.client(address)
        await asyncio.sleep(0.003)
        options: dict[str, Any] = {"ssl": tls.client, "server_hostname": "localhost"}
        await asyncio.wait_for(kit.loop.create_connection(lambda: log, *address, **options), 2)
        await part(log)
        silent.close()
        server.close()
        await asyncio.sleep(0.005)

    kit.run(main())


@case("TLS-6")
def test_silent_visitor_is_sent_away(kit: Kit) -> None:
    """A server ends the connection of a client that does not shake hands within ssl_handshake_timeout."""
    kit.errors.clear()

    async def main() -> bytes:
        options: dict[str, Any] = {"ssl": contexts().server, "ssl_handshake_timeout": 0.02}
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, **options)
        silent = kit.client(server.sockets[0].getsockname())
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(kit.loop.sock_recv(silent, 10), 2)
        server.close()
        return answer

    kit.equal(kit.run(main()), b"", "what the client reads")
