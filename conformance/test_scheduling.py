"""Cases of the scheduling area: call_soon and contexts (SOON-*). Exceptions are in test_errors.py."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="unset")


class Planted(Exception):
    """Raised on purpose by the callbacks of a case."""


def raiser(error: type[BaseException]) -> Callable[[], None]:
    def callback() -> None:
        raise error("planted")

    return callback


@case("SOON-1")
def test_fifo_at_top_level(kit: Kit) -> None:
    """A thousand callbacks run in the order in which call_soon got them."""
    order: list[int] = []
    for i in range(1000):
        kit.soon(order.append, i)
    kit.soon(kit.stop)
    kit.run_forever()
    kit.equal(order, list(range(1000)), "order")


@case("SOON-1")
def test_fifo_inside_callbacks(kit: Kit) -> None:
    """Callbacks asked for by callbacks run in the order of asking, turn by turn."""
    order: list[str] = []

    def parent(name: str) -> None:
        order.append(name)
        for child in "123":
            kit.soon(order.append, name + child)

    kit.soon(parent, "a")
    kit.soon(parent, "b")
    kit.turns(4)
    kit.equal(order, ["a", "b", "a1", "a2", "a3", "b1", "b2", "b3"], "order")


@case("SOON-1")
def test_fifo_across_runs(kit: Kit) -> None:
    """Callbacks left over from one run come before those asked for between the runs."""
    order: list[int] = []
    kit.soon(kit.stop)
    kit.soon(lambda: kit.soon(order.append, 1))
    kit.run_forever()
    kit.soon(order.append, 2)
    kit.turns(2)
    kit.equal(order, [1, 2], "order")


@case("SOON-1")
def test_fifo_of_done_callbacks(kit: Kit) -> None:
    """A future's done callbacks run in the order in which they were added."""
    order: list[int] = []
    future = kit.loop.create_future()
    for i in range(5):
        future.add_done_callback(lambda _, i=i: order.append(i))
    kit.soon(future.set_result, None)
    kit.turns(3)
    kit.equal(order, [0, 1, 2, 3, 4], "order of done callbacks")


@case("SOON-1")
def test_tasks_take_turns(kit: Kit) -> None:
    """Two tasks that sleep(0) alternate, the one created first going first."""
    order: list[str] = []

    async def walk(name: str) -> None:
        for i in range(3):
            order.append(f"{name}{i}")
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(walk("a"), walk("b"))

    kit.run(main())
    kit.equal(order, ["a0", "b0", "a1", "b1", "a2", "b2"], "order of steps")


@case("SOON-2")
def test_new_callback_waits_for_the_next_turn(kit: Kit) -> None:
    """What a callback asks for runs after everything that was ready with it."""
    order: list[str] = []

    def first() -> None:
        order.append("first")
        kit.soon(order.append, "asked")

    kit.soon(first)
    kit.soon(order.append, "second")
    kit.soon(order.append, "third")
    kit.turns(3)
    kit.equal(order, ["first", "second", "third", "asked"], "order")


CHAINS: dict[str, Callable[[Kit, Callable[[], None]], object]] = {
    "soon": lambda kit, chain: kit.loop.call_soon(chain),
    "threadsafe": lambda kit, chain: kit.loop.call_soon_threadsafe(chain),
    "later": lambda kit, chain: kit.loop.call_later(0, chain),
    "at": lambda kit, chain: kit.loop.call_at(kit.loop.time(), chain),
    "past": lambda kit, chain: kit.loop.call_at(0, chain),
}


@family("SOON-2", way=CHAINS)
def test_endless_chain_lets_io_in(kit: Kit, way: Any) -> None:
    """A callback that always asks for itself again, at once, keeps no ready fd waiting"""
    read_end, write_end = kit.pipe()
    kit.reader(read_end, kit.stop)
    left = [200_000]

    def chain() -> None:
        left[0] -= 1
        if left[0] == 199_990:
            kit.put(write_end)
        if left[0] > 0:
            way(kit, chain)
        else:
            kit.fail("200000 turns of a chain of callbacks passed and the ready fd was not served")

    kit.soon(chain)
    kit.run_forever()
    kit.check(left[0] > 0, "the ready fd was not served")


@case("SOON-2")
def test_call_soon_never_calls_at_once(kit: Kit) -> None:
    """call_soon returns before its callback runs, at top level and in callbacks."""
    ran: list[str] = []

    def inside() -> None:
        kit.soon(ran.append, "inside")
        kit.check("inside" not in ran, "call_soon called its callback at once")
        kit.threadsafe(ran.append, "threadsafe")
        kit.check("threadsafe" not in ran, "call_soon_threadsafe called its callback at once")

    kit.soon(ran.append, "top")
    kit.check(not ran, "call_soon called its callback with no loop running")
    kit.soon(inside)
    kit.turns(3)
    kit.equal(sorted(ran), ["inside", "threadsafe", "top"], "callbacks that ran")


@case("SOON-3")
def test_each_callback_runs_once(kit: Kit) -> None:
    """Every one of 500 callbacks runs exactly once, over several runs of the loop."""
    counts = [0] * 500

    def count(i: int) -> None:
        counts[i] += 1

    for i in range(500):
        kit.soon(count, i)
    for _ in range(3):
        kit.turns(3)
    kit.equal(set(counts), {1}, "how often callbacks ran")


@case("SOON-3")
def test_same_function_twice(kit: Kit) -> None:
    """The same function asked for twice with the same arguments runs twice: nothing is merged."""
    ran: list[int] = []
    note = kit.observed(ran.append)
    for ask in (kit.loop.call_soon, kit.loop.call_soon_threadsafe, lambda *args: kit.loop.call_later(0, *args)):
        ask(note, 1)
        ask(note, 1)
    kit.turns(4)
    kit.equal(ran, [1] * 6, "calls")


@case("SOON-4")
def test_cancelled_before_run(kit: Kit) -> None:
    """A handle cancelled before the run never calls back, and its neighbours do."""
    ran: list[int] = []
    handles = [kit.soon(ran.append, i) for i in range(10)]
    for handle in handles[::3]:
        kit.cancel(handle)
    kit.check(handles[0].cancelled(), "cancelled() is false after cancel()")
    kit.check(not handles[1].cancelled(), "cancelled() is true without cancel()")
    kit.turns(3)
    kit.equal(ran, [1, 2, 4, 5, 7, 8], "callbacks that ran")


@case("SOON-4")
def test_cancelled_by_an_earlier_callback_of_the_batch(kit: Kit) -> None:
    """A callback that is ready already does not run after a neighbour cancelled it."""
    ran: list[str] = []
    kit.soon(lambda: [kit.cancel(victim) for victim in victims])
    victims = [
        kit.soon(ran.append, "soon"),
        kit.threadsafe(ran.append, "threadsafe"),
        kit.later(0, ran.append, "timer"),
    ]
    kit.soon(ran.append, "last")
    kit.turns(4)
    kit.equal(ran, ["last"], "callbacks that ran")


@case("SOON-4")
def test_cancel_of_itself_and_twice(kit: Kit) -> None:
    """A callback may cancel its own handle, and a handle may be cancelled twice or after its call."""
    ran: list[str] = []

    def itself() -> None:
        kit.cancel(handle)
        ran.append("itself")

    handle = kit.soon(itself)
    twice = kit.soon(ran.append, "twice")
    kit.cancel(twice)
    kit.cancel(twice)
    kit.turns(3)
    kit.cancel(handle)
    kit.turns(2)
    kit.equal(ran, ["itself"], "callbacks that ran")


@case("SOON-5")
def test_no_callback_is_lost(kit: Kit) -> None:
    """Of 1500 callbacks asked for at top level, in callbacks and in a task, all run."""
    ran: list[int] = []

    def burst(start: int) -> None:
        for i in range(start, start + 500):
            kit.soon(ran.append, i)

    async def task() -> None:
        burst(1000)
        await asyncio.sleep(0)

    burst(0)
    kit.soon(burst, 500)
    kit.run(task())
    kit.turns(4)
    kit.equal(sorted(ran), list(range(1500)), "callbacks that ran")


@case("SOON-5")
def test_asked_for_by_every_kind_of_callback(kit: Kit) -> None:
    """call_soon works from a timer, a reader, a posted callback and a done callback."""
    ran: set[str] = set()
    read_end, write_end = kit.pipe()
    kit.put(write_end)

    def readable() -> None:
        kit.remove_reader(read_end)
        kit.soon(ran.add, "reader")

    kit.reader(read_end, readable)
    kit.later(0.001, lambda: kit.soon(ran.add, "timer"))
    kit.threadsafe(lambda: kit.soon(ran.add, "posted"))
    future = kit.loop.create_future()
    future.add_done_callback(lambda _: kit.soon(ran.add, "done"))
    kit.soon(future.set_result, 1)
    kit.run_for(0.02)
    kit.turns(3)
    kit.equal(ran, {"reader", "timer", "posted", "done"}, "callbacks that ran")


@case("SOON-5")
def test_task_wakes_when_its_future_is_done(kit: Kit) -> None:
    """A chain of a hundred tasks, each waiting for the next, ends."""

    async def link(depth: int) -> int:
        await asyncio.sleep(0)
        return 0 if depth == 0 else 1 + await asyncio.ensure_future(link(depth - 1))

    kit.equal(kit.run(link(100)), 100, "links")


@case("SOON-6")
def test_arguments(kit: Kit) -> None:
    """Callbacks get exactly the positional arguments they were asked for with, by identity."""
    seen: list[tuple[object, ...]] = []
    thing = object()
    wanted: list[tuple[object, ...]] = [(), (thing,), (1, 2, 3), (None,), ((),), tuple(range(12))]
    for args in wanted:
        kit.soon(lambda *args: seen.append(args), *args)
    kit.threadsafe(lambda *args: seen.append(args), thing, 5)
    kit.turns(3)
    kit.later(0, lambda *args: seen.append(args), thing, 6)
    kit.turns(3)
    kit.equal(seen, [*wanted, (thing, 5), (thing, 6)], "arguments")
    kit.check(seen[1][0] is thing, "an argument arrived as another object")


@case("SOON-6")
def test_arguments_of_watchers(kit: Kit) -> None:
    """The callbacks of add_reader and add_writer get the arguments given there."""
    left, right = kit.socketpair()
    seen: set[tuple[object, ...]] = set()
    note = kit.observed(lambda *args: seen.add(args))
    kit.put(right)
    kit.loop.add_reader(left.fileno(), note, "reader", 1)
    kit.loop.add_writer(right.fileno(), note, "writer", None, 2)
    kit.run_for(0.01)
    kit.loop.remove_reader(left.fileno())
    kit.loop.remove_writer(right.fileno())
    kit.equal(seen, {("reader", 1), ("writer", None, 2)}, "arguments")


@case("SOON-6")
def test_context_is_the_one_at_the_call(kit: Kit) -> None:
    """Without context= a callback runs in a copy of the context in which it was asked for."""
    seen: dict[str, str] = {}

    def note(name: str) -> None:
        seen[name] = VAR.get()
        VAR.set("changed by a callback")

    for name, ask in (("soon", kit.soon), ("threadsafe", kit.threadsafe)):
        VAR.set(name)
        ask(note, name)
    VAR.set("timer")
    kit.later(0.001, note, "timer")
    VAR.set("after")
    kit.run_for(0.02)
    kit.equal(seen, {n: n for n in ("soon", "threadsafe", "timer")}, "context seen by callbacks")
    kit.equal(VAR.get(), "after", "context of the caller after the run")


@case("SOON-6")
def test_context_argument(kit: Kit) -> None:
    """context= is used, also when it is an empty context, which is falsy (asynkit E4)."""
    seen: list[str] = []
    VAR.set("caller")
    empty = contextvars.Context()
    kit.check(not empty, "an empty context is falsy")
    for ask in (kit.soon, kit.threadsafe, lambda fn, context: kit.later(0, fn, context=context)):
        ask(lambda: seen.append(VAR.get()), context=empty)
    kit.at(kit.loop.time(), lambda: seen.append(VAR.get()), context=empty)
    kit.turns(4)
    kit.equal(seen, ["unset"] * 4, "what callbacks saw in an empty context")
    full = contextvars.copy_context()
    kit.soon(lambda: VAR.set("inner"), context=full)
    kit.turns(2)
    kit.equal(full[VAR], "inner", "variable in the given context after the callback")


@case("SOON-6")
def test_context_of_a_reader(kit: Kit) -> None:
    """A reader's callback runs in the context in which add_reader was called."""
    read_end, write_end = kit.pipe()
    seen: list[str] = []
    VAR.set("at add_reader")
    kit.reader(read_end, lambda: (seen.append(VAR.get()), kit.stop()))
    VAR.set("later")
    kit.put(write_end)
    kit.run_forever()
    kit.equal(seen[0], "at add_reader", "context of the reader")


@case("SOON-6")
def test_context_is_left_after_an_exception(kit: Kit) -> None:
    """A context can be entered again after a callback raised in it (talyn BUG-091)."""
    context = contextvars.copy_context()
    ran: list[int] = []
    kit.soon(raiser(Planted), context=context)
    kit.soon(ran.append, 1, context=context)
    kit.turns(3)
    kit.check(len(kit.errors) == 1, "one error")
    context.run(ran.append, 2)
    kit.equal(ran, [1, 2], "later uses of the context")


@case("SOON-6")
def test_tasks_have_contexts_of_their_own(kit: Kit) -> None:
    """A task sees its creator's variables and its own changes, over every await, and leaks none."""
    seen: list[tuple[str, str]] = []

    async def child(name: str) -> None:
        seen.append((name, VAR.get()))
        VAR.set(name)
        await asyncio.sleep(0.001)
        seen.append((name, VAR.get()))

    async def main() -> None:
        VAR.set("main")
        await asyncio.gather(child("a"), child("b"))
        seen.append(("main", VAR.get()))

    kit.run(main())
    wanted = [("a", "a"), ("a", "main"), ("b", "b"), ("b", "main"), ("main", "main")]
    kit.equal(sorted(seen), wanted, "values seen, whichever timer was first")
    kit.equal(VAR.get(), "unset", "value outside")
