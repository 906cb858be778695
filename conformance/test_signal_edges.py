# real clock
"""Cases of signal handlers at their edges (SIGNAL-*): what is refused, restored, and left for a second use."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

NUMBER = signal.SIGUSR1


def forget(kit: Kit, number: int = NUMBER) -> None:
    """Removes a handler from a callback."""
    kit.soon(lambda: kit.check(kit.loop.remove_signal_handler(number), "remove_signal_handler said False"))
    kit.turns(2)


def send(kit: Kit, number: int = NUMBER) -> None:
    """Sends a signal from a callback and lets the loop serve it."""
    kit.soon(os.kill, os.getpid(), number)
    kit.run_for(0.01)


@case("SIGNAL-1")
def test_ctrl_c_is_itself_again(kit: Kit) -> None:
    """Once a handler of SIGINT is removed Ctrl-C raises KeyboardInterrupt as before."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        calls: list[int] = []
        kit.loop.add_signal_handler(signal.SIGINT, calls.append, 1)
        send(kit, signal.SIGINT)
        forget(kit, signal.SIGINT)
        kit.equal(calls, [1], "calls of the handler")
        kit.equal(signal.getsignal(signal.SIGINT), signal.default_int_handler, "handler of SIGINT afterwards")
    finally:
        signal.signal(signal.SIGINT, old)


async def coroutine_function() -> None:
    pass


def refused(add: Callable[[], object]) -> BaseException | None:
    try:
        add()
    except Exception as error:
        return error
    return None


@case("SIGNAL-1")
def test_refused_in_another_thread(kit: Kit) -> None:
    """Outside the main thread add_signal_handler raises, and nothing is left of it."""
    before, seen = signal.getsignal(NUMBER), list[Any]()

    def work() -> None:
        loop = kit.new_loop()
        loop.call_soon(lambda: (seen.append(refused(lambda: loop.add_signal_handler(NUMBER, print))), loop.stop()))
        loop.run_forever()

    kit.turns(1)
    kit.thread(work).join()
    kit.check(isinstance(seen[0], (RuntimeError, ValueError)), f"it ended with {seen[0]!r}")
    kit.equal(signal.getsignal(NUMBER), before, "handler afterwards")
    kit.check(not kit.loop.remove_signal_handler(NUMBER), "remove_signal_handler found one")


@case("SIGNAL-1", needs_run=False)
def test_coroutines_are_refused(kit: Kit) -> None:
    """A coroutine function or a coroutine is no signal handler: TypeError, and the handler is as before."""
    before = signal.getsignal(NUMBER)
    made = coroutine_function()
    for wrong in (coroutine_function, made):
        kit.raises(TypeError, kit.loop.add_signal_handler, NUMBER, wrong)
    made.close()
    kit.equal(signal.getsignal(NUMBER), before, "handler afterwards")


@family("SIGNAL-1", other={"alone": None, "beside_another": signal.SIGUSR2})
def test_added_and_removed_thrice(kit: Kit, other: int | None) -> None:
    """A handler that is added after all were removed is called like the first, each of three times"""
    calls: list[int] = []
    for number in range(3):
        if other is not None:
            kit.loop.add_signal_handler(other, calls.append, -1)
        kit.loop.add_signal_handler(NUMBER, calls.append, number)
        send(kit)
        for one in (NUMBER, other):
            if one is not None:
                forget(kit, one)
    kit.equal(calls, [0, 1, 2], "calls")


@case("SIGNAL-1")
def test_handler_that_raises_stays(kit: Kit) -> None:
    """A signal handler that raises is told to the exception handler, and called again by the next signal."""
    kit.errors.clear()
    calls: list[int] = []

    def handler() -> None:
        calls.append(1)
        raise ValueError("planted")

    kit.loop.add_signal_handler(NUMBER, handler)
    for _ in range(3):
        send(kit)
    forget(kit)
    kit.equal((len(calls), len(kit.errors)), (3, 3), "calls, and contexts told")


@case("SIGNAL-1")
def test_system_calls_go_on(kit: Kit) -> None:
    """A system call of somebody else's code is not cut short by a signal that has a handler (SA_RESTART)."""
    read = ctypes.CDLL(None, use_errno=True).read
    read_end, write_end = os.pipe()
    calls: list[int] = []
    kit.loop.add_signal_handler(NUMBER, calls.append, 1)
    main = threading.get_ident()

    def work() -> None:
        time.sleep(0.02)
        signal.pthread_kill(main, NUMBER)
        time.sleep(0.02)
        os.write(write_end, b"x")

    def blocks() -> None:
        kit.thread(work)
        counts.append(read(read_end, ctypes.create_string_buffer(8), 8))

    counts: list[int] = []
    kit.soon(blocks)
    kit.run_for(0.005)
    forget(kit)
    os.close(read_end)
    os.close(write_end)
    kit.equal((counts, calls), ([1], [1]), "what read(2) returned, and the calls of the handler")


@case("SIGNAL-1")
def test_removing_one_handler_leaves_the_others(kit: Kit) -> None:
    """A handler is called while the loop sleeps, though those of two other signals were removed around it."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
    for number in numbers:
        kit.loop.add_signal_handler(number, kit.observed(kit.stop))
    for number in (numbers[0], numbers[2]):
        kit.soon(kit.loop.remove_signal_handler, number)
    kit.turns(3)
    kit.thread(lambda: (time.sleep(0.01), os.kill(os.getpid(), numbers[1])))
    kit.run_forever()
    kit.soon(kit.loop.remove_signal_handler, numbers[1])
    kit.turns(3)


@case("SIGNAL-1")
def test_every_signal(kit: Kit) -> None:
    """Every signal that can be caught, those without a name too, reaches its handler, and no other."""
    left_alone = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}  # the last is the loop's own where it has children
    numbers = sorted(signal.valid_signals() - left_alone)
    before = {number: signal.getsignal(number) for number in numbers}
    handled: list[int] = []
    for number in numbers:
        kit.loop.add_signal_handler(number, kit.observed(lambda n=number: (handled.append(n), kit.stop())))
        kit.soon(os.kill, os.getpid(), number)
        kit.run_forever()
        kit.soon(kit.loop.remove_signal_handler, number)
        kit.turns(2)
        signal.signal(number, before[number])
    kit.equal(handled, numbers, "signals handled")
