# real clock
"""Deadlines of any size and kind: in order, never early, and refused where they mean nothing."""

import fractions
import math
import time

import pytest


def test_clock(loop):
    """loop.time() is time.monotonic()."""
    before = time.monotonic()
    now = loop.time()
    assert before <= now <= time.monotonic()


def test_order_before_zero(loop, turn):
    """Deadlines in the past run in their order, also before the clock's zero; equal ones in arming order."""
    ran = []
    for when in (3, -1, -2.5, 0, -math.inf, 3, -1e30):
        loop.call_at(when, ran.append, when)
    turn()
    assert ran == [-math.inf, -1e30, -2.5, -1, 0, 3, 3]


def test_far_away(loop, turn):
    """Infinite and huge delays give a timer that never fires, and when() says so."""
    handles = [loop.call_later(delay, pytest.fail) for delay in (math.inf, 1e30, 1e10, 2**63)]
    turn()
    assert handles[0].when() == math.inf
    assert handles[1].when() == pytest.approx(1e30)
    loop._check()


def test_refused(loop):
    """NaN, no number, and a number too large for a float."""
    for wrong, error in ((math.nan, ValueError), (None, TypeError), ("1", TypeError), (10**400, OverflowError)):
        with pytest.raises(error):
            loop.call_later(wrong, print)
        with pytest.raises(error):
            loop.call_at(wrong, print)
    with pytest.raises(TypeError):
        loop.call_later(1)
    with pytest.raises(TypeError):
        loop.call_later(1, print, contxt=None)


def test_kinds_of_numbers(loop):
    """Whatever converts to float is a time; when() of call_at is what was given."""
    when = fractions.Fraction(1, 3)
    assert loop.call_at(when, print).when() is when
    assert loop.call_later(fractions.Fraction(1, 2), print).when() > loop.time()
    assert loop.call_later(callback=print, delay=1).when() > loop.time()


def test_conversion_that_closes_the_loop(loop):
    """__float__ is the user's code: when it closes the loop, the call is refused."""

    class When:
        def __float__(self):
            loop.close()
            return 1.0

    with pytest.raises(RuntimeError, match="closed"):
        loop.call_at(When(), print)


@pytest.mark.parametrize("delay", [0, 1e-9, 1e-6, 0.001])
def test_never_early(loop, delay):
    """A callback never sees a time before its deadline."""
    seen = []
    for _ in range(200):
        handle = loop.call_later(delay, lambda: (seen.append(loop.time()), loop.stop()))
        loop.run_forever()
        assert seen.pop() >= handle.when()


def test_many_cancelled(loop, turn):
    """Cancelled timers leave at once, whatever their place."""
    handles = [loop.call_later(100 + index % 7, print) for index in range(1000)]
    for handle in handles[::2] + handles[1::2]:
        handle.cancel()
    turn()
    loop._check()
