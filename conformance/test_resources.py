# real clock
"""Cases of the lifecycle area: what a loop keeps, uses while idle, and gives back (LIFE-3, 4, 6, 11, 12).

Open fds, threads and signal state are compared around every case by the kit; the cases here make
loops do what opens them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import AsyncGenerator, Callable

from loopcheck.kit import Kit, case

IDLE_S = 0.3
SWITCHES_MAX = 8  # voluntary context switches in IDLE_S: a loop that polls every 30 ms has more
CPU_MAX_S = 0.1  # in IDLE_S
ROUNDS = 3000  # of what may leave no memory behind


class Thing:
    """Something to be weakly referenced and called."""

    def __call__(self, *args: object) -> None: ...


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


@case("LIFE-3")
def test_fds_of_twenty_loops(kit: Kit) -> None:
    """Twenty loops, made, run and closed one after the other, leave no fd (H2)."""
    kit.turns(1)
    before = open_fds()
    for _ in range(20):
        loop = kit.new_loop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    kit.equal(open_fds(), before, "open fds after twenty loops")


@case("LIFE-3")
def test_fds_of_a_loop_that_never_ran(kit: Kit) -> None:
    """A loop that is closed without having run gives its fds back; so does one with work left (zuvloop@7cf5ff6)."""
    kit.turns(1)
    before = open_fds()
    for has_work in (False, True):
        loop = kit.new_loop()
        if has_work:
            loop.call_soon_threadsafe(int)
            loop.call_later(60, print)
            loop.add_reader(kit.pipe()[0], print)
            before += 2  # the pipe
        loop.close()
        kit.equal(open_fds(), before, "open fds")


@case("LIFE-3")
def test_users_fds_stay_open(kit: Kit) -> None:
    """Fds that were watched, with the watcher removed or not, are open after close (T4)."""
    ends = [*kit.pipe(), *(sock.fileno() for sock in kit.socketpair())]
    kit.reader(ends[0], print)
    kit.writer(ends[1], kit.stop)
    kit.reader(ends[2], print)
    kit.writer(ends[3], print)
    kit.run_forever()
    kit.remove_reader(ends[2])
    kit.loop.close()
    for fd in ends:
        try:
            os.fstat(fd)
        except OSError:
            kit.fail(f"the user's fd {fd} was closed")


@case("LIFE-3")
def test_fds_of_transports_and_servers(kit: Kit) -> None:
    """Connections, servers and refused connects leave no fd when they are closed (rsloop PR#31, rsloop@0ac2e0e)."""
    log, _ = kit.connection()
    log.transport.close()
    kit.run(log.until_event("lost"))
    kit.turns(3)
    before = open_fds()

    async def main() -> None:
        for _ in range(5):
            server = await kit.loop.create_server(asyncio.Protocol, "127.99.0.3", 0)  # nobody else takes its port
            address = server.sockets[0].getsockname()
            transport, _ = await kit.loop.create_connection(asyncio.Protocol, *address)
            transport.abort()
            server.close()
            await asyncio.sleep(0.005)
            with contextlib.suppress(ConnectionRefusedError):
                await kit.loop.create_connection(asyncio.Protocol, *address)

    kit.run(main())
    kit.run_for(0.02)
    gc.collect()
    kit.equal(open_fds(), before, "open fds")


def idle(kit: Kit, seconds: float) -> tuple[int, float]:
    """Runs the loop for a while; returns the process's voluntary context switches and CPU seconds."""
    kit.run_for(0.01)
    before = resource.getrusage(resource.RUSAGE_SELF)
    kit.run_for(seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return after.ru_nvcsw - before.ru_nvcsw, cpu_s


def check_idle(kit: Kit) -> None:
    switches, cpu_s = idle(kit, IDLE_S)
    kit.check(switches <= SWITCHES_MAX, f"an idle loop woke up {switches} times in {IDLE_S} s")
    kit.check(cpu_s <= CPU_MAX_S, f"an idle loop used {cpu_s:.3f} s of CPU in {IDLE_S} s")


@case("LIFE-4")
def test_idle_loop_sleeps(kit: Kit) -> None:
    """A loop with nothing to do but a timer in 600 ms sleeps until then (T10: 1 ms polling)."""
    of_a_run, _ = idle(kit, 0.01)  # what a loop with threads of its own pays for any run
    switches, cpu_s = idle(kit, 2 * IDLE_S)
    kit.check(switches <= of_a_run + 4, f"an idle loop woke up {switches} times in {2 * IDLE_S} s, {of_a_run} in 10 ms")
    kit.check(cpu_s <= CPU_MAX_S, f"an idle loop used {cpu_s:.3f} s of CPU in {2 * IDLE_S} s")


@case("LIFE-4")
def test_idle_watchers_sleep(kit: Kit) -> None:
    """A loop with idle readers, a sock_accept and a far timer sleeps (T10)."""
    far = kit.later(3600, kit.fail, "a timer of one hour fired")
    listener = kit.listener()
    kit.reader(kit.pipe()[0], kit.fail, "an idle reader was called")
    kit.reader(listener, kit.fail, "an idle listener was called")
    accept = asyncio.ensure_future(kit.loop.sock_accept(kit.listener()), loop=kit.loop)
    log, _ = kit.connection()
    check_idle(kit)
    kit.cancel(far)
    accept.cancel()
    log.transport.abort()
    kit.run(log.until_event("lost"))


@case("LIFE-4")
def test_sleeps_after_work(kit: Kit) -> None:
    """Cancelled timers, removed watchers, sent buffers and served posts leave nothing to poll (libuv 47e95602c)."""
    left, right = kit.socketpair()
    for _ in range(20):
        kit.cancel(kit.later(0.1, kit.stop))
        kit.cancel(kit.later(3600, kit.stop))
        kit.cancel(kit.soon(kit.stop))
        kit.thread(kit.threadsafe, int).join()
    kit.put(right)
    kit.writer(left, kit.remove_writer, left)
    kit.reader(left, kit.remove_reader, left)
    kit.put(left)
    kit.reader(right.fileno(), kit.remove_reader, right.fileno())
    kit.run(kit.loop.run_in_executor(None, int))
    log, peer = kit.connection()
    log.transport.write(b"x" * 1000)
    kit.run_for(0.02)
    kit.equal(len(peer.recv(2000)), 1000, "bytes that arrived", rule="STREAM-2")
    check_idle(kit)
    log.transport.abort()
    kit.run(log.until_event("lost"))


@case("LIFE-4")
def test_idle_company_sleeps(kit: Kit) -> None:
    """A child that lives, a signal handler, a half-closed connection, and one that is paused and was left, sleep."""
    kept = kit.protocol(eof=lambda log, _: True)
    given, peer = kit.tcp_pair()
    kit.run(kit.loop.create_connection(lambda: kept, sock=given))
    peer.shutdown(socket.SHUT_WR)
    paused, other = kit.connection()
    paused.pause_reading()
    other.shutdown(socket.SHUT_WR)
    kit.loop.add_signal_handler(signal.SIGUSR1, int)
    child = kit.run(asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    kit.run(kept.until_event("eof"))
    check_idle(kit)
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    kit.run(child.communicate(b""))
    for log in (kept, paused):
        log.transport.abort()
        kit.run(log.until_event("lost"))


@case("LIFE-6")
def test_threads_are_back(kit: Kit) -> None:
    """Loops that are made, run, posted to and closed leave no thread."""
    kit.turns(1)
    before = len(os.listdir("/proc/self/task"))
    for _ in range(3):
        loop = kit.new_loop()
        loop.call_soon_threadsafe(loop.stop)
        loop.run_forever()
        loop.close()
    end = time.monotonic() + 1
    while len(os.listdir("/proc/self/task")) > before and time.monotonic() < end:
        time.sleep(0.005)
    kit.equal(len(os.listdir("/proc/self/task")), before, "threads after three loops were closed")


DEFAULTS = {
    signal.SIGUSR1: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}


@case("LIFE-6")
def test_signal_handlers_are_back(kit: Kit) -> None:
    """remove_signal_handler and close() bring handlers and the wakeup fd back to the default (talyn BUG-057)."""
    for number in DEFAULTS:
        kit.loop.add_signal_handler(number, print)
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    kit.turns(2)
    kit.equal(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL, "handler of SIGUSR1")
    kit.loop.close()
    for number, handler in DEFAULTS.items():
        kit.equal(signal.getsignal(number), handler, f"handler of {number.name} after close")
    kit.equal(signal.set_wakeup_fd(-1), -1, "wakeup fd after close")


@case("LIFE-6")
def test_running_leaves_the_users_signals_alone(kit: Kit) -> None:
    """A run with no signal handlers of its own changes neither the user's handlers nor mask (uvloop@48d376d)."""
    calls: list[int] = []
    old = signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
    seen: list[object] = []
    try:
        mine = signal.getsignal(signal.SIGUSR1)
        kit.soon(lambda: seen.append(signal.getsignal(signal.SIGUSR1)))
        kit.soon(lambda: seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        kit.turns(3)
        kit.check(seen[0] is mine, "the user's handler was replaced during the run")
        kit.equal(seen[1], signal.pthread_sigmask(signal.SIG_BLOCK, ()), "signal mask during the run")
        kit.check(signal.getsignal(signal.SIGUSR1) is mine, "the user's handler was replaced by the run")
    finally:
        signal.signal(signal.SIGUSR1, old)


@case("LIFE-6")
def test_asyncgen_hooks_are_back(kit: Kit) -> None:
    """The hooks for asynchronous generators are the user's again after a run, also after one that raised."""
    before = sys.get_asyncgen_hooks()
    kit.turns(1)
    kit.equal(sys.get_asyncgen_hooks(), before, "asyncgen hooks after a run")
    kit.soon(exit)
    kit.raises(SystemExit, kit.run_forever)
    kit.equal(sys.get_asyncgen_hooks(), before, "asyncgen hooks after a run that raised")


def released(kit: Kit, ask: Callable[[Thing, Thing], object], after: Callable[[], object]) -> None:
    """Callback and argument handed over by `ask` are freed once `after` was called."""
    callback, argument = Thing(), Thing()
    references = [weakref.ref(callback), weakref.ref(argument)]
    kept = ask(callback, argument)
    del callback, argument
    kit.check(all(reference() is not None for reference in references), "freed before its time")
    if kept is not None:
        kept.cancel()  # type: ignore[attr-defined]
    after()
    gc.collect()
    kit.check(all(reference() is None for reference in references), "callback or argument is still held")


@case("LIFE-11")
def test_released_after_the_call(kit: Kit) -> None:
    """Callback and arguments are freed after the call (uvloop#239)."""
    loop = kit.loop

    def once(ask: Callable[..., object]) -> Callable[[Thing, Thing], None]:
        def asks(callback: Thing, argument: Thing) -> None:
            ask(callback, argument)

        return asks

    released(kit, once(loop.call_soon), lambda: kit.turns(3))
    released(kit, once(loop.call_soon_threadsafe), lambda: kit.turns(3))
    released(kit, once(lambda *args: loop.call_later(0.001, *args)), lambda: kit.run_for(0.01))


@case("LIFE-11")
def test_released_after_the_cancel(kit: Kit) -> None:
    """Callback and arguments are freed by cancel(), though the handle is kept and the timer far (zuvloop#15c)."""
    loop = kit.loop
    released(kit, loop.call_soon, lambda: kit.turns(3))
    released(kit, loop.call_soon_threadsafe, lambda: kit.turns(3))
    released(kit, lambda *args: loop.call_later(3600, *args), lambda: kit.turns(3))
    released(kit, lambda *args: loop.call_at(loop.time() + 3600, *args), lambda: kit.turns(3))


@case("LIFE-11")
def test_released_after_remove(kit: Kit) -> None:
    """A watcher's callback and arguments are freed when it is removed or replaced, also after it raised."""
    read_end, write_end = kit.pipe()
    loop = kit.loop
    kit.put(write_end)

    def add(callback: Thing, argument: Thing) -> None:
        loop.add_reader(read_end, callback, argument)
        kit.run_for(0.002)

    released(kit, add, lambda: (loop.remove_reader(read_end), kit.turns(2)))
    released(kit, add, lambda: (loop.add_reader(read_end, print), kit.turns(0)))
    loop.remove_reader(read_end)


@case("LIFE-11")
def test_alive_while_it_runs(kit: Kit) -> None:
    """A callback that cancels its own handle keeps its callable and arguments until it returns (zuvloop#153)."""
    alive: list[bool] = []

    class Canceller:
        def __call__(self, argument: Thing) -> None:
            reference = weakref.ref(argument)
            handles.pop().cancel()
            del argument
            gc.collect()
            alive.append(reference() is not None and self is not None)

    handles: list[asyncio.Handle] = []
    handles.append(kit.loop.call_soon(Canceller(), Thing()))
    kit.turns(2)
    handles.append(kit.loop.call_later(0.001, Canceller(), Thing()))
    kit.run_for(0.01)
    kit.equal(len(alive), 2, "calls")


@case("LIFE-11")
def test_loop_is_released(kit: Kit) -> None:
    """A loop can be referenced weakly and is freed after close when the last reference goes (rsloop#45)."""
    kit.turns(1)
    loop = kit.factory()
    loop.call_later(3600, print, loop)
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    try:
        reference = weakref.ref(loop)
    except TypeError:
        kit.fail("the loop cannot be referenced weakly")
    del loop
    with contextlib.suppress(Exception):
        asyncio.set_event_loop(None)  # where the factory made it the current one
    gc.collect()
    kit.check(reference() is None, "a closed loop is still held")


@case("LIFE-11")
def test_shutdown_asyncgens(kit: Kit) -> None:
    """shutdown_asyncgens closes generators that were left in the middle, and dropped ones are closed by the loop."""
    events: list[str] = []
    closed = asyncio.Event()

    async def numbers(name: str) -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            events.append(name)
            closed.set()

    async def main() -> None:
        kept, dropped = numbers("kept"), numbers("dropped")
        await kept.__anext__()
        await dropped.__anext__()
        del dropped
        gc.collect()
        await asyncio.wait([asyncio.ensure_future(closed.wait())], timeout=1)
        kit.equal(events, ["dropped"], "generators closed when they were dropped")
        await kit.loop.shutdown_asyncgens()

    kit.run(main())
    kit.equal(events, ["dropped", "kept"], "generators closed")


@case("LIFE-12")
def test_child_that_ends(kit: Kit) -> None:
    """A subprocess's output and status arrive, and no zombie stays."""

    async def main() -> tuple[bytes, int | None]:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "cat; exit 3", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate(b"hello")
        return output, process.returncode

    kit.equal(kit.run(main()), (b"hello", 3), "output and status")
    kit.raises(ChildProcessError, os.waitpid, -1, os.WNOHANG)


@case("LIFE-12")
def test_child_that_is_killed(kit: Kit) -> None:
    """A subprocess that is killed is waited for: its status arrives and no zombie stays (uvloop#128)."""

    async def main() -> int | None:
        process = await asyncio.create_subprocess_exec("/bin/sleep", "600")
        await asyncio.sleep(0.01)
        process.kill()
        return await process.wait()

    kit.equal(kit.run(main()), -signal.SIGKILL, "status")
    kit.raises(ChildProcessError, os.waitpid, -1, os.WNOHANG)


@case("LIFE-4")
def test_paused_transport_with_data_sleeps(kit: Kit) -> None:
    """A transport whose reading is paused while bytes wait makes no turns."""
    log, peer = kit.connection()
    log.pause_reading()
    kit.put(peer, b"unread")
    check_idle(kit)
    log.transport.abort()
    kit.run(log.until_event("lost"))


@case("LIFE-11")
def test_turns_leave_nothing(kit: Kit) -> None:
    """Thousands of turns and of futures leave no more memory in use than some hundred blocks."""

    def work() -> None:
        for _ in range(ROUNDS):
            kit.loop.create_future().set_result(None)
        kit.turns(ROUNDS)

    work()
    gc.collect()
    before = sys.getallocatedblocks()
    work()
    gc.collect()
    grown = sys.getallocatedblocks() - before
    kit.check(grown < ROUNDS / 4, f"{ROUNDS} turns and futures left {grown} blocks of memory behind")


@case("LIFE-11")
def test_protocol_is_released(kit: Kit) -> None:
    """A protocol is freed after connection_lost (talyn BUG-110)."""

    class Kept(asyncio.Protocol):
        """One that can be referenced weakly."""

    async def main() -> weakref.ref[Kept]:
        given, peer = kit.tcp_pair()
        transport, protocol = await kit.loop.create_connection(Kept, sock=given)
        transport.close()
        await asyncio.sleep(0.01)
        return weakref.ref(protocol)

    reference = kit.run(main())
    kit.turns(3)
    gc.collect()
    kit.check(reference() is None, "the protocol of a lost connection is still held")


@case("LIFE-14")
def test_surroundings_are_left_alone(kit: Kit) -> None:
    """A loop that is imported, used and closed changes no directory, stream, recursion limit or name of asyncio."""
    log, peer = kit.connection()
    log.transport.write(b"hello")
    kit.run(asyncio.wait_for(kit.loop.run_in_executor(None, int), 60))
    kit.run(kit.loop.shutdown_default_executor())
    log.transport.abort()
    kit.run(log.until_event("lost"))
    peer.close()
