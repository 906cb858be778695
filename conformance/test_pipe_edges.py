# real clock
"""Cases of pipes at their edges (PIPE-*): paused at once, broken, used again, and what they say of themselves."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, reset

MUCH = bytes(range(256)) * 4096  # more than a pipe takes


def reading(kit: Kit, fd: int, **hooks: Any) -> Log:
    log = kit.protocol(**hooks)
    kit.run(kit.loop.connect_read_pipe(lambda: log, os.fdopen(fd, "rb", 0)))
    return log


def writing(kit: Kit, fd: int, **hooks: Any) -> Log:
    log = kit.protocol(**hooks)
    kit.run(kit.loop.connect_write_pipe(lambda: log, os.fdopen(fd, "wb", 0)))
    return log


def end(kit: Kit, log: Log) -> None:
    kit.run(log.until_event("lost"))
    kit.turns(3)


@case("PIPE-1")
def test_paused_when_made(kit: Kit) -> None:
    """A read pipe that is paused in connection_made gives nothing before it is resumed, then all, and its end."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"early")
    log = reading(kit, read_end, made=lambda log, _: log.pause_reading())
    kit.run_for(0.005)
    kit.equal((bytes(log.received), log.transport.is_reading()), (b"", False), "received, and is_reading()")
    os.close(write_end)
    kit.run_for(0.005)
    kit.equal(log.events, ["made"], "events while it is paused")
    log.resume_reading()
    end(kit, log)
    kit.equal((bytes(log.received), log.events), (b"early", ["made", "data", "eof", "lost"]), "received, and events")


@case("PIPE-1")
def test_paused_many_times(kit: Kit) -> None:
    """Each of three times that a read pipe is paused and resumed, it gives what came meanwhile, and its end after."""
    read_end, write_end = os.pipe()
    log = reading(kit, read_end)
    for number in range(3):
        for _ in range(number + 1):  # a second call is harmless (bpo-29745)
            log.pause_reading()
        os.write(write_end, b"%d" % number)
        kit.run_for(0.003)
        log.resume_reading()  # one ends them all
        kit.run(log.until(lambda n=number: len(log.received) == n + 1))  # type: ignore[misc]
        log.resume_reading()
    log.pause_reading()
    os.close(write_end)
    kit.run_for(0.003)
    log.resume_reading()
    end(kit, log)
    kit.equal((bytes(log.received), log.error), (b"012", None), "received, and the error")


@family("PIPE-2", how=("close", "abort", "reader_goes", "write_eof"))
def test_write_after_the_end(kit: Kit, how: str) -> None:
    """What is written to a pipe that was closed or is lost is dropped without an exception (uvloop#506)"""
    read_end, write_end = os.pipe()
    log = writing(kit, write_end)
    if how == "reader_goes":
        os.close(read_end)
    else:
        getattr(log.transport, how)()
        _ = how == "write_eof" or log.transport.write(b"late")
    end(kit, log)
    log.transport.write(b"later")
    log.transport.write_eof()
    log.transport.close()
    kit.turns(3)
    kit.equal((log.events, log.transport.is_closing()), (["made", "lost"], True), "events, and is_closing()")
    if how != "reader_goes":
        kit.equal(os.read(read_end, 10), b"", "bytes that arrived")
        os.close(read_end)


@case("PIPE-2")
def test_broken_while_bytes_wait(kit: Kit) -> None:
    """A pipe whose reader goes while bytes wait has lost them: connection_lost tells an OSError."""
    read_end, write_end = os.pipe()
    log = writing(kit, write_end)
    log.transport.write(MUCH)
    kit.turns(2)
    kit.check(log.transport.get_write_buffer_size() > 0, "nothing waits")
    os.close(read_end)
    end(kit, log)
    kit.check(isinstance(log.error, OSError), f"connection_lost got {log.error!r}")
    kit.equal(log.transport.get_write_buffer_size(), 0, "bytes that wait afterwards")


@case("PIPE-2")
def test_written_buffer_may_change(kit: Kit) -> None:
    """A bytearray that waits in a write pipe may be changed by its owner: what was written arrives."""
    read_end, write_end = kit.pipe()
    log = writing(kit, os.dup(write_end))
    sent = kit.fill(write_end)
    data = bytearray(b"a" * 1000)
    log.transport.write(data)
    log.transport.write(data)
    data[:] = b"b" * 1000
    log.transport.close()
    got = bytearray()
    kit.reader(read_end, lambda: got.extend(os.read(read_end, 1 << 16)))
    end(kit, log)
    kit.run_for(0.003)
    got += os.read(read_end, 1 << 16) if len(got) < sent + 2000 else b""
    kit.equal(bytes(got[sent:]), b"a" * 2000, "bytes that arrived")


@family("PIPE-3", end_of=("read", "write"))
def test_number_used_again(kit: Kit, end_of: str) -> None:
    """The number of a pipe that was closed serves the next one, thrice; get_extra_info knows the file (uvloop#262)"""
    for _ in range(3):
        ends = os.pipe()
        own, other = ends if end_of == "read" else reversed(ends)
        log = kit.protocol()
        file = os.fdopen(own, "rb" if end_of == "read" else "wb", 0)
        connect = kit.loop.connect_read_pipe if end_of == "read" else kit.loop.connect_write_pipe
        kit.run(connect(lambda log=log: log, file))  # type: ignore[misc]
        kit.check(log.transport.get_extra_info("pipe") is file, "get_extra_info('pipe') is something else")
        if end_of == "read":
            os.write(other, b"x")
            kit.run(log.until_event("data"))
        else:
            log.transport.write(b"x")
            kit.equal(os.read(other, 10), b"x", "bytes that arrived")
        log.transport.close()
        end(kit, log)
        os.close(other)


@family("PIPE-3", how=("close", "eof", "abort"))
def test_state_of_a_pipe(kit: Kit, how: str) -> None:
    """is_closing and get_protocol of a pipe are right while it is open, closing and lost"""
    read_end, write_end = os.pipe()
    log = writing(kit, write_end) if how == "abort" else reading(kit, read_end)
    seen = [log.transport.is_closing(), log.transport.get_protocol() is log]
    if how == "eof":
        os.close(write_end)
    else:
        getattr(log.transport, how)()
        seen.append(log.transport.is_closing())
    end(kit, log)
    kit.equal((seen[:2], all(seen[2:]), log.transport.is_closing()), ([False, True], True, True), "state")
    for fd in {"eof": (), "close": (write_end,), "abort": (read_end,)}[how]:
        os.close(fd)


@case("PIPE-3")
def test_second_protocol_of_a_pipe(kit: Kit) -> None:
    """Pipes hand what comes to the protocol that set_protocol gave last; a write pipe can end alone."""
    read_end, write_end = os.pipe()
    logs = [reading(kit, read_end), writing(kit, write_end)]
    kit.equal(logs[1].transport.can_write_eof(), True, "can_write_eof()")
    seconds = []
    for log in logs:
        seconds.append(second := kit.protocol())
        second.transport, second.events = log.transport, ["made"]
        log.transport.set_protocol(second)
        kit.check(log.transport.get_protocol() is second, "get_protocol() is another one")
    seconds[1].transport.write(b"x")
    kit.run(seconds[0].until_event("data"))
    seconds[1].transport.write_eof()
    for second in seconds:
        kit.run(second.until_event("lost"))
    kit.equal([log.events for log in logs], [["made"], ["made"]], "what the first protocols saw")


@case("PIPE-2")
def test_ended_twice(kit: Kit) -> None:
    """write_eof and close in any order and number end a write pipe once."""
    for ways in (("write_eof", "write_eof"), ("write_eof", "close"), ("close", "write_eof"), ("close", "close")):
        read_end, write_end = os.pipe()
        log = writing(kit, write_end)
        for way in ways:
            getattr(log.transport, way)()
        end(kit, log)
        kit.equal((log.events, os.read(read_end, 1)), (["made", "lost"], b""), f"after {ways}")
        os.close(read_end)
    kit.run(asyncio.sleep(0))


@case("PIPE-1")
def test_paused_inside_data_received(kit: Kit) -> None:
    """A read pipe that is paused in data_received gives no more, however much waits, before it is resumed."""
    read_end, write_end = os.pipe()
    os.write(write_end, MUCH[:60_000])
    os.close(write_end)
    log = reading(kit, read_end, data=lambda log, _: log.pause_reading())
    while "lost" not in log.events:
        kit.run_for(0.002)
        log.resume_reading()
    kit.check(bytes(log.received) == MUCH[:60_000], f"{len(log.received)} bytes came, or other ones")


@family("PIPE-1", when=("at_once", "bytes_wait", "end_waits"))
def test_close_of_a_paused_pipe(kit: Kit, when: str) -> None:
    """close() of a read pipe that is paused ends it: connection_lost(None) comes, and nothing of what waits"""
    read_end, write_end = os.pipe()
    log = reading(kit, read_end)
    log.pause_reading()
    if when == "bytes_wait":
        os.write(write_end, b"unread")
    if when == "end_waits":
        os.close(write_end)
    kit.turns(2)
    log.transport.close()
    end(kit, log)
    kit.equal((log.events, log.error), (["made", "lost"], None), "events and error")
    if when != "end_waits":
        os.close(write_end)


@family("PIPE-1", end_of=("read", "write"))
def test_pipe_never_blocks(kit: Kit, end_of: str) -> None:
    """The file of a pipe transport is set to non-blocking, whatever it was"""
    ends = os.pipe()
    own, other = ends if end_of == "read" else reversed(ends)
    log = reading(kit, own) if end_of == "read" else writing(kit, own)
    kit.check(not os.get_blocking(own), f"the {end_of} end is blocking")
    log.transport.close()
    end(kit, log)
    os.close(other)


@case("PIPE-1")
def test_terminal_whose_other_end_goes(kit: Kit) -> None:
    """A read pipe on a pseudo-terminal whose other end is closed ends (EIO), and the exception handler is not told."""
    master, slave = needs.terminal(kit)
    log = reading(kit, master)
    os.write(slave, b"bye")
    kit.run(log.until_event("data"))
    os.close(slave)
    end(kit, log)
    kit.equal(bytes(log.received), b"bye", "received")


@family("PIPE-1", how=("close", "eof"), when=("closing", "lost"))
def test_paused_after_its_end(kit: Kit, how: str, when: str) -> None:
    """pause_reading and resume_reading of a read pipe that is closing or lost do nothing (bpo-38019)"""
    read_end, write_end = os.pipe()

    def use(log: Log, _: object = None) -> None:
        log.transport.pause_reading()
        log.transport.resume_reading()

    log = reading(kit, read_end, **({"eof": use} if when == "closing" else {}))
    if how == "close":
        log.transport.close()
        _ = when == "lost" or use(log)
        os.write(write_end, b"late")
    os.close(write_end)
    end(kit, log)
    use(log)
    kit.turns(3)
    kit.equal(log.events, ["made", *(["eof"] if how == "eof" else []), "lost"], "events")


@case("PIPE-1")
def test_error_of_a_read_pipe(kit: Kit) -> None:
    """A read pipe on a socket that is reset is lost with the error, after the bytes that came before."""
    kit.errors.clear()  # it may be told there too
    given, peer = kit.tcp_pair()
    log = kit.protocol()
    kit.run(kit.loop.connect_read_pipe(lambda: log, given))
    peer.send(b"hello")
    kit.run(log.until_event("data"))
    reset(peer)
    end(kit, log)
    kit.equal(bytes(log.received), b"hello", "received")
    kit.check(isinstance(log.error, ConnectionResetError), f"connection_lost got {log.error!r}")


@case("PIPE-2")
def test_reader_goes_when_all_is_sent(kit: Kit) -> None:
    """A write pipe of which nothing waits has lost nothing when its reader goes: connection_lost(None) comes."""
    for data in (b"", b"read"):
        read_end, write_end = os.pipe()
        log = writing(kit, write_end)
        log.transport.write(data)
        kit.turns(2)
        kit.equal(os.read(read_end, 10) if data else b"", data, "bytes that arrived")
        os.close(read_end)
        end(kit, log)
        kit.check(log.error is None, f"connection_lost got {log.error!r}")


@case("PIPE-3")
def test_two_transports_of_one_pipe(kit: Kit) -> None:
    """Two transports write to duplicates of one pipe, as stdout and stderr may be; it ends with the second."""
    read_end, write_end = os.pipe()
    source = reading(kit, read_end)
    sinks = [writing(kit, os.dup(write_end)), writing(kit, write_end)]
    for sink, data in zip(sinks, (b"one ", b"two"), strict=True):
        sink.transport.write(data)
        sink.transport.close()
        end(kit, sink)
        kit.run(source.until(lambda data=data: source.received.endswith(data)))  # type: ignore[misc]
    end(kit, source)
    kit.equal((bytes(source.received), source.events[1:]), (b"one two", ["data", "eof", "lost"]), "what was read")


@family("CONN-1", after=("1", "2", "3"))
def test_cancelled_pipe_is_not_read(kit: Kit, after: str) -> None:
    """A connect_read_pipe() that is cancelled leaves no transport behind that goes on to read the pipe"""
    read_end, write_end = kit.pipe()
    file = os.fdopen(os.dup(read_end), "rb", 0)
    kit.turns(1)

    async def main() -> None:
        task = asyncio.ensure_future(kit.loop.connect_read_pipe(asyncio.Protocol, file))
        for _ in range(int(after)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()[0].close()
        await asyncio.sleep(0.003)
        kit.put(write_end)
        await asyncio.sleep(0.003)

    kit.run(main())
    number = -1 if file.closed else file.fileno()
    is_open = os.path.lexists(f"/dev/fd/{number}")
    kit.check(number == -1 or is_open, f"the file believes that it has {number}, which is closed")
    file.close()
    kit.equal(os.read(read_end, 10), b"x", "what was not read")
