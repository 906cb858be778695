# real clock
"""Cases of pipes and terminals (PIPE-*)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import tempfile
import tty
import warnings
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log

PATTERN = bytes(range(256)) * 4096  # 1 MiB


def file_of(fd: int, mode: str) -> Any:
    return os.fdopen(fd, mode, 0)


async def read_pipe(kit: Kit, fd: int, **hooks: Any) -> Log:
    log = kit.protocol(**hooks)
    await kit.loop.connect_read_pipe(lambda: log, file_of(fd, "rb"))
    return log


async def write_pipe(kit: Kit, fd: int, **hooks: Any) -> Log:
    log = kit.protocol(**hooks)
    await kit.loop.connect_write_pipe(lambda: log, file_of(fd, "wb"))
    return log


async def take(kit: Kit, fd: int, size: int) -> bytes:
    """Reads a non-blocking fd until `size` bytes came or its end."""
    got = bytearray()
    while len(got) < size:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            await asyncio.sleep(0.001)
            continue
        if not data:
            break
        got += data
    return bytes(got)


@case("PIPE-1")
def test_megabyte_through_a_pipe(kit: Kit) -> None:
    """A megabyte from a write pipe to a read pipe of the same loop arrives in order, then its end."""

    async def main() -> Log:
        read_end, write_end = os.pipe()
        source, sink = await write_pipe(kit, write_end), await read_pipe(kit, read_end)
        source.transport.write(PATTERN)
        source.transport.close()
        await sink.until_event("lost")
        return sink

    sink = kit.run(main())
    kit.check(bytes(sink.received) == PATTERN, f"{len(sink.received)} bytes arrived, or other ones")
    kit.equal((sink.events, sink.error), (["made", "data", "eof", "lost"], None), "events and error")


@case("PIPE-1")
def test_bytes_and_end_that_wait(kit: Kit) -> None:
    """What was written before the pipe was given to the loop, and the end of file, are delivered."""

    async def main() -> Log:
        read_end, write_end = os.pipe()
        os.write(write_end, b"early")
        os.close(write_end)
        log = await read_pipe(kit, read_end)
        await log.until_event("lost")
        return log

    log = kit.run(main())
    kit.equal((bytes(log.received), log.events), (b"early", ["made", "data", "eof", "lost"]), "data and events")


@case("PIPE-1")
def test_reading_of_a_pipe_can_be_paused(kit: Kit) -> None:
    """A paused pipe gives neither data nor end; resumed it gives both."""

    async def main() -> Log:
        read_end, write_end = os.pipe()
        log = await read_pipe(kit, read_end)
        log.pause_reading()
        os.write(write_end, b"hello")
        os.close(write_end)
        await asyncio.sleep(0.01)
        kit.equal(log.events, ["made"], "events while reading is paused")
        log.resume_reading()
        await log.until_event("lost")
        return log

    kit.equal(bytes(kit.run(main()).received), b"hello", "data")


@case("PIPE-1")
def test_close_of_a_read_pipe(kit: Kit) -> None:
    """close() of a read pipe in data_received: no further data, connection_lost once, and the writer sees EPIPE."""

    async def main() -> Log:
        read_end, write_end = kit.pipe()
        log = await read_pipe(kit, os.dup(read_end), data=lambda log, _: log.transport.close())
        os.close(read_end)
        kit.put(write_end, b"one")
        await log.until_event("lost")
        kit.raises(BrokenPipeError, os.write, write_end, b"two")
        return log

    kit.equal(kit.run(main()).events, ["made", "data", "lost"], "events")


def fill(fd: int) -> int:
    """Writes to a descriptor, which nobody reads yet, more than one read of a terminal gives, or what fits."""
    os.set_blocking(fd, False)
    size = 0
    with contextlib.suppress(BlockingIOError):
        while size < 20_000:
            size += os.write(fd, PATTERN[size : size + 500])
    return size


@family("PIPE-1", kind=("terminal", "fifo", "socket"))
def test_read_from(kit: Kit, kind: str) -> None:
    """A terminal, a FIFO and a socket can be read like a pipe, to the last byte (libuv 2e2114ed8, libuv#4992)"""

    async def main(directory: str) -> tuple[int, bytes]:
        if kind == "terminal":
            read_end, write_end = needs.terminal(kit)
            tty.setraw(write_end)
        elif kind == "fifo":
            os.mkfifo(f"{directory}/fifo")
            read_end = os.open(f"{directory}/fifo", os.O_RDONLY | os.O_NONBLOCK)
            write_end = os.open(f"{directory}/fifo", os.O_WRONLY)
        else:
            read_end, write_end = (sock.detach() for sock in socket.socketpair())
        size = fill(write_end)
        os.close(write_end)
        log = await read_pipe(kit, read_end)
        await log.until_event("lost")
        return size, bytes(log.received)

    with tempfile.TemporaryDirectory() as directory:
        kit.errors.clear()  # the end of a terminal is EIO
        size, got = kit.run(main(directory))
    kit.check(got == PATTERN[:size], f"{len(got)} of {size} bytes arrived, or other ones")


@case("PIPE-2")
def test_full_pipe_pauses(kit: Kit) -> None:
    """A pipe that nobody reads pauses its protocol; read, it resumes it, and every byte arrives (uvloop#311)."""

    async def main() -> tuple[list[str], bool]:
        read_end, write_end = kit.pipe()
        log = await write_pipe(kit, os.dup(write_end))
        os.close(write_end)
        log.transport.write(PATTERN)
        kit.equal(log.flow, ["pause"], "calls after a megabyte")
        kit.check(log.transport.get_write_buffer_size() > 0, "a megabyte fit into the kernel")
        got = await take(kit, read_end, len(PATTERN))
        await log.until_event("resume")
        log.transport.close()
        await log.until_event("lost")
        return log.flow, got == PATTERN

    kit.equal(kit.run(main()), (["pause", "resume"], True), "calls, and are the bytes right")


@family("PIPE-2", when=("idle", "full", "after_a_write"))
def test_reader_goes(kit: Kit, when: str) -> None:
    """A write pipe whose reader goes is lost once, with BrokenPipeError or nothing, and later writes are dropped"""

    async def main() -> Log:
        read_end, write_end = os.pipe()
        log = await write_pipe(kit, write_end)
        if when == "full":
            log.transport.write(PATTERN)
        os.close(read_end)
        if when == "after_a_write":
            log.transport.write(b"x")
        await log.until_event("lost")
        with contextlib.suppress(RuntimeError):
            log.transport.write(b"late")
        return log

    log = kit.run(main())
    kit.turns(3)
    kit.equal(log.events, ["made", "lost"], "events")
    kit.check(log.error is None or isinstance(log.error, OSError), f"connection_lost got {log.error!r}")


@family("PIPE-2", way=("close", "write_eof"))
def test_end_sends_all(kit: Kit, way: str) -> None:
    """close() and write_eof() send what was written before, then the reader sees the end (cpython gh-70850)"""

    async def main() -> tuple[bytes, Log]:
        read_end, write_end = kit.pipe()
        log = await write_pipe(kit, os.dup(write_end))
        os.close(write_end)
        log.transport.write(PATTERN)
        log.transport.write(b"the end")
        getattr(log.transport, way)()
        got = await take(kit, read_end, len(PATTERN) + 100)
        await log.until_event("lost")
        return got, log

    got, log = kit.run(main())
    kit.check(got == PATTERN + b"the end", f"{len(got)} bytes arrived, or other ones")
    kit.equal((log.events, log.error), (["made", "lost"], None), "events and error")


@case("PIPE-2")
def test_abort_of_a_write_pipe(kit: Kit) -> None:
    """abort() of a full pipe drops what waits: connection_lost(None) comes though nobody reads."""

    async def main() -> tuple[int, Log]:
        read_end, write_end = kit.pipe()
        log = await write_pipe(kit, os.dup(write_end))
        os.close(write_end)
        log.transport.write(PATTERN)
        log.transport.abort()
        await log.until_event("lost")
        return len(await take(kit, read_end, len(PATTERN))), log

    size, log = kit.run(main())
    kit.check(size < len(PATTERN), "everything was sent")
    kit.check(log.error is None, f"connection_lost got {log.error!r}")


@case("PIPE-2")
def test_terminal_that_is_typed_into(kit: Kit) -> None:
    """A terminal stays open for writing though somebody types into it (python/asyncio#369)."""

    async def main() -> bytes:
        master, slave = needs.terminal(kit)
        tty.setraw(slave)
        log = await write_pipe(kit, slave)
        os.write(master, b"typed ahead")
        await asyncio.sleep(0.01)
        kit.equal(log.events, ["made"], "events")
        log.transport.write(b"hello")
        os.set_blocking(master, False)
        got = await take(kit, master, 5)
        log.transport.close()
        await log.until_event("lost")
        os.close(master)
        return got

    kit.equal(kit.run(main()), b"hello", "what was written")


class Watched:
    """A file whose close() is counted, and which hands its number on at once."""

    def __init__(self, fd: int) -> None:
        self.fd, self.closed = fd, 0
        self.next: tuple[int, int] | None = None

    def fileno(self) -> int:
        return self.fd

    def close(self) -> None:
        self.closed += 1
        if self.closed == 1:
            os.close(self.fd)
            self.next = os.pipe()  # one of them has the number


@family("PIPE-3", end=("read", "write"))
def test_file_is_closed_once(kit: Kit, end: str) -> None:
    """The pipe's own close() is called once, and whoever gets its number then keeps it (uvloop#763)"""
    read_end, write_end = os.pipe()
    mine, other = (read_end, write_end) if end == "read" else (write_end, read_end)
    os.set_blocking(mine, False)
    watched = Watched(mine)
    log = kit.protocol()
    connect: Any = kit.loop.connect_read_pipe if end == "read" else kit.loop.connect_write_pipe
    kit.run(connect(lambda: log, watched))
    log.transport.close()
    kit.run(log.until_event("lost"))
    kit.turns(5)
    gc.collect()
    kit.equal(watched.closed, 1, "calls of close()")
    os.close(other)
    for fd in watched.next or ():
        try:
            os.close(fd)
        except OSError:
            kit.fail(f"fd {fd}, which took the pipe's number, was closed")


@family("PIPE-3", end=("read", "write"), what=("file", "closed"))
def test_no_pipe(kit: Kit, end: str, what: str) -> None:
    """A regular file or a closed one is refused with ValueError or OSError, and nothing is left"""
    connect: Any = kit.loop.connect_read_pipe if end == "read" else kit.loop.connect_write_pipe
    with tempfile.TemporaryFile("r+b", buffering=0) as file:
        if what == "closed":
            file.close()
        refused = False
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                kit.run(connect(asyncio.Protocol, file))
            except (ValueError, OSError):
                refused = True
            kit.turns(3)
            gc.collect()
        kit.check(refused, "it was accepted")
        half_made = [text for text in (str(one.message) for one in told) if "transport" in text]
        kit.equal(half_made, [], "warnings about what was refused (asyncio#368)")
        kit.equal(file.closed, what == "closed", "was the file closed, which is its owner's")


@case("PIPE-3")
def test_two_transports_of_one_terminal(kit: Kit) -> None:
    """A terminal can be read and written by two transports of its duplicates (uvloop#262)."""

    async def main() -> tuple[bytes, bytes]:
        master, slave = needs.terminal(kit)
        tty.setraw(slave)
        source, sink = await read_pipe(kit, os.dup(slave)), await write_pipe(kit, slave)
        second = await write_pipe(kit, os.dup(slave))
        os.write(master, b"typed")
        await source.until(lambda: len(source.received) == 5)
        sink.transport.write(b"one ")
        second.transport.write(b"two")
        os.set_blocking(master, False)
        got = await take(kit, master, 7)
        for log in (source, sink, second):
            log.transport.close()
            await log.until_event("lost")
        os.close(master)
        return bytes(source.received), got

    kit.equal(kit.run(main()), (b"typed", b"one two"), "what was read and written")
