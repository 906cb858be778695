# real clock
"""Cases of waking (LIVE-*, LIFE-4): a loop that sleeps wakes soon for whatever comes, and sleeps again after it.

Each is tried seven times, and four have to be in time: a busy machine may delay some, a loop that polls delays most.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

from loopcheck.children import sh
from loopcheck.family import family
from loopcheck.kit import Kit, case

TRIES = 7
IN_TIME_MIN = 4
LATE_S = 0.05
NEAR_S = 0.012  # of a timer for which a loop may be tempted to poll
CPU_MAX_S = 0.04  # of 0.168 s in which the loop waits
PAUSE_S = 0.006  # in which the loop falls asleep

Wait = Callable[[Kit], float]  # makes the loop wait, and returns by how many seconds it was late


def from_thread(kit: Kit, cause: Callable[[], object]) -> list[float]:
    """Does something in another thread when the loop runs and sleeps; the list gets the time at which it did."""
    at: list[float] = []
    kit.soon(kit.thread, lambda: (time.sleep(PAUSE_S), at.append(time.monotonic()), cause()))
    return at


def timer(kit: Kit) -> float:
    due = time.monotonic() + PAUSE_S
    kit.later(PAUSE_S, kit.stop)
    kit.run_forever()
    return time.monotonic() - due


def fd(kit: Kit) -> float:
    read_end, write_end = kit.pipe()
    kit.reader(read_end, lambda: (kit.remove_reader(read_end), kit.stop()))
    at = from_thread(kit, lambda: os.write(write_end, b"x"))
    kit.run_forever()
    return time.monotonic() - at[0]


def post(kit: Kit) -> float:
    at = from_thread(kit, lambda: kit.threadsafe(kit.stop))
    kit.run_forever()
    return time.monotonic() - at[0]


def a_signal(kit: Kit) -> float:
    kit.loop.add_signal_handler(signal.SIGUSR1, kit.stop)
    at = from_thread(kit, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    kit.run_forever()
    late_s = time.monotonic() - at[0]
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    kit.turns(2)
    return late_s


def child(kit: Kit) -> float:
    async def main() -> float:
        process = await sh("read line", stdin=subprocess.PIPE)
        await asyncio.sleep(PAUSE_S)
        at = from_thread(kit, lambda: os.kill(process.pid, signal.SIGKILL))
        await process.wait()
        return time.monotonic() - at[0]

    return kit.run(main())


def executor(kit: Kit) -> float:
    def job() -> float:
        time.sleep(PAUSE_S)
        return time.monotonic()

    async def main() -> float:
        at = await kit.loop.run_in_executor(None, job)
        return time.monotonic() - at

    return kit.run(main())


def connection(kit: Kit) -> float:
    log, peer = kit.connection()
    at = from_thread(kit, lambda: peer.send(b"x"))
    kit.run(log.until_event("data"))
    late_s = time.monotonic() - at[0]
    log.transport.abort()
    kit.run(log.until_event("lost"))
    return late_s


def accept(kit: Kit) -> float:
    listener = kit.listener()
    at = from_thread(kit, lambda: socket.create_connection(listener.getsockname()).close())
    kit.own(kit.run(kit.loop.sock_accept(listener))[0])
    return time.monotonic() - at[0]


CAUSES: dict[str, Wait] = {
    "timer": timer,
    "fd": fd,
    "post": post,
    "signal": a_signal,
    "child": child,
    "executor": executor,
    "connection": connection,
    "accept": accept,
}


def judge(kit: Kit, cause: Wait) -> None:
    late: list[float] = []
    while len(late) < TRIES and sum(one < LATE_S for one in late) < IN_TIME_MIN:
        late.append(cause(kit))
    in_time = sum(one < LATE_S for one in late)
    kit.check(in_time >= IN_TIME_MIN, f"late by {', '.join(f'{one * 1000:.0f}' for one in late)} ms")
    kit.close_threads()


@family("LIVE-1", cause=CAUSES, timeout_s=8)
def test_wakes(kit: Kit, cause: Wait) -> None:
    """A loop that sleeps wakes within 50 ms"""
    kit.turns(1)
    judge(kit, cause)
    kit.run(kit.loop.shutdown_default_executor())


@family("LIVE-1", cause=("timer", "fd", "post", "signal"), timeout_s=8)
def test_wakes_before_a_far_timer(kit: Kit, cause: str) -> None:
    """A loop that sleeps until a timer in an hour wakes within 50 ms (rloop@f6181aa)"""
    far = kit.later(3600, print)
    kit.turns(1)
    judge(kit, CAUSES[cause])
    kit.cancel(far)


@case("LIVE-2")
def test_timer_armed_by_a_post(kit: Kit) -> None:
    """A timer that a post arms, earlier than all others, fires before them though the loop slept for those."""
    fired: list[str] = []
    far = kit.later(3600, print)

    def arm() -> None:
        kit.later(0.01, lambda: (fired.append("near"), kit.stop()))

    kit.thread(lambda: (time.sleep(PAUSE_S), kit.threadsafe(arm)))
    kit.run_forever()
    kit.cancel(far)
    kit.equal(fired, ["near"], "timers that fired")


@case("LIVE-2")
def test_watcher_added_by_a_post(kit: Kit) -> None:
    """A watcher that a post adds to a loop that slept without one is served."""
    read_end, write_end = kit.pipe()
    kit.put(write_end)

    def add() -> None:
        kit.reader(read_end, lambda: (kit.remove_reader(read_end), kit.stop()))

    kit.thread(lambda: (time.sleep(PAUSE_S), kit.threadsafe(add)))
    kit.run_forever()
    kit.turns(2)


@case("LIVE-2")
def test_signal_before_the_run(kit: Kit) -> None:
    """A signal that comes after add_signal_handler, but before the run, is handled by the run."""
    handled: list[int] = []
    kit.turns(1)
    kit.loop.add_signal_handler(signal.SIGUSR1, handled.append, 1)
    os.kill(os.getpid(), signal.SIGUSR1)
    kit.run_for(0.02)
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    kit.turns(3)
    kit.equal(handled, [1], "calls of the handler")


@case("LIVE-2")
def test_everything_at_once(kit: Kit) -> None:
    """A timer, a post, an fd and a signal that come in the same moment are all served."""
    served: set[str] = set()
    ready = threading.Event()
    read_end, write_end = kit.pipe()
    kit.loop.add_signal_handler(signal.SIGUSR1, served.add, "signal")
    kit.reader(read_end, lambda: (served.add("fd"), kit.remove_reader(read_end)))

    def cause() -> None:
        ready.wait()
        os.write(write_end, b"x")
        kit.threadsafe(served.add, "post")
        os.kill(os.getpid(), signal.SIGUSR1)

    kit.thread(cause)
    kit.soon(ready.set)
    kit.later(0.001, served.add, "timer")
    kit.run_for(0.02)
    kit.close_threads()
    kit.run_for(0.005)
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    kit.turns(3)
    kit.equal(served, {"signal", "fd", "post", "timer"}, "what was served")


@case("LIFE-4")
def test_sleeps_before_near_timers(kit: Kit) -> None:
    """A loop that waits for timers a few milliseconds away sleeps until each: it uses no CPU in between."""
    left = [15]

    def again() -> None:
        left[0] -= 1
        _ = kit.later(NEAR_S, again) if left[0] else kit.stop()

    kit.turns(1)
    before_s = time.process_time()
    again()
    kit.run_forever()
    used_s = time.process_time() - before_s
    kit.check(
        used_s < CPU_MAX_S, f"{used_s * 1000:.0f} ms of CPU while it waited for 14 timers of {NEAR_S * 1000:.0f} ms"
    )
