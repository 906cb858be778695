# real clock
"""Cases of the streams area: how connections end (CLOSE-*, STREAM-3, STREAM-4, LIFE-13)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import socket
from collections.abc import Callable

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, drain, end, reset

MIB = 1 << 20
PATTERN = bytes(range(256)) * 4096  # 1 MiB


def is_open(sock: socket.socket) -> bool:
    try:
        os.fstat(sock.fileno())
    except OSError:
        return False
    return True


@case("STREAM-1")
def test_close_and_abort_in_every_order(kit: Kit) -> None:
    """close() and abort() may be called again and mixed: connection_lost comes once (uvloop#649)."""
    for calls in (("close", "close"), ("abort", "abort"), ("close", "abort", "close"), ("abort", "close")):
        log, _ = kit.connection()
        for name in calls:
            getattr(log.transport, name)()
            kit.check(log.transport.is_closing(), "is_closing() is false")
        kit.check("lost" not in log.events, "connection_lost was called from within the call")
        end(kit, log)
        log.transport.close()
        log.transport.abort()
        kit.turns(3)
        kit.equal(log.events, ["made", "lost"], f"events after {calls}")


@case("STREAM-1")
def test_close_in_own_callback(kit: Kit) -> None:
    """After close() in data_received no further data, and connection_lost once, though the peer goes on."""
    for name in ("close", "abort"):
        peers: list[socket.socket] = []

        def closes(log: Log, data: bytes, name: str = name, peers: list[socket.socket] = peers) -> None:
            peers[0].send(b"two")
            getattr(log.transport, name)()

        log, peer = kit.connection(data=closes)
        peers.append(peer)
        kit.put(peer, b"one")
        end(kit, log)
        kit.equal((log.events, bytes(log.received)), (["made", "data", "lost"], b"one"), "events")


@case("STREAM-1")
def test_close_in_connection_made(kit: Kit) -> None:
    """A protocol that closes in connection_made sees no data, and connection_lost once."""
    given, peer = kit.tcp_pair()
    kit.put(peer, b"unwanted")
    log = kit.protocol(made=lambda _, transport: transport.close())
    kit.run(kit.loop.create_connection(lambda: log, sock=given))
    end(kit, log)
    kit.equal(log.events, ["made", "lost"], "events")


@case("CLOSE-1")
def test_no_data_after_close(kit: Kit) -> None:
    """Bytes that arrive after close() are not delivered, whenever they do."""
    seen: list[bytes] = []
    log, peer = kit.connection(data=lambda log, data: seen.append(data))
    kit.turns(2)
    kit.put(peer, b"with the close")
    log.transport.close()
    for _ in range(3):
        with contextlib.suppress(OSError):
            peer.send(b"after the close")
        kit.turns(1)
    end(kit, log)
    kit.equal((log.events, seen), (["made", "lost"], []), "events and data")


@case("CLOSE-1")
def test_abort_in_resume_writing(kit: Kit) -> None:
    """An abort in resume_writing ends the connection as any other does: once, and nothing raises."""
    for way in ("abort", "close"):
        log, peer = kit.connection(resume=lambda log, _, way=way: getattr(log.transport, way)())
        kit.turns(2)
        log.transport.set_write_buffer_limits(high=0)
        log.transport.write(PATTERN * 4)
        got = bytearray()
        kit.thread(drain, peer, got)
        end(kit, log)
        kit.close_threads()
        kit.equal((log.events, kit.errors), (["made", "lost"], []), f"events and errors with {way}")


@case("LIFE-13")
def test_fds_are_closed_once(kit: Kit) -> None:
    """Who gets the number of a connection's fd keeps it, however the connection ended."""
    for way in ("close", "abort", "reset"):
        log, peer = kit.connection()
        number = log.transport.get_extra_info("socket").fileno()
        kit.turns(2)
        reset(peer) if way == "reset" else getattr(log.transport, way)()
        kit.run(log.until_event("lost"))
        kit.turns(2)
        held = [kit.socketpair() for _ in range(4)]  # one of them gets the number, if it is free
        del log
        gc.collect()
        kit.run_for(0.005)
        gone = [end.fileno() for pair in held for end in pair if not is_open(end)]
        kit.check(not gone, f"after {way} of a connection on fd {number}, fds of others were closed: {gone}")


@case("LIFE-13")
def test_abort_in_connection_made_closes_once(kit: Kit) -> None:
    """A socket whose connection is aborted or closed in connection_made does not claim its fd any more."""
    for way in ("close", "abort"):
        given, _peer = kit.tcp_pair()
        log = kit.protocol(made=lambda log, transport, way=way: getattr(transport, way)())
        with contextlib.suppress(OSError):
            kit.run(kit.loop.create_connection(lambda log=log: log, sock=given))
        end(kit, log)
        number = given.fileno()
        kit.check(number < 0 or is_open(given), f"{way} left a socket object for fd {number}, which is closed")


@case("CLOSE-2")
def test_reset_is_told(kit: Kit) -> None:
    """A reset while data waits to be sent, or to be read, is an error, not an end."""
    for is_paused in (False, True):
        log, peer = kit.connection()
        kit.turns(2)
        log.transport.set_write_buffer_limits(high=1 << 30)
        if is_paused:
            log.transport.pause_reading()
        log.transport.write(PATTERN * 8)
        reset(peer)
        end(kit, log)
        kit.check(isinstance(log.error, ConnectionError), f"connection_lost got {log.error!r}")


@case("STREAM-1")
def test_reset_by_the_peer(kit: Kit) -> None:
    """A reset gives connection_lost once, with the error."""
    log, peer = kit.connection()
    kit.turns(3)
    reset(peer)
    end(kit, log)
    kit.equal([e for e in log.events if e != "eof"], ["made", "lost"], "events")
    kit.check(isinstance(log.error, ConnectionError), f"connection_lost got {log.error!r}")


@case("STREAM-1")
def test_write_after_the_peer_is_gone(kit: Kit) -> None:
    """Writes to a connection that was reset are dropped without an exception (uvloop#506)."""
    log, peer = kit.connection()
    reset(peer)
    for _ in range(4):
        log.transport.write(b"x" * 100)
        kit.turns(2)
    end(kit, log)
    log.transport.write(b"after connection_lost")
    kit.turns(2)
    kit.equal(log.events[-1], "lost", "last event")


@case("STREAM-1")
def test_writelines_after_connection_lost(kit: Kit) -> None:
    """writelines() after connection_lost is dropped like write(), without an exception (cpython gh-136234)."""
    log, peer = kit.connection()
    reset(peer)
    end(kit, log)
    log.transport.writelines([b"x", b"y"])
    kit.turns(2)
    kit.equal(log.events[-1], "lost", "last event")


@case("STREAM-3")
def test_close_flushes(kit: Kit) -> None:
    """Everything written before close() arrives, also at a reader that comes late (T13)."""
    log, peer = kit.connection()
    got = bytearray()
    log.transport.write(PATTERN)
    log.transport.write(b"the end")
    log.transport.close()
    kit.run_for(0.01)
    kit.thread(drain, peer, got)
    end(kit, log)
    kit.close_threads()
    kit.equal((len(got), bytes(got[-7:])), (MIB + 7, b"the end"), "bytes that arrived")
    kit.check(log.error is None, f"connection_lost got {log.error!r}")


@case("STREAM-3")
def test_write_eof_flushes(kit: Kit) -> None:
    """write_eof() lets the buffered megabyte go first (zuvloop@c25fd0a)."""
    log, peer = kit.connection()
    got = bytearray()
    kit.check(log.transport.can_write_eof(), "can_write_eof() is false")
    log.transport.write(PATTERN)
    log.transport.write_eof()
    kit.thread(drain, peer, got)
    kit.run_for(0.01)
    end(kit, log)
    kit.close_threads()
    kit.check(bytes(got) == PATTERN, f"{len(got)} bytes arrived, or other ones")


@case("PIPE-2")
def test_write_pipe_flushes(kit: Kit) -> None:
    """Closing the transport of a pipe lets its buffered 300 kB go first (cpython gh-70850)."""
    read_end, write_end = os.pipe()
    got = bytearray()
    log = kit.protocol()

    def take() -> None:
        with open(read_end, "rb") as pipe:
            got.extend(pipe.read())

    file = os.fdopen(write_end, "wb", 0)
    kit.run(kit.loop.connect_write_pipe(lambda: log, file))
    log.transport.write(PATTERN[:300_000])
    log.transport.close()
    kit.run_for(0.005)
    thread = kit.thread(take)
    end(kit, log)
    thread.join()
    kit.check(bytes(got) == PATTERN[:300_000], f"{len(got)} bytes arrived, or other ones")


@case("STREAM-4")
def test_abort_does_not_flush(kit: Kit) -> None:
    """abort() drops the buffer: connection_lost(None) comes though the peer reads nothing (zuvloop#16)."""
    log, peer = kit.connection()
    log.transport.write(PATTERN * 8)
    kit.check(log.transport.get_write_buffer_size() > 0, "8 MiB fit into the kernel")
    log.transport.abort()
    end(kit, log)
    kit.check(log.error is None, f"connection_lost got {log.error!r}")
    got = bytearray()
    drain(peer, got)
    kit.check(len(got) < 8 * MIB, "everything was flushed")


@case("STREAM-4")
def test_abort_after_close(kit: Kit) -> None:
    """abort() ends a close() that waits for a peer that does not read."""
    log, _ = kit.connection()
    log.transport.write(PATTERN * 8)
    log.transport.close()
    kit.run_for(0.01)
    kit.check("lost" not in log.events, "connection_lost came before the buffer was flushed", rule="STREAM-3")
    log.transport.abort()
    end(kit, log)


def unread(kit: Kit, over: str) -> tuple[Log, socket.socket]:
    """A connection, and its other end, which reads nothing."""
    if over == "tcp":
        return kit.connection()
    left, right = socket.socketpair()
    if over == "unix":
        log, peer = kit.protocol(), kit.own(right)
        kit.run(kit.loop.create_unix_connection(lambda: log, sock=left))
        return log, peer
    log, peer = kit.protocol(), kit.own(right)
    kit.run(kit.loop.connect_write_pipe(lambda: log, left))
    return log, peer


@family("CLOSE-1", over=("tcp", "unix", "pipe"), goes={"reset": reset, "closed": socket.socket.close})
def test_peer_goes_while_close_waits(kit: Kit, over: str, goes: Callable[[socket.socket], None]) -> None:
    """A transport that was closed while bytes wait is lost once its peer, which read nothing, is gone (asyncio#301)"""
    log, peer = unread(kit, over)
    log.transport.write(PATTERN * 8)
    log.transport.close()
    kit.run_for(0.002)
    kit.equal(log.events, ["made"], "events while bytes wait")
    goes(peer)
    kit.run(asyncio.wait_for(log.until_event("lost"), 2))
    kit.turns(3)
    kit.check(isinstance(log.error, OSError), f"connection_lost got {log.error!r}, though bytes were lost")


@family("LIFE-13", way=("close", "abort"))
def test_number_of_one_that_closed_when_made(kit: Kit, way: str) -> None:
    """The next connection on the number of one that was closed in connection_made receives"""
    first, unread = kit.tcp_pair()
    number = first.fileno()
    kit.put(unread, b"unwanted")
    log = kit.protocol(made=lambda _, transport: getattr(transport, way)())
    kit.run(kit.loop.create_connection(lambda: log, sock=first))
    end(kit, log)
    del first
    given, peer = kit.tcp_pair()
    with given:
        again = socket.socket(fileno=fcntl.fcntl(given.fileno(), fcntl.F_DUPFD_CLOEXEC, number))
    kit.put(peer, b"hello")
    next_one = kit.protocol()
    kit.run(kit.loop.create_connection(lambda: next_one, sock=again))
    kit.run(asyncio.wait_for(next_one.until(lambda: next_one.received), 3))
    next_one.transport.close()
    end(kit, next_one)
    kit.equal((bytes(next_one.received), kit.errors), (b"hello", []), "what came, and errors")
