# real clock
"""Cases of callbacks of every make, and of what their handles say (SOON-*, TIMER-*)."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

Ask = Callable[..., Any]


class Falsy:
    """A callable that is false in a condition."""

    def __init__(self, kit: Kit, ran: list[object]) -> None:
        self.kit, self.ran = kit, ran

    def __bool__(self) -> bool:
        return False

    def __call__(self, *args: object) -> None:
        self.kit.recorder.note()
        self.ran.append(args)


class Empty(Falsy):
    """A callable whose length is zero."""

    def __bool__(self) -> bool:
        return len(self) > 0

    def __len__(self) -> int:
        return 0


class Choosy(Falsy):
    """A callable that cannot be compared, and has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("it was compared")


class Nameless(Falsy):
    """A callable whose repr() raises."""

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        raise RuntimeError("it was printed")


CALLABLES: dict[str, Callable[[Kit, list[object]], Any]] = {
    "falsy": Falsy,
    "empty": Empty,
    "choosy": Choosy,
    "unprintable": Nameless,
    "partial": lambda kit, ran: functools.partial(Falsy(kit, ran)),
    "method": lambda kit, ran: Falsy(kit, ran).__call__,
    "builtin": lambda kit, ran: kit.observed(ran.append),
}
WAYS = ("soon", "later", "at", "threadsafe", "reader", "writer", "signal", "done")


def ask(kit: Kit, way: str, fn: Any, *args: object) -> None:
    """Asks for one call of fn(*args), or of fn(future)."""
    loop = kit.loop
    if way in ("reader", "writer"):
        left, right = kit.socketpair()
        kit.put(right)
        getattr(loop, f"add_{way}")(left.fileno(), fn, *args)
        kit.later(0.001, lambda: kit.soon(lambda: kit.soon(getattr(loop, f"remove_{way}"), left.fileno())))
    elif way == "signal":
        loop.add_signal_handler(signal.SIGUSR1, fn, *args)
        kit.soon(os.kill, os.getpid(), signal.SIGUSR1)
    elif way == "done":
        future = loop.create_future()
        future.add_done_callback(fn)
        future.set_result(None)
    else:
        asks: dict[str, Ask] = {
            "soon": loop.call_soon,
            "later": functools.partial(loop.call_later, 0.001),
            "at": functools.partial(loop.call_at, loop.time() + 0.001),
            "threadsafe": loop.call_soon_threadsafe,
        }
        asks[way](fn, *args)


@family("SOON-3", way=WAYS)
def test_any_callable(kit: Kit, way: str) -> None:
    """Whatever can be called is called, once, also if it is false, has no name, no hash or no repr()"""
    for name, make in CALLABLES.items():
        ran: list[object] = []
        ask(kit, way, make(kit, ran), "argument")
        kit.run_for(0.01 if way == "signal" else 0.002)
        if way == "signal":
            kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
        kit.turns(2)
        is_right = ran if way in ("reader", "writer") else len(ran) == 1
        kit.check(is_right, f"a {name} callable was called {len(ran)} times")


@family("SOON-1", count={"few": 20, "many": 3000, "thousands": 70_000})
def test_long_batches(kit: Kit, count: int) -> None:
    """However many callbacks wait, they run in order, and what they ask for runs behind them all."""
    ran: list[int] = []

    def callback(number: int) -> None:
        ran.append(number)
        if number < count:
            kit.loop.call_soon(callback, number + count)

    for number in range(count):
        kit.loop.call_soon(callback, number)
    kit.run(asyncio.sleep(0))
    kit.turns(4)
    kit.equal(ran == list(range(2 * count)), True, "did they run in order")


@family("SOON-7", way=("soon", "later", "at", "threadsafe"))
def test_handle_says_whether_it_was_cancelled(kit: Kit, way: str) -> None:
    """cancelled() of a handle is true from the first cancel() on: before its turn, after it, and in it"""
    loop, handles = kit.loop, list[Any]()
    asks: dict[str, Ask] = {
        "soon": loop.call_soon,
        "later": functools.partial(loop.call_later, 0.001),
        "at": functools.partial(loop.call_at, loop.time() + 0.001),
        "threadsafe": loop.call_soon_threadsafe,
    }
    ran: list[str] = []
    waiting, inside, after = (asks[way](ran.append, name) for name in ("waiting", "", "after"))
    handles.append(asks[way](lambda: (ran.append("inside"), handles[0].cancel())))
    inside.cancel()
    waiting.cancel()
    waiting.cancel()
    seen = [handle.cancelled() for handle in (waiting, after, handles[0])]
    kit.run_for(0.004)
    seen += [after.cancelled()]
    after.cancel()
    seen += [handle.cancelled() for handle in (waiting, after, handles[0])]
    kit.equal(sorted(ran), ["after", "inside"], "callbacks that ran")
    kit.equal(seen, [True, False, False, False, True, True, True], "cancelled()")


@family("SOON-7", make=tuple(name for name in CALLABLES if name != "unprintable"))
def test_handle_can_be_printed(kit: Kit, make: str) -> None:
    """repr() of a handle works while it waits, once it is cancelled and once it has run, whatever it calls"""
    loop, ran = kit.loop, list[object]()
    asks: tuple[Ask, ...] = (loop.call_soon, functools.partial(loop.call_later, 0.001), loop.call_soon_threadsafe)
    for ask_for in asks:
        handles = [ask_for(CALLABLES[make](kit, ran), "argument") for _ in range(2)]
        texts = [repr(handle) for handle in handles]
        handles[0].cancel()
        texts.append(repr(handles[0]))
        kit.run_for(0.002)
        texts += [repr(handle) for handle in handles]
        kit.check(all(texts), f"{texts}")
    kit.equal(len(ran), 3, "calls")


@family("SOON-5", what=("soon", "later", "threadsafe", "task", "stop"))
def test_asked_for_by_the_exception_handler(kit: Kit, what: str) -> None:
    """The exception handler may use the loop like a callback: what it asks for is done."""
    ran: list[str] = []

    async def step() -> None:
        ran.append("task")

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        kit.recorder.note()
        actions: dict[str, Callable[[], Any]] = {
            "soon": lambda: loop.call_soon(ran.append, what),
            "later": lambda: loop.call_later(0, ran.append, what),
            "threadsafe": lambda: loop.call_soon_threadsafe(ran.append, what),
            "task": lambda: loop.create_task(step()),
            "stop": lambda: (loop.stop(), ran.append(what)),
        }
        done.append(actions[what]())

    done: list[Any] = []
    kit.loop.set_exception_handler(handler)
    kit.loop.call_soon(lambda: 1 / 0)
    kit.run_forever() if what == "stop" else kit.run_for(0.004)
    kit.equal(ran, [what], "done")


WRONG: dict[str, Any] = {"none": None, "text": "1", "list": [], "object": object()}


@family("TIMER-11", wrong=WRONG)
def test_no_number_of_seconds(kit: Kit, wrong: Any) -> None:
    """A delay that is no number is refused with TypeError, and no timer is made of it"""
    ran: list[int] = []
    kit.turns(1)
    kit.raises(TypeError, kit.loop.call_later, wrong, ran.append, 1)
    if wrong is None and sys.version_info >= (3, 11):
        kit.raises(TypeError, kit.loop.call_at, wrong, ran.append, 1)
    kit.later(0.001, kit.observed(ran.append), 2)
    kit.run_for(0.003)
    kit.equal(ran, [2], "timers that fired")


@case("TIMER-3")
def test_cancelled_many_times(kit: Kit) -> None:
    """A timer that is cancelled thrice, before its deadline or after it fired, takes none of the others with it."""
    fired: list[int] = []
    for number in range(6):
        kit.loop.call_later(0.002, kit.observed(fired.append), number)
    early, due = kit.loop.call_later(60, fired.append, -1), kit.loop.call_later(0, kit.observed(fired.append), -2)
    for _ in range(3):
        early.cancel()
    kit.run_for(0.001)
    for _ in range(3):
        due.cancel()
        early.cancel()
    kit.run_for(0.004)
    kit.equal(sorted(fired), [-2, 0, 1, 2, 3, 4, 5], "timers that fired")


@case("SOON-1")
def test_callbacks_of_a_future_that_is_done(kit: Kit) -> None:
    """A callback that is added to a future which is done already takes its place behind those that wait."""
    ran: list[str] = []
    future = kit.loop.create_future()
    future.set_result(None)
    for name in ("first", "second", "third"):
        kit.loop.call_soon(kit.observed(ran.append), name)
        future.add_done_callback(lambda _, name=name: ran.append(f"done {name}"))  # type: ignore[misc]
    kit.turns(2)
    kit.equal(ran, ["first", "done first", "second", "done second", "third", "done third"], "callbacks in order")


@family("SOON-2", when=("before_the_turn", "in_the_turn"))
def test_newcomers_wait_beside_cancelled_ones(kit: Kit, when: str) -> None:
    """Cancelled callbacks make no room in their turn for newcomers: an fd that is ready is seen before the third"""
    ran: list[object] = []
    handles: list[asyncio.Handle] = []
    read_end, write_end = kit.pipe()
    kit.reader(read_end, lambda: (kit.remove_reader(read_end), ran.append("reader")))

    def take_back() -> None:
        for handle in handles:
            kit.cancel(handle)

    def newcomer(number: int) -> None:
        ran.append(number)
        kit.soon(newcomer, number + 1) if number < 6 else kit.stop()

    if when == "in_the_turn":
        kit.soon(take_back)
    handles += [kit.soon(ran.append, "cancelled") for _ in range(6)]
    kit.soon(lambda: (kit.put(write_end), kit.soon(newcomer, 1)))
    if when == "before_the_turn":
        take_back()
    kit.run_forever()
    kit.check("reader" in ran[:3], f"callbacks in their order: {ran}")


@family("SOON-7", way=("soon", "threadsafe", "later", "at"))
def test_handles_in_a_set(kit: Kit, way: str) -> None:
    """Handles can be kept in a set and found there, while they wait, once cancelled, and after they ran"""
    loop, ran = kit.loop, list[int]()
    asks: dict[str, Ask] = {
        "soon": loop.call_soon,
        "threadsafe": loop.call_soon_threadsafe,
        "later": functools.partial(loop.call_later, 0.001),
        "at": functools.partial(loop.call_at, loop.time() + 0.001),
    }
    handles = [asks[way](kit.observed(ran.append), number) for number in range(3)]
    kept = set(handles)
    handles[1].cancel()
    kit.run_for(0.003)
    kit.equal((len(kept), [one in kept for one in handles]), (3, [True] * 3), "how many, and is each found")
    kit.equal(sorted(ran), [0, 2], "handles that ran")


@family("TIMER-3", cancel=("first", "second"))
def test_one_of_two_equal_timers(kit: Kit, cancel: str) -> None:
    """Of two timers with one deadline, callback and arguments the one that was not cancelled fires"""
    ran: list[int] = []

    def callback(number: int) -> None:
        kit.recorder.note()
        ran.append(number)

    when = kit.loop.time() + 0.005
    handles = [kit.loop.call_at(when, callback, 1) for _ in range(2)]
    handles[cancel == "second"].cancel()
    kit.run_for(0.015)
    kit.equal((ran, [h.cancelled() for h in handles].count(True)), ([1], 1), "calls, and handles that are cancelled")
