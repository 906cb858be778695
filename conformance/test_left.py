# real clock
"""Cases of the state that a call leaves which failed, was left by an exception, or is over (FD-*, LIFE-*, SIGNAL-*)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import os
import signal
import sys
import tempfile
import time
import weakref
from collections.abc import Callable

from loopcheck.family import family
from loopcheck.kit import Kit, case

LEAVING: dict[str, type[BaseException]] = {"exit": SystemExit, "interrupt": KeyboardInterrupt}
DAY_S = 86400.0


@family("FD-8", side=("reader", "writer"), what=("file", "closed"))
def test_watch_that_was_refused(kit: Kit, side: str, what: str) -> None:
    """A regular file is refused or called back, a closed number refused; nothing is left that could be removed"""
    calls: list[int] = []
    kit.turns(1)
    with tempfile.TemporaryFile() as file:
        number = file.fileno() if what == "file" else kit.socketpair()[0].detach()
        if what == "closed":
            os.close(number)
        for _ in range(2):
            try:
                getattr(kit.loop, f"add_{side}")(number, kit.observed(calls.append), 1)
            except (OSError, ValueError):
                kit.check(not getattr(kit.loop, f"remove_{side}")(number), f"remove_{side}() found something to remove")
                continue
            kit.turns(3)
            kit.check(calls, f"add_{side}() of what cannot be watched was silent", rule="FD-11")
            kit.check(getattr(kit.loop, f"remove_{side}")(number), f"remove_{side}() found nothing")


@family("CTX-1", side=("reader", "writer"))
def test_context_of_a_watcher_that_replaces(kit: Kit, side: str) -> None:
    """A watcher that replaces another runs in the context of its own add_reader or add_writer"""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("replaced", default="none")
    left, right = kit.socketpair()
    kit.put(right)
    seen: list[str] = []

    def add(value: str) -> None:
        variable.set(value)
        getattr(kit.loop, f"add_{side}")(left, kit.observed(lambda: seen.append(variable.get())))

    for value in ("first", "second"):
        contextvars.copy_context().run(add, value)
    kit.turns(3)
    getattr(kit.loop, f"remove_{side}")(left)
    kit.equal(set(seen), {"second"}, "the variable in the callback")


@family("LIFE-6", end=("stop", "exit"))
def test_asyncgen_hooks_of_the_user(kit: Kit, end: str) -> None:
    """Hooks for asynchronous generators that the user has set are there again after a run (bpo-28003)"""
    hooks = (lambda generator: None), (lambda generator: None)
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(*hooks)
    try:
        if end == "stop":
            kit.turns(2)
        else:
            kit.soon(sys.exit)
            kit.raises(SystemExit, kit.run_forever)
        kit.equal(tuple(sys.get_asyncgen_hooks()), hooks, "the hooks after the run")
    finally:
        sys.set_asyncgen_hooks(*before)


@case("THREAD-2")
def test_running_seen_from_another_thread(kit: Kit) -> None:
    """is_running() says in every thread whether the loop runs."""
    said: list[bool] = []

    answer: concurrent.futures.Future[None] = concurrent.futures.Future()

    async def main() -> None:
        await asyncio.wait_for(asyncio.wrap_future(answer), 2)

    def ask() -> None:
        said.append(kit.loop.is_running())
        answer.set_result(None)

    def begin() -> None:
        kit.thread(ask)

    kit.soon(begin)
    kit.run(main())
    thread = kit.thread(lambda: said.append(kit.loop.is_running()))
    thread.join()
    kit.equal(said, [True, False], "is_running() while it runs and afterwards, on another thread")


@family("TIMER-9", delay_s={"month": 30 * DAY_S, "year": 365 * DAY_S, "age": 1e10, "end": 1e300})
def test_loop_with_a_far_timer_alone(kit: Kit, delay_s: float) -> None:
    """A loop that has nothing but a timer further away than its kernel can wait sleeps, and wakes for a post"""
    try:
        timer = kit.loop.call_later(delay_s, kit.fail, "it fired")
    except (OverflowError, ValueError):
        return
    kit.thread(lambda: (time.sleep(0.005), kit.threadsafe(kit.stop)))
    kit.run_forever()
    timer.cancel()
    kit.turns(2)


@case("TIMER-8")
def test_timers_in_a_set(kit: Kit) -> None:
    """Timers that differ can be kept in a set and found there, before and after they were cancelled or fired."""
    timers = [kit.loop.call_later(delay_s, kit.observed(int)) for delay_s in (0.001, 0.002, 3600)]
    kept = set(timers)
    kit.equal(len(kept), 3, "timers in the set")
    kit.check(all(one in kept for one in timers), "a timer is not found in the set")
    kit.run_for(0.005)
    timers[2].cancel()
    kit.check(hash(timers[2]) == hash(timers[2]), "a hash that changes")


@case("TIMER-3")
def test_cancel_of_a_timer_that_has_fired(kit: Kit) -> None:
    """Cancelling timers that have fired takes none of those that wait (zuvloop#15c)."""
    ran: list[int] = []
    fired = [kit.later(0.001, ran.append, 0) for _ in range(5)]
    kit.run_for(0.003)
    for number in range(1, 6):
        kit.later(0.002 * number, ran.append, number)
    for timer in fired:
        timer.cancel()
        timer.cancel()
    kit.run_for(0.015)
    kit.equal(ran, [0] * 5 + [1, 2, 3, 4, 5], "timers that fired")


class Thing:
    """Something to be weakly referenced, and called."""

    def __call__(self, *_: object) -> None: ...


def ask_reader(kit: Kit, thing: Thing) -> None:
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    kit.loop.add_reader(read_end, lambda: (thing(), kit.loop.remove_reader(read_end)))


ASK: dict[str, Callable[[Kit, Thing], object]] = {
    "soon": lambda kit, thing: kit.loop.call_soon(thing),
    "threadsafe": lambda kit, thing: kit.loop.call_soon_threadsafe(thing),
    "timer": lambda kit, thing: kit.loop.call_later(0.001, thing),
    "reader": ask_reader,
    "context": lambda kit, thing: contextvars.Context().run(kit.loop.call_soon, thing),
}


@family("LIFE-11", kind=ASK)
def test_released_while_the_loop_sleeps(kit: Kit, kind: Callable[[Kit, Thing], object]) -> None:
    """A callback that has run is let go before the loop sleeps, though nothing else comes (bpo-29271)"""
    states: list[bool] = []
    kept: list[weakref.ref[Thing]] = []

    def ask() -> None:
        thing = Thing()
        kept.append(weakref.ref(thing))
        kind(kit, thing)

    def look() -> None:
        deadline = time.monotonic() + 2
        while kept[0]() is not None and time.monotonic() < deadline:
            time.sleep(0.002)
            gc.collect()
        states.append(kept[0]() is None)
        kit.threadsafe(kit.stop)

    kit.loop.set_debug(False)
    ask()
    kit.thread(look)
    kit.run_forever()
    kit.equal(states, [True], "is it let go")


@family("ERR-3", error=LEAVING)
def test_task_that_leaves_the_run_is_told_once(kit: Kit, error: type[BaseException]) -> None:
    """What leaves the run out of run_until_complete's own task is not told as never retrieved too (bpo-22429)"""
    kit.errors.clear()

    async def leave() -> None:
        kit.recorder.note()
        raise error("planted")

    with kit.running():
        kit.raises(error, lambda: kit.loop.run_until_complete(leave()))
    gc.collect()
    kit.turns(2)
    other = kit.new_loop()
    kit.raises(error, lambda: other.run_until_complete(leave()))
    other.close()
    gc.collect()
    kit.equal([one.get("message") for one in kit.errors], [], "messages to the exception handler")


@family("LIFE-8", error=LEAVING)
def test_task_that_leaves_the_run_stops_no_other(kit: Kit, error: type[BaseException]) -> None:
    """A task that left run_until_complete by SystemExit or KeyboardInterrupt does not end the next run (bpo-22429)"""

    async def leave() -> None:
        raise error("planted")

    async def count() -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return 5

    for make in (leave, lambda: kit.loop.create_task(leave())):
        with kit.running():
            kit.raises(error, lambda make=make: kit.loop.run_until_complete(make()))
        kit.equal(kit.run(count()), 5, "result of the next run")
    kit.errors.clear()


@case("LIFE-8")
def test_stopped_run_leaves_its_task_in_peace(kit: Kit) -> None:
    """The task of a run_until_complete that was stopped early is dropped in silence."""
    kit.errors.clear()

    async def wait() -> None:
        kit.loop.call_soon(kit.loop.stop)
        await kit.loop.create_future()

    with kit.running():
        kit.raises(RuntimeError, lambda: kit.loop.run_until_complete(wait()))
    kit.turns(2)
    gc.collect()
    kit.turns(2)
    kit.equal([one.get("message") for one in kit.errors], [], "messages to the exception handler")


@family("SIGNAL-1", number=("SIGKILL", "SIGSTOP"))
def test_signal_handler_that_was_refused(kit: Kit, number: str) -> None:
    """An add_signal_handler that fails leaves no handler to be removed, and the loop takes another"""
    calls: list[int] = []
    removed: list[bool] = []

    async def main() -> None:
        loop, kind = kit.loop, getattr(signal, number)
        for _ in range(2):
            with contextlib.suppress(RuntimeError, ValueError, OSError):
                loop.add_signal_handler(kind, int)
                kit.fail("it was taken")
            with contextlib.suppress(ValueError):
                removed.append(loop.remove_signal_handler(kind))
        loop.add_signal_handler(signal.SIGUSR1, kit.observed(calls.append), 1)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0.01)
        loop.remove_signal_handler(signal.SIGUSR1)

    kit.run(main())
    kit.check(not any(removed), "remove_signal_handler() found something to remove")
    kit.equal(calls, [1], "calls of a handler that was taken")
    kit.equal(signal.set_wakeup_fd(-1), -1, "wakeup fd after the last handler was removed", rule="LIFE-6")


@case("LIFE-6")
def test_wakeup_fd_after_a_refusal(kit: Kit) -> None:
    """After an add_signal_handler that failed, no other handler being there, no wakeup fd is left."""
    kit.turns(1)
    with contextlib.suppress(RuntimeError, ValueError, OSError):
        kit.loop.add_signal_handler(signal.SIGKILL, int)
    kit.equal(signal.set_wakeup_fd(-1), -1, "wakeup fd")


@case("SIGNAL-1")
def test_signals_of_several_kinds_at_once(kit: Kit) -> None:
    """Of signals of several kinds that are raised in one callback each has its handler called."""
    kinds = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM)
    calls: list[int] = []
    removed: list[bool] = []

    async def main() -> None:
        for kind in kinds:
            kit.loop.add_signal_handler(kind, kit.observed(calls.append), kind)
        for kind in kinds:
            os.kill(os.getpid(), kind)
        await asyncio.sleep(0.02)
        removed.extend(kit.loop.remove_signal_handler(kind) for _ in range(2) for kind in kinds)

    kit.run(main())
    kit.equal(sorted(calls), sorted(kinds), "handlers that were called")
    kit.equal(removed, [True] * 4 + [False] * 4, "remove_signal_handler() of each, twice")


@case("LIFE-6")
def test_handlers_go_with_the_loop(kit: Kit) -> None:
    """A loop that has run and is closed with handlers leaves the signals to their defaults."""
    kit.turns(1)
    loop = kit.new_loop()

    async def main() -> None:
        for kind in (signal.SIGUSR1, signal.SIGINT):
            loop.add_signal_handler(kind, int)

    loop.run_until_complete(main())
    loop.close()
    kit.equal(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL, "handler of SIGUSR1")
    kit.equal(signal.getsignal(signal.SIGINT), signal.default_int_handler, "handler of SIGINT")


@case("SIGNAL-1")
def test_run_without_handlers_has_no_wakeup_fd(kit: Kit) -> None:
    """While a loop without signal handlers runs, the wakeup fd that the user has set is there (uvloop@48d376d)."""
    _left, right = kit.socketpair()
    before = signal.set_wakeup_fd(right.fileno())
    seen: list[int] = []

    def look() -> None:
        number = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(number)
        seen.append(number)

    try:
        kit.soon(look)
        kit.turns(2)
        look()
    finally:
        signal.set_wakeup_fd(before)
    kit.equal(seen, [right.fileno()] * 2, "wakeup fd in and after the run")


EXITS: dict[str, type[BaseException]] = {"generator": GeneratorExit, "own": type("Own", (BaseException,), {})}


def ask_signal(kit: Kit, fn: Callable[..., object]) -> None:
    kit.loop.add_signal_handler(signal.SIGUSR1, lambda: (kit.loop.remove_signal_handler(signal.SIGUSR1), fn()))
    kit.loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)


def ask_once_readable(kit: Kit, fn: Callable[..., object]) -> None:
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    kit.loop.add_reader(read_end, lambda: (kit.loop.remove_reader(read_end), fn()))


def ask_future(kit: Kit, fn: Callable[..., object]) -> None:
    future = kit.loop.create_future()
    future.add_done_callback(fn)
    future.set_result(None)


CALLBACKS: dict[str, Callable[[Kit, Callable[..., object]], object]] = {
    "soon": lambda kit, fn: kit.loop.call_soon(fn),
    "threadsafe": lambda kit, fn: kit.loop.call_soon_threadsafe(fn),
    "timer": lambda kit, fn: kit.loop.call_later(0.001, fn),
    "reader": ask_once_readable,
    "signal": ask_signal,
    "future": ask_future,
}


@family("ERR-1", error=EXITS, kind=CALLBACKS)
def test_base_exception_is_told(kit: Kit, error: type[BaseException], kind: Callable[..., object]) -> None:
    """A BaseException that is none of those that leave the run is told to the handler, and the loop runs on"""
    kit.errors.clear()
    ran: list[int] = []

    def leave(*_: object) -> None:
        raise error("planted")

    kind(kit, leave)
    kit.soon(ran.append, 1)
    kit.run_for(0.01)
    kit.equal(ran, [1], "neighbours that ran")
    kit.equal([type(one.get("exception")) for one in kit.errors], [error], "exceptions that the handler was told of")
