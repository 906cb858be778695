# real clock
"""Cases of the streams area: writes at odd times and in odd sizes, and what becomes of them (STREAM-*, CLOSE-*)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, drain, end, reset

PATTERN = bytes(range(256)) * 4096  # 1 MiB


def received(kit: Kit, log: Log, peer: socket.socket) -> bytes:
    """All that the peer gets, once the transport is closed."""
    got = bytearray()
    kit.thread(drain, peer, got)
    log.transport.close()
    end(kit, log)
    kit.close_threads()
    return bytes(got)


@case("STREAM-2")
def test_write_while_the_loop_does_not_run(kit: Kit) -> None:
    """What is written while the loop does not run arrives when it runs again (zuvloop@0ff6caf)."""
    log, peer = kit.connection()
    log.transport.write(b"one ")
    log.transport.write(b"two")
    kit.equal(received(kit, log, peer), b"one two", "what arrived")


@family("STREAM-2", count={"1500": 1500, "70000": 70_000})
def test_writelines_of_many_pieces(kit: Kit, count: int) -> None:
    """writelines() of more pieces than one system call takes sends each of them, in order (talyn BUG-049)"""
    log, peer = kit.connection()
    pieces = [b"%07d" % i for i in range(count)]
    log.transport.writelines(pieces)
    kit.check(received(kit, log, peer) == b"".join(pieces), "other bytes arrived")


@case("STREAM-2")
def test_write_inside_pause_writing(kit: Kit) -> None:
    """What is written inside pause_writing is sent, though nothing else is written after it (zuvloop@1b8fcb0)."""
    log, peer = kit.connection(pause=lambda log, _: log.transport.write(b"the end"))
    got = bytearray()
    kit.thread(drain, peer, got)
    log.transport.write(PATTERN * 2)
    kit.run_for(0.02)
    log.transport.close()
    end(kit, log)
    kit.close_threads()
    kit.check(bytes(got) == PATTERN * 2 + b"the end", f"{len(got)} bytes arrived, or other ones")


@case("STREAM-2")
def test_write_to_another_inside_resume_writing(kit: Kit) -> None:
    """resume_writing of one connection may write to another one (uvloop#496)."""
    other, other_peer = kit.connection()
    log, peer = kit.connection(resume=lambda *_: other.transport.write(b"go on"))
    got = bytearray()
    log.transport.write(PATTERN * 2)
    kit.thread(drain, peer, got)
    kit.run(log.until_event("resume"))
    log.transport.close()
    end(kit, log)
    kit.equal(received(kit, other, other_peer), b"go on", "what the other connection sent")


@case("STREAM-2")
def test_read_exactly_beyond_the_limit(kit: Kit) -> None:
    """readexactly() of sixteen times the limit of a StreamReader is served (rsloop@ddf5ab6)."""

    async def main() -> bytes:
        given, peer = kit.tcp_pair()
        reader, writer = await asyncio.open_connection(sock=given)
        kit.thread(lambda: (peer.setblocking(True), peer.sendall(PATTERN)))
        got = await reader.readexactly(len(PATTERN))
        writer.close()
        await writer.wait_closed()
        return got

    kit.check(kit.run(main()) == PATTERN, "other bytes arrived")


@case("CLOSE-1")
def test_empty_write_before_close(kit: Kit) -> None:
    """write(b"") and writelines([]) before close() hold nothing up (libuv 6140507ba)."""
    log, _ = kit.connection()
    log.transport.write(b"")
    log.transport.writelines([])
    log.transport.writelines([b"", b""])
    log.transport.close()
    end(kit, log)
    kit.equal(log.events, ["made", "lost"], "events")


@family("EOF-2", how={"write": b"x", "empty": b"", "writelines": None})
def test_write_after_write_eof(kit: Kit, how: bytes | None) -> None:
    """Writing after write_eof() raises RuntimeError, also nothing and with writelines (zuvloop#17)"""
    log, _ = kit.connection()
    log.transport.write_eof()
    if how is None:
        kit.raises(RuntimeError, log.transport.writelines, [b"x"])
    else:
        kit.raises(RuntimeError, log.transport.write, how)
    log.transport.write_eof()
    log.transport.abort()
    end(kit, log)


@family("CLOSE-1", what=("write", "writelines", "write_eof"))
def test_write_after_close(kit: Kit, what: str) -> None:
    """What is written after close() harms nothing that was written before it, and connection_lost(None) comes"""
    log, peer = kit.connection()
    log.transport.write(PATTERN)
    log.transport.close()
    calls: dict[str, Any] = {"write": [b"late"], "writelines": [[b"late"]], "write_eof": []}
    with contextlib.suppress(RuntimeError):
        getattr(log.transport, what)(*calls[what])
    got = bytearray()
    kit.thread(drain, peer, got)
    end(kit, log)
    kit.close_threads()
    kit.check(got[: len(PATTERN)] == PATTERN, "what was written before close() did not arrive")
    kit.check(log.error is None, f"connection_lost got {log.error!r}")


@case("CLOSE-2")
def test_reset_after_the_end_of_file(kit: Kit) -> None:
    """A peer that sent its end of file, then resets while we write: connection_lost comes, once (talyn BUG-016)."""
    log, peer = kit.connection(eof=lambda *_: True)
    peer.shutdown(socket.SHUT_WR)
    kit.run(log.until_event("eof"))
    log.transport.write(PATTERN * 4)
    reset(peer)
    end(kit, log)
    kit.equal(log.events, ["made", "eof", "lost"], "events")
    kit.check(isinstance(log.error, ConnectionError), f"connection_lost got {log.error!r}")


@case("CLOSE-2")
def test_reset_after_a_part_was_read(kit: Kit) -> None:
    """A peer that reads a part of what waits and resets: connection_lost has the error (talyn BUG-015, bpo-37035)."""
    log, peer = kit.connection()
    log.transport.write(PATTERN * 4)
    kit.turns(3)
    peer.recv(1000)
    kit.turns(3)
    reset(peer)
    end(kit, log)
    kit.check(isinstance(log.error, ConnectionError), f"connection_lost got {log.error!r}")


@case("STREAM-4")
def test_stream_that_is_aborted(kit: Kit) -> None:
    """A StreamReader whose transport is aborted with megabytes to send reads b"" (zuvloop#16)."""

    async def main() -> bytes:
        given, _peer = kit.tcp_pair()
        reader, writer = await asyncio.open_connection(sock=given)
        writer.write(PATTERN * 16)
        writer.transport.abort()
        got = await reader.read()
        await writer.wait_closed()
        return got

    kit.equal(kit.run(main()), b"", "what read() gave")


VIEWS: dict[str, Callable[[int], memoryview]] = {
    "numbers": lambda size: memoryview(bytes(range(256)) * (size // 256)).cast("I"),
    "rows": lambda size: memoryview(bytes(range(256)) * (size // 256)).cast("B", (2, size // 2)),
}


@family("STREAM-2", view=VIEWS, size={"small": 512, "large": 1 << 20}, how=("write", "writelines"))
def test_views_of_any_shape(kit: Kit, view: Callable[[int], memoryview], size: int, how: str) -> None:
    """A view whose items are no bytes is sent whole, also when the socket does not take all of it at once"""
    log, peer = kit.connection()
    data = view(size)
    getattr(log.transport, how)(data if how == "write" else [data])
    got = received(kit, log, peer)
    kit.check(got == data.tobytes(), f"{len(got)} bytes of {size} arrived, or other ones")


@family("STREAM-2", wrong={"text": "text", "number": 5, "list": [1, 2]}, how=("write", "writelines"))
def test_no_bytes(kit: Kit, wrong: Any, how: str) -> None:
    """What is no bytes is refused with TypeError, and the connection goes on"""
    log, peer = kit.connection()
    kit.raises(TypeError, getattr(log.transport, how), wrong if how == "write" else [wrong])
    log.transport.write(b"bytes")
    kit.equal(received(kit, log, peer), b"bytes", "what arrived")


@family("CLOSE-1", pieces={"first": [b"", b"one"], "last": [b"one", b""]})
def test_empty_pieces(kit: Kit, pieces: list[bytes]) -> None:
    """writelines() with an empty piece sends the others, and holds nothing up (gh-155888)"""
    log, peer = kit.connection()
    log.transport.writelines(pieces)
    kit.turns(3)
    peer.settimeout(1.0)  # a loop may leave the sending to the kernel
    kit.equal(peer.recv(10), b"one", "what arrived")
    log.transport.close()
    kit.run_for(0.02)
    kit.equal(log.events, ["made", "lost"], "events after close()")


@case("CLOSE-1")
def test_abort_inside_pause_writing(kit: Kit) -> None:
    """A protocol that aborts in pause_writing is not told to resume (zuvloop#33)."""
    log, _ = kit.connection(pause=lambda log, _: log.transport.abort())
    log.transport.write(PATTERN * 4)
    log.transport.write(PATTERN)
    end(kit, log)
    kit.equal((log.flow, log.error), (["pause"], None), "calls, and the error of connection_lost")
