# real clock
"""Cases of the streams area: flow control and half-closed connections (STREAM-5, 6, 7)."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, drain, end

MIB = 1 << 20
PATTERN = bytes(range(256)) * 4096  # 1 MiB


@case("STREAM-5")
def test_flow_control(kit: Kit) -> None:
    """Beyond the high-water mark pause_writing comes once, below the low one resume_writing once, and again."""
    log, peer = kit.connection()
    log.transport.set_write_buffer_limits(high=100_000, low=1000)
    for _ in range(2):
        log.flow.clear()
        log.transport.write(PATTERN * 4)
        log.transport.write(PATTERN * 4)
        kit.turns(3)
        kit.equal(log.flow, ["pause"], "calls while the peer reads nothing")
        kit.reader(peer, peer.recv, MIB)
        kit.run(log.until(lambda: "resume" in log.flow))
        kit.run(log.until(lambda: True))
        kit.remove_reader(peer)
        kit.equal(log.flow, ["pause", "resume"], "calls when the peer read")
    log.transport.abort()
    end(kit, log)


@case("STREAM-5")
def test_writelines_pauses_too(kit: Kit) -> None:
    """writelines honours the high-water mark like write (cpython gh-127655)."""
    log, _ = kit.connection()
    log.transport.set_write_buffer_limits(high=100_000)
    log.transport.writelines([PATTERN] * 8)
    kit.turns(3)
    kit.equal(log.flow, ["pause"], "calls after 8 MiB of writelines")
    log.transport.abort()
    end(kit, log)


@case("FLOW-1")
def test_failed_sendfile_pauses_nobody(kit: Kit) -> None:
    """A file that cannot be read ends sendfile with its error, and writing, which was not paused, stays so."""
    log, _peer = kit.connection()

    class Broken(io.BytesIO):
        def readinto(self, _: object) -> int:
            raise OSError("planted")

    kit.raises(OSError, lambda: kit.run(kit.loop.sendfile(log.transport, Broken(b"x"))))
    kit.turns(2)
    kit.equal(log.flow, [], "what it was told")
    log.transport.abort()
    end(kit, log)


@case("STREAM-5")
def test_zero_limit(kit: Kit) -> None:
    """With a limit of 0 a write that the kernel takes at once leaves no pause behind (zuvloop@069cf9e)."""
    log, _ = kit.connection()
    log.transport.set_write_buffer_limits(0)
    log.transport.write(b"x")
    kit.run_for(0.01)
    kit.equal(log.flow.count("pause"), log.flow.count("resume"), "pauses and resumes")
    kit.equal(log.transport.get_write_buffer_size(), 0, "bytes in the buffer")
    log.transport.abort()
    end(kit, log)


@case("STREAM-5")
def test_drain_waits_for_room(kit: Kit) -> None:
    """StreamWriter.drain() waits while the peer reads nothing, and returns when it does."""
    given, peer = kit.tcp_pair()
    got = bytearray()

    async def main() -> None:
        _, writer = await asyncio.open_connection(sock=given)
        writer.write(PATTERN * 8)
        draining = asyncio.ensure_future(writer.drain())
        await asyncio.sleep(0.01)
        kit.check(not draining.done(), "drain() returned though the peer read nothing")
        kit.thread(drain, peer, got)
        await draining
        writer.close()
        await writer.wait_closed()

    kit.run(main())
    kit.close_threads()
    kit.equal(len(got), 8 * MIB, "bytes that arrived", rule="STREAM-2")


@case("STREAM-6")
def test_paused_reading(kit: Kit) -> None:
    """While reading is paused no data comes; resumed, all of it does (T12)."""
    log, peer = kit.connection()
    log.pause_reading()
    kit.put(peer, b"hello")
    kit.run_for(0.02)
    kit.equal(log.events, ["made"], "events while reading is paused")
    log.resume_reading()
    kit.run(log.until(lambda: log.received == b"hello"))
    log.transport.abort()
    end(kit, log)


@case("STREAM-6")
def test_pause_in_data_received(kit: Kit) -> None:
    """pause_reading() in data_received holds back the rest, end of file too."""
    log, peer = kit.connection(data=lambda log, _: log.pause_reading())
    kit.put(peer, b"one")
    kit.run(log.until(lambda: log.received))
    kit.put(peer, b"two")
    peer.close()
    kit.run_for(0.02)
    kit.equal((log.events, bytes(log.received)), (["made", "data"], b"one"), "events while paused")
    del log.hooks["data"]
    log.resume_reading()
    end(kit, log)
    kit.equal(bytes(log.received), b"onetwo", "bytes")


@case("STREAM-6")
def test_pause_and_resume_twice(kit: Kit) -> None:
    """pause_reading may be repeated, and one resume_reading ends it all; both may come after close (uvloop PR#117)."""
    log, peer = kit.connection()
    kit.check(log.transport.is_reading(), "is_reading() is false at the start")
    for _ in range(2):
        log.pause_reading()
    kit.check(not log.transport.is_reading(), "is_reading() is true after pause_reading()")
    log.resume_reading()
    kit.check(log.transport.is_reading(), "is_reading() is false after resume_reading()")
    kit.put(peer, b"x")
    kit.run(log.until(lambda: log.received))
    log.resume_reading()
    log.transport.close()
    log.transport.pause_reading()
    log.transport.resume_reading()
    end(kit, log)


@case("STREAM-7")
def test_half_closed_by_the_peer(kit: Kit) -> None:
    """eof_received that returns True keeps the transport: what is written then arrives (T9)."""
    log, peer = kit.connection(eof=lambda *_: True)
    peer.shutdown(socket.SHUT_WR)
    kit.run(log.until_event("eof"))
    kit.run_for(0.005)
    kit.equal(log.events, ["made", "eof"], "events")
    kit.check(not log.transport.is_closing(), "the transport is closing")
    got = bytearray()
    log.transport.write(PATTERN[:100_000])
    log.transport.close()
    kit.thread(drain, peer, got)
    end(kit, log)
    kit.close_threads()
    kit.equal(len(got), 100_000, "bytes that arrived")


@case("STREAM-6")
def test_pause_in_connection_made(kit: Kit) -> None:
    """Reading that is paused in connection_made does not begin before it is resumed."""
    log, peer = kit.connection(made=lambda log, _: log.pause_reading())
    kit.put(peer, b"x")
    kit.turns(5)
    kit.equal(log.received, b"", "bytes while reading is paused")
    log.resume_reading()
    kit.run(log.until(lambda: log.received))
    log.transport.abort()
    end(kit, log)


@family("STREAM-6", kind=("tcp", "read_pipe"))
def test_paused_and_resumed_when_made(kit: Kit, kind: str) -> None:
    """Reading that is paused and resumed in connection_made begins like any other, and can be paused again"""

    def made(log: Log, _: object) -> None:
        log.pause_reading()
        log.resume_reading()

    if kind == "tcp":
        log, peer = kit.connection(made=made)
    else:
        read_end, peer = kit.socketpair()
        log, file = kit.protocol(made=made), os.fdopen(os.dup(read_end.fileno()), "rb", 0)
        kit.run(kit.loop.connect_read_pipe(lambda: log, file))
    kit.put(peer, b"x")
    kit.run(log.until(lambda: log.received))
    log.pause_reading()
    kit.put(peer, b"y")
    kit.turns(5)
    kit.equal(bytes(log.received), b"x", "bytes while reading is paused")
    log.transport.close()
    end(kit, log)


@family("EOF-2", first={"nothing": b"", "bytes": b"hello"})
def test_end_written_when_made(kit: Kit, first: bytes) -> None:
    """write_eof() in connection_made lets the peer see the end, behind what was written, and its answer arrives"""

    def made(log: Log, transport: Any) -> None:
        transport.write(first)
        transport.write_eof()

    log, peer = kit.connection(made=made)
    seen = [kit.run(asyncio.wait_for(kit.loop.sock_recv(peer, 10), 2)) for _ in range(1 + bool(first))]
    kit.put(peer, b"answer")
    kit.run(log.until(lambda: log.received == b"answer"))
    log.transport.close()
    end(kit, log)
    kit.equal((b"".join(seen), seen[-1]), (first, b""), "what the peer reads")


@case("EOF-1")
def test_end_is_told_once(kit: Kit) -> None:
    """Reading that is paused and resumed after the end of file does not see it again."""
    ends: list[int] = []
    log, peer = kit.connection(eof=lambda log, _: ends.append(1) or True)
    peer.shutdown(socket.SHUT_WR)
    kit.run(log.until(lambda: ends))
    log.pause_reading()
    kit.turns(2)
    log.resume_reading()
    kit.turns(5)
    log.transport.abort()
    end(kit, log)
    kit.equal(len(ends), 1, "calls of eof_received")


@case("STREAM-7")
def test_eof_without_an_answer_closes(kit: Kit) -> None:
    """eof_received that returns None or False closes the transport, after what is written there."""
    for answer in (None, False):
        log, peer = kit.connection(eof=lambda log, _, answer=answer: (log.transport.write(b"bye"), answer)[1])
        peer.shutdown(socket.SHUT_WR)
        end(kit, log)
        kit.check(log.error is None, f"connection_lost got {log.error!r}")
        kit.equal(peer.recv(10), b"bye", "bytes that arrived")


@case("STREAM-7")
def test_half_closed_by_us(kit: Kit) -> None:
    """After write_eof() the peer sees the end, and what it sends still arrives; write() is refused."""
    log, peer = kit.connection()
    log.transport.write_eof()
    kit.run(kit.loop.sock_recv(peer, 0))
    kit.equal(peer.recv(10), b"", "what the peer reads")
    kit.raises(RuntimeError, log.transport.write, b"x")
    kit.put(peer, b"still here")
    peer.close()
    end(kit, log)
    kit.equal((log.events, bytes(log.received)), (["made", "data", "eof", "lost"], b"still here"), "events")


@case("STREAM-5")
def test_limits_are_obeyed(kit: Kit) -> None:
    """Nothing pauses below the high-water mark that was set, and one byte above it does."""
    log, peer = kit.connection()
    log.transport.set_write_buffer_limits(high=4_000_000, low=1000)
    log.transport.write(bytes(2 << 20))
    held = log.transport.get_write_buffer_size()
    kit.check(held > 0, "two MiB went out at once: the case cannot judge")
    kit.equal(log.flow, [], "calls below a high-water mark of 4 MB")
    log.transport.write(bytes(4_000_001 - held))
    kit.equal(log.flow, ["pause"], "calls beyond it")
    log.transport.abort()
    kit.run(log.until_event("lost"))


@family("FLOW-1", way=("nothing", "close", "abort"))
def test_inside_pause_writing(kit: Kit, way: str) -> None:
    """pause_writing finds in the buffer what made it come; close() in it sends all that, abort() none (zuvloop#33)"""
    sizes: list[int] = []

    def paused(log: Log, _: object) -> None:
        sizes.append(log.transport.get_write_buffer_size())
        if way != "nothing":
            getattr(log.transport, way)()

    log, peer = kit.connection(pause=paused)
    log.transport.set_write_buffer_limits(high=100_000)
    log.transport.write(PATTERN * 8)
    kit.turns(2)
    got = bytearray()
    if way == "nothing":
        log.transport.close()
    kit.thread(drain, peer, got)
    end(kit, log)
    kit.close_threads()
    kit.check(sizes, "pause_writing did not come")
    kit.check(sizes[0] > 100_000, f"only {sizes[0]} bytes wait in pause_writing, with a mark of 100,000")
    kit.equal((len(got) == 8 * MIB, "resume" in log.flow), (way != "abort", way != "abort"), "(all arrived, resumed)")


@case("EOF-1")
def test_end_alone_while_reading_is_paused(kit: Kit) -> None:
    """An end of file that comes with no bytes while reading is paused is told once reading is resumed."""
    log, peer = kit.connection()
    kit.turns(2)
    log.pause_reading()
    peer.shutdown(socket.SHUT_WR)
    kit.run_for(0.003)
    kit.equal(log.events, ["made"], "events while reading is paused")
    log.resume_reading()
    kit.run(log.until_event("lost"))
    kit.equal(log.events, ["made", "eof", "lost"], "events")


@case("STREAM-6")
def test_each_pause_holds_back_the_rest(kit: Kit) -> None:
    """Of much that waits a protocol that pauses in each data_received gets one piece each time it resumes."""
    log, peer = kit.connection(data=lambda log, _: log.pause_reading())
    peer.setblocking(True)
    kit.thread(peer.sendall, PATTERN)

    async def main() -> None:
        while len(log.received) < len(PATTERN):
            await log.until(lambda: log.is_paused)
            await asyncio.sleep(0.002)
            log.resume_reading()

    kit.run(main())
    kit.close_threads()
    kit.check(bytes(log.received) == PATTERN, "other bytes arrived")
    log.transport.abort()
    end(kit, log)


@case("FLOW-2")
def test_resumes_behind_the_end(kit: Kit) -> None:
    """A protocol that is paused when it says by write_eof() that it writes no more is resumed once all is sent."""
    log, peer = kit.connection()
    log.transport.write(PATTERN)
    log.transport.write_eof()
    kit.equal(log.flow, ["pause"], "calls while the peer reads nothing")
    got = bytearray()
    kit.thread(drain, peer, got)
    end(kit, log)
    kit.close_threads()
    kit.equal((len(got), log.flow), (len(PATTERN), ["pause", "resume"]), "bytes that arrived, and calls")
