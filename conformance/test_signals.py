# real clock
"""Cases of the signals area (SIGNAL-*)."""

from __future__ import annotations

import os
import signal
import threading
import time

from loopcheck.kit import Kit, case


def kill_soon(kit: Kit, number: int) -> threading.Thread:
    """Sends the process a signal while the loop sleeps."""
    return kit.thread(lambda: (time.sleep(0.03), os.kill(os.getpid(), number)))


def forget(kit: Kit, *numbers: int) -> None:
    """Removes handlers inside a run: whether it works outside is a case of its own."""
    for number in numbers:
        kit.soon(kit.loop.remove_signal_handler, number)
    kit.turns(2)


@case("SIGNAL-1")
def test_handler_wakes_the_loop(kit: Kit) -> None:
    """A signal wakes an idle loop and its handler runs there, with its arguments (T7)."""
    seen: list[object] = []

    def handler(argument: str) -> None:
        seen.extend((argument, threading.get_ident()))
        kit.stop()

    kit.loop.add_signal_handler(signal.SIGUSR1, kit.observed(handler), "argument")
    kill_soon(kit, signal.SIGUSR1)
    kit.run_forever()
    forget(kit, signal.SIGUSR1)
    kit.equal(seen, ["argument", threading.get_ident()], "argument and thread of the handler")


@case("SIGNAL-1")
def test_handler_runs_as_a_callback(kit: Kit) -> None:
    """A signal sent inside a callback is handled after that callback, each kind by its own handler."""
    order: list[str] = []
    for name, number in (("usr1", signal.SIGUSR1), ("usr2", signal.SIGUSR2)):
        kit.loop.add_signal_handler(number, order.append, name)

    def sender() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        order.append("sender")

    kit.soon(sender)
    kit.run_for(0.03)
    forget(kit, signal.SIGUSR1, signal.SIGUSR2)
    kit.equal((order[0], sorted(order[1:])), ("sender", ["usr1", "usr2"]), "order")


@case("SIGNAL-1")
def test_second_handler_replaces_the_first(kit: Kit) -> None:
    """A second add_signal_handler replaces the first; after remove the loop's handler is not called."""
    calls: list[str] = []
    kit.loop.add_signal_handler(signal.SIGUSR1, calls.append, "old")
    kit.loop.add_signal_handler(signal.SIGUSR1, lambda: (calls.append("new"), kit.stop()))
    kill_soon(kit, signal.SIGUSR1)
    kit.run_forever()
    kit.equal(calls, ["new"], "handlers called")

    def swap() -> None:
        kit.check(kit.loop.remove_signal_handler(signal.SIGUSR1), "remove_signal_handler said False")
        kit.check(not kit.loop.remove_signal_handler(signal.SIGUSR1), "it said True the second time")

    kit.soon(swap)
    kit.turns(3)


@case("SIGNAL-1", needs_run=False)
def test_removed_while_the_loop_does_not_run(kit: Kit) -> None:
    """remove_signal_handler removes, and says so, also while the loop does not run."""
    before = signal.getsignal(signal.SIGUSR1)
    kit.loop.add_signal_handler(signal.SIGUSR1, print)
    kit.check(kit.loop.remove_signal_handler(signal.SIGUSR1), "remove_signal_handler said False")
    kit.equal(signal.getsignal(signal.SIGUSR1), before, "handler afterwards")


@case("SIGNAL-1", needs_run=False)
def test_signals_that_cannot_be_caught(kit: Kit) -> None:
    """SIGKILL and numbers that are no signals are refused."""
    kit.raises(RuntimeError, kit.loop.add_signal_handler, signal.SIGKILL, print)
    kit.raises(ValueError, kit.loop.add_signal_handler, 12345, print)
    kit.raises(TypeError, kit.loop.add_signal_handler, "SIGUSR1", print)


@case("SIGNAL-1")
def test_handler_of_one_loop_survives_another(kit: Kit) -> None:
    """A second loop that is made, run and closed does not take the first one's signals away (zuvloop@8467b98)."""
    calls: list[str] = []
    kit.loop.add_signal_handler(signal.SIGUSR1, lambda: (calls.append("first"), kit.stop()))
    kit.turns(1)
    other = kit.new_loop()
    other.call_soon(other.stop)
    other.run_forever()
    other.close()
    kill_soon(kit, signal.SIGUSR1)
    kit.run_forever()
    forget(kit, signal.SIGUSR1)
    kit.equal(calls, ["first"], "handlers called")


@case("SIGNAL-1")
def test_plain_handler_runs_while_the_loop_sleeps(kit: Kit) -> None:
    """A handler of signal.signal runs while the loop is idle, which goes on sleeping (rloop#39, gevent#790)."""
    calls: list[int] = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        kit.threadsafe(kit.stop)

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        kill_soon(kit, signal.SIGUSR1)
        kit.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, old)
    kit.equal(calls, [signal.SIGUSR1], "signals handled")


@case("SIGNAL-2")
def test_ctrl_c_leaves_an_idle_loop(kit: Kit) -> None:
    """SIGINT raises KeyboardInterrupt out of an idle run_forever, and the loop can be run again (T7)."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        kill_soon(kit, signal.SIGINT)
        kit.raises(KeyboardInterrupt, kit.run_forever)
        kit.turns(3)
    finally:
        signal.signal(signal.SIGINT, old)


@case("SIGNAL-2")
def test_ctrl_c_leaves_a_waiting_run_until_complete(kit: Kit) -> None:
    """SIGINT leaves run_until_complete though it waits for a far timer, and a later run ends the task (uvloop#335)."""
    import asyncio

    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    task = kit.loop.create_task(asyncio.sleep(3600))
    try:
        kill_soon(kit, signal.SIGINT)
        with kit.running():
            kit.raises(KeyboardInterrupt, kit.loop.run_until_complete, task)
        kit.check(not task.done(), "the task ended by the KeyboardInterrupt")
        task.cancel()
        kit.raises(asyncio.CancelledError, lambda: kit.run(task))
    finally:
        signal.signal(signal.SIGINT, old)


@case("SIGNAL-2")
def test_ctrl_c_leaves_a_busy_loop(kit: Kit) -> None:
    """SIGINT leaves a loop whose callbacks ask for themselves for ever."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)

    def chain() -> None:
        kit.loop.call_soon(chain)

    try:
        kit.soon(chain)
        kill_soon(kit, signal.SIGINT)
        kit.raises(KeyboardInterrupt, kit.run_forever)
    finally:
        signal.signal(signal.SIGINT, old)
