# real clock
"""Cases of the timers area (TIMER-*). They bound lateness only from below, or against the kit's own waits."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time

from loopcheck.kit import Kit, case

EARLY_MAX_S = 50e-6  # clock resolution and the cost of rounding floats; real loops are off by 1 ms or not at all


@case("TIMER-1")
def test_never_early_on_the_loops_clock(kit: Kit) -> None:
    """When a timer calls back, loop.time() has reached its deadline (uvloop#233)."""
    early: list[float] = []

    def check(when: float) -> None:
        if kit.loop.time() < when - EARLY_MAX_S:
            early.append(when - kit.loop.time())

    for i in range(30):
        when = kit.loop.time() + 0.0007 * i
        kit.at(when, check, when)
    kit.run_for(0.05)
    kit.check(not early, f"{len(early)} of 30 timers were early by up to {max(early, default=0):.6f} s")


@case("TIMER-1")
def test_fraction_of_a_millisecond_counts(kit: Kit) -> None:
    """A delay of 1.4 ms takes 1.4 ms, not 1 ms (uvloop#739)."""
    early: list[float] = []

    async def nap() -> None:
        for _ in range(20):
            started = time.monotonic()
            await asyncio.sleep(0.0014)
            if time.monotonic() - started < 0.0014 - EARLY_MAX_S:
                early.append(time.monotonic() - started)

    kit.run(nap())
    kit.check(not early, f"{len(early)} of 20 sleeps of 1.4 ms were short: {min(early, default=0):.6f} s")


@case("TIMER-1")
def test_call_at_fraction(kit: Kit) -> None:
    """call_at keeps the fraction of its deadline (rloop#9)."""
    now = kit.loop.time()
    seen: list[float] = []
    wanted = [now + 0.015, now + 0.0305, now + 0.0455]
    for when in wanted:
        kit.at(when, lambda: seen.append(kit.loop.time()))
    kit.later(0.07, kit.stop)
    kit.run_forever()
    kit.equal(len(seen), 3, "timers that fired")
    early = [w - s for w, s in zip(wanted, seen, strict=True) if s < w - 0.002]
    kit.check(not early, f"call_at was early by {max(early, default=0):.4f} s")


@case("TIMER-1")
def test_delay_counts_from_the_call(kit: Kit) -> None:
    """A delay counts from call_later, not from the start of a turn that a slow callback drew out."""
    took: list[float] = []

    def slow() -> None:
        time.sleep(0.03)
        started = time.monotonic()
        kit.later(0.02, lambda: (took.append(time.monotonic() - started), kit.stop()))

    kit.soon(slow)
    kit.run_forever()
    kit.check(took[0] >= 0.02 - 0.002, f"a delay of 20 ms took {took[0]:.4f} s")


@case("TIMER-2")
def test_order_of_deadlines(kit: Kit) -> None:
    """Timers armed in any order run by deadline, also when all are overdue at once."""
    order: list[int] = []
    base = kit.loop.time() + 0.03  # so that none is due before the last is armed
    for i in (7, 2, 9, 4, 0, 8, 5, 1, 6, 3):
        kit.at(base + 0.003 * (i + 1), order.append, i)
    time.sleep(0.07)
    kit.run_for(0.005)
    kit.equal(order, list(range(10)), "order of timers that were overdue")
    order.clear()
    base = kit.loop.time()
    for i in (3, 0, 2, 1):
        kit.at(base + 0.004 * (i + 1), order.append, i)
    kit.run_for(0.04)
    kit.equal(order, [0, 1, 2, 3], "order of timers")


@case("TIMER-2")
def test_later_armed_but_due_earlier(kit: Kit) -> None:
    """A timer armed inside a callback for an earlier deadline overtakes those that are waiting."""
    order: list[str] = []
    far = kit.loop.time() + 0.04
    kit.at(far, order.append, "far")

    def first() -> None:
        if kit.loop.time() >= far:  # the machine was too slow: "far" may be in this batch
            order.append("near")
        kit.at(far - 0.03, order.append, "near")

    kit.at(far - 0.035, first)
    kit.run_for(0.06)
    kit.equal(order[:2], ["near", "far"], "order")


@case("TIMER-3")
def test_cancelled_timer(kit: Kit) -> None:
    """A cancelled timer never calls back, be it near, due or overdue."""
    ran: list[str] = []
    near = kit.later(0.005, ran.append, "near")
    due = kit.later(0, ran.append, "due")
    overdue = kit.later(0.001, ran.append, "overdue")
    time.sleep(0.003)
    for handle in (near, due, overdue):
        kit.cancel(handle)
        kit.check(handle.cancelled(), "cancelled() is false after cancel()")
    kit.run_for(0.02)
    kit.equal(ran, [], "cancelled timers that fired")


@case("TIMER-3")
def test_cancelled_by_a_timer_of_the_same_batch(kit: Kit) -> None:
    """Of two timers that are due together the first may still cancel the second."""
    ran: list[str] = []
    kit.later(0.001, lambda: (ran.append("first"), kit.cancel(second)))
    second = kit.later(0.003, ran.append, "second")
    time.sleep(0.01)
    kit.run_for(0.005)
    kit.equal(ran, ["first"], "timers that fired")


@case("TIMER-3")
def test_cancelled_inside_a_callback(kit: Kit) -> None:
    """A soon callback, a reader and the timer itself may cancel timers, also after they fired."""
    ran: list[str] = []
    victims = [kit.later(0.1, ran.append, "victim") for _ in range(2)]
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    kit.soon(kit.cancel, victims[0])
    kit.reader(read_end, lambda: (kit.cancel(victims[1]), kit.remove_reader(read_end)))
    itself = kit.later(0.004, lambda: (kit.cancel(itself), ran.append("itself")))
    kit.run_for(0.11)
    kit.cancel(itself)
    kit.run_for(0.002)
    kit.equal(ran, ["itself"], "timers that fired")


@case("TIMER-3")
def test_many_cancelled_timers(kit: Kit) -> None:
    """Two hundred cancelled timers disturb neither each other nor the hundred that stay (zuvloop#15c)."""
    ran: list[int] = []
    handles = [kit.later(0.005 + i * 1e-5, ran.append, i) for i in range(300)]
    for i, handle in enumerate(handles):
        if i % 3:
            kit.cancel(handle)
    kit.run_for(0.03)
    kit.equal(sorted(ran), list(range(0, 300, 3)), "timers that fired")


@case("TIMER-4")
def test_each_timer_fires_once(kit: Kit) -> None:
    """A timer fires exactly once, over several runs."""
    counts = [0] * 40

    def count(i: int) -> None:
        counts[i] += 1

    for i in range(40):
        kit.later(0.001 * (1 + i % 5), count, i)
    for _ in range(3):
        kit.run_for(0.01)
    kit.equal(counts, [1] * 40, "how often timers fired")


@case("TIMER-4")
def test_timer_that_arms_itself(kit: Kit) -> None:
    """A callback that arms a timer for itself gets one call per arming."""
    calls: list[int] = []

    def again() -> None:
        calls.append(1)
        if len(calls) < 5:
            kit.later(0.001, again)
        elif len(calls) == 5:
            kit.later(0.01, kit.stop)  # a sixth call would come before

    kit.later(0.001, again)
    kit.run_forever()
    kit.equal(len(calls), 5, "calls for five armings")


@case("TIMER-5")
def test_due_timer_without_io(kit: Kit) -> None:
    """A timer fires in a loop that has nothing else to do (T6, tokioloop@bb70357)."""
    for delay_s in (0, 0.001, 0.01):
        kit.later(delay_s, kit.stop)
        kit.run_forever()


@case("TIMER-5")
def test_overdue_before_the_run(kit: Kit) -> None:
    """A timer that fell due while the loop did not run fires when it runs (rloop#40)."""
    ran: list[int] = []
    kit.later(0.001, ran.append, 1)
    time.sleep(0.01)
    kit.turns(3)
    kit.equal(ran, [1], "overdue timers that fired within three turns")


@case("TIMER-5")
def test_near_timer_behind_a_far_one(kit: Kit) -> None:
    """A far timer, armed earlier or later, does not put off a near one."""
    far = kit.later(3600, kit.fail, "a timer of one hour fired")
    kit.later(0.005, kit.stop)
    kit.run_forever()
    kit.later(0.005, lambda: (kit.later(1800, kit.fail, "a timer of half an hour fired"), kit.stop()))
    kit.run_forever()
    kit.soon(lambda: kit.later(0.005, kit.stop))
    kit.run_forever()
    kit.cancel(far)


@case("TIMER-5")
def test_timer_of_a_posted_callback(kit: Kit) -> None:
    """A timer armed by a posted callback fires though the loop was asleep until a far timer."""
    far = kit.later(3600, kit.fail, "a timer of one hour fired")
    kit.thread(lambda: (time.sleep(0.03), kit.threadsafe(lambda: kit.later(0.005, kit.stop))))
    kit.run_forever()
    kit.cancel(far)


@case("TIMER-5", timeout_s=8)
def test_busy_ready_queue(kit: Kit) -> None:
    """A timer fires though a callback asks for itself again in every turn."""
    fired: list[int] = []
    end = time.monotonic() + 2

    def chain() -> None:
        if fired or time.monotonic() > end:
            kit.stop()
        else:
            kit.loop.call_soon(chain)

    kit.later(0.01, fired.append, 1)
    kit.soon(chain)
    kit.run_forever()
    kit.check(fired, "a timer of 10 ms did not fire in 2 s of busy turns")


@case("TIMER-5", timeout_s=8)
def test_busy_fd(kit: Kit) -> None:
    """A timer fires though an fd is ready in every turn (gevent#1126)."""
    fired: list[int] = []
    left, _ = kit.socketpair()
    end = time.monotonic() + 2
    kit.later(0.01, fired.append, 1)
    kit.loop.add_writer(left.fileno(), lambda: kit.stop() if fired or time.monotonic() > end else None)
    kit.run_forever()
    kit.loop.remove_writer(left.fileno())
    kit.check(fired, "a timer of 10 ms did not fire in 2 s of a ready fd")


@case("TIMER-5")
def test_small_delays_are_not_rounded_to_large_ones(kit: Kit) -> None:
    """Thirty timers of 1 ms in a row take no multiple of what a thread needs to sleep as often."""
    started = time.monotonic()
    for _ in range(30):
        time.sleep(0.001)
    reference_s = time.monotonic() - started

    async def naps() -> float:
        started = time.monotonic()
        for _ in range(30):
            await asyncio.sleep(0.001)
        return time.monotonic() - started

    took_s = kit.run(naps())
    kit.check(took_s < 1.0 + 10 * reference_s, f"{took_s:.2f} s; a thread needed {reference_s:.2f} s")


@case("TIMER-5")
def test_thousand_timers(kit: Kit) -> None:
    """Of a thousand timers, armed in mixed order, each fires."""
    fired: set[int] = set()
    base = kit.loop.time() + 0.1

    def fire(i: int) -> None:
        fired.add(i)
        if len(fired) == 1000:
            kit.stop()

    for i in range(1000):
        kit.at(base + (i * 7919 % 1000) * 2e-5, fire, i)
    kit.at(base + 1.0, kit.stop)
    kit.run_forever()
    kit.equal(len(fired), 1000, "timers that fired")


@case("TIMER-5")
def test_wait_for_times_out(kit: Kit) -> None:
    """asyncio.wait_for ends a wait for a future that is never done, and cancels it."""
    future = kit.loop.create_future()

    async def main() -> bool:
        try:
            await asyncio.wait_for(future, 0.01)
        except asyncio.TimeoutError:
            return True
        return False

    kit.check(kit.run(main()), "wait_for returned without TimeoutError")
    kit.check(future.cancelled(), "the future was not cancelled")


@case("TIMER-6")
def test_equal_deadlines(kit: Kit) -> None:
    """Two timers of one deadline run in the order in which they were armed."""
    for delay_s in (0.005, 0.01, 0.015):
        order: list[str] = []
        when = kit.loop.time() + delay_s
        kit.at(when, order.append, "first")
        kit.at(when, order.append, "second")
        kit.run_for(delay_s + 0.01)
        kit.equal(order, ["first", "second"], "order")


@case("TIMER-7")
def test_not_positive_delays_are_due_at_once(kit: Kit) -> None:
    """Delays of 0 and below, and times in the past, call back within two turns."""
    ran: list[str] = []
    kit.later(0, ran.append, "zero")
    kit.later(-1, ran.append, "negative")
    kit.later(-1e6, ran.append, "very negative")
    kit.at(kit.loop.time() - 0.5, ran.append, "past")
    kit.turns(3)
    kit.equal(sorted(ran), ["negative", "past", "very negative", "zero"], "timers that fired")


@case("TIMER-7")
def test_zero_delay_is_not_called_at_once(kit: Kit) -> None:
    """call_later(0) inside a callback calls back in a later turn, not from within the call."""
    order: list[str] = []

    def first() -> None:
        kit.later(0, order.append, "timer")
        order.append("first")

    kit.soon(first)
    kit.soon(order.append, "second")
    kit.turns(4)
    kit.equal(order, ["first", "second", "timer"], "order")


@case("TIMER-7")
def test_order_of_not_positive_delays(kit: Kit) -> None:
    """Timers that are due when they are armed run in the order of their deadlines (T15, rloop's README)."""
    order: list[int] = []
    for delay_s in (0, -2, -1, -3):
        kit.later(delay_s, order.append, delay_s)
    kit.turns(3)
    kit.equal(order, [-3, -2, -1, 0], "order of delays")


@case("TIMER-8", needs_run=False)
def test_when_is_the_deadline(kit: Kit) -> None:
    """call_later and call_at return a TimerHandle with when(), for any delay (uvloop#482)."""
    for delay_s in (0.5, 0, -1):
        before = kit.loop.time()
        handle = kit.later(delay_s, kit.stop)
        after = kit.loop.time()
        kit.check(isinstance(handle, asyncio.TimerHandle), f"call_later({delay_s}) gave {type(handle)}")
        kit.check(before + delay_s - 0.002 <= handle.when() <= after + delay_s + 0.002, "when() is off")
        kit.cancel(handle)
    handle = kit.at(kit.loop.time() + 7.25, kit.stop)
    kit.check(isinstance(handle, asyncio.TimerHandle), f"call_at gave {type(handle)}")
    kit.check(7.0 < handle.when() - kit.loop.time() < 7.5, "when() of call_at is off")
    kit.cancel(handle)


@case("TIMER-8")
def test_when_outlives_the_timer(kit: Kit) -> None:
    """when() answers the same after the timer fired or was cancelled (uvloop#469)."""
    fires = kit.later(0.002, kit.stop)
    is_cancelled = kit.later(60, kit.stop)
    wanted = fires.when(), is_cancelled.when()
    kit.cancel(is_cancelled)
    kit.run_forever()
    kit.equal((fires.when(), is_cancelled.when()), wanted, "when() afterwards")


@case("TIMER-9")
def test_infinite_and_huge_delays(kit: Kit) -> None:
    """Delays of inf, 1e10 and 2**63 s never fire and hold no other timer up (uvloop#259, rsloop#48)."""
    ran: list[float] = []
    handles = []
    for delay_s in (math.inf, 1e10, float(2**63), 0.9999999999e9):
        try:
            handles.append(kit.later(delay_s, ran.append, delay_s))
        except (ValueError, OverflowError):
            continue  # refusing is as good as never firing
    kit.run_for(0.02)
    kit.equal(ran, [], "delays that fired")
    for handle in handles:
        kit.cancel(handle)


@case("TIMER-9")
def test_nan_delay(kit: Kit) -> None:
    """A delay of NaN is refused or leaves every other timer and the loop unharmed (talyn BUG-251)."""
    ran: list[int] = []
    for i in range(4):
        kit.later(0.002 * (i + 1), ran.append, i)
    with contextlib.suppress(ValueError, OverflowError):
        kit.loop.call_later(math.nan, lambda: None)
    kit.run_for(0.03)
    kit.equal(sorted(ran), [0, 1, 2, 3], "other timers that fired")


@case("TIMER-10")
def test_time_is_monotonic(kit: Kit) -> None:
    """loop.time() is a float that never goes back, outside the loop and in callbacks."""
    seen: list[float] = []
    for _ in range(200):
        seen.append(kit.loop.time())
        kit.soon(lambda: seen.append(kit.loop.time()))
    kit.check(all(isinstance(t, float) for t in seen), "loop.time() is no float")
    kit.run_for(0.01)
    seen.append(kit.loop.time())
    kit.check(all(a <= b for a, b in itertools.pairwise(seen)), "loop.time() went back")


@case("TIMER-10", needs_run=False)
def test_time_passes(kit: Kit) -> None:
    """loop.time() advances by what time.monotonic() advances, though the loop does not run."""
    loop_started, started = kit.loop.time(), time.monotonic()
    time.sleep(0.05)
    passed, loop_passed = time.monotonic() - started, kit.loop.time() - loop_started
    kit.check(loop_passed >= 0.05 - 0.002, f"loop.time() advanced {loop_passed:.4f} s in {passed:.4f} s")


@case("TIMER-10")
def test_time_is_the_clock_of_deadlines(kit: Kit) -> None:
    """A timer at loop.time() + d fires once that much time passed, and loop.time() then shows it."""
    started, loop_started = time.monotonic(), kit.loop.time()
    kit.at(loop_started + 0.03, kit.stop)
    kit.run_forever()
    kit.check(time.monotonic() - started >= 0.03 - 0.002, "the deadline's clock runs too fast")
    kit.check(kit.loop.time() >= loop_started + 0.03 - 0.002, "loop.time() lags behind the deadlines")


@case("TIMER-2")
def test_every_millisecond(kit: Kit) -> None:
    """Timers of 1, 2, 3, ... 70 ms fire in this order: none falls between two slots of a wheel (tokio#1687)."""
    fired: list[int] = []
    for delay_ms in range(1, 71):
        kit.later(delay_ms / 1000, fired.append, delay_ms)
    kit.run_for(0.071)
    kit.equal(fired, list(range(1, 71)), "timers in the order in which they fired")


@case("TIMER-10", needs_run=False)
def test_time_is_not_the_date(kit: Kit) -> None:
    """loop.time() is not the clock of the calendar, which may be set while timers wait (docs: a monotonic clock)."""
    apart_s = min(abs(kit.loop.time() - time.time()) for _ in range(3))
    kit.check(apart_s > 60, f"loop.time() and time.time() are {apart_s} s apart")
