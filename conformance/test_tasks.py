# real clock
"""Cases of tasks (TASK-*): their order, how they are cancelled, and eager ones where this Python has them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("loopcheck-task", default="nothing")
HAS_EAGER = sys.version_info >= (3, 12)


def eager(kit: Kit) -> None:
    """Makes the loop start its tasks eagerly; skips the case on a Python that cannot."""
    if not HAS_EAGER:
        kit.skip("this Python has no eager tasks")
    kit.loop.set_task_factory(asyncio.eager_task_factory)


FACTORIES = ("lazy", "eager")


def choose(kit: Kit, factory: str) -> None:
    if factory == "eager":
        eager(kit)


@case("TASK-1")
def test_new_task_waits_its_turn(kit: Kit) -> None:
    """A new task does not run before its maker awaits, and then in the order of making, with the callbacks."""
    order: list[str] = []

    async def child(name: str) -> None:
        order.append(name)

    async def main() -> None:
        first = asyncio.ensure_future(child("first"))
        kit.soon(order.append, "callback")
        second = asyncio.ensure_future(child("second"))
        order.append("maker")
        await asyncio.wait({first, second})

    kit.run(main())
    kit.equal(order, ["maker", "first", "callback", "second"], "order")


@case("TASK-1")
def test_wake_ups_in_order(kit: Kit) -> None:
    """Tasks that wait for one future go on in the order in which they began to wait."""
    order: list[int] = []

    async def wait(number: int, future: asyncio.Future[None]) -> None:
        await future
        order.append(number)

    async def main() -> None:
        future = kit.loop.create_future()
        tasks = [asyncio.ensure_future(wait(i, future)) for i in range(20)]
        await asyncio.sleep(0)
        future.set_result(None)
        await asyncio.wait(tasks)

    kit.run(main())
    kit.equal(order, list(range(20)), "order")


class Tools:
    """One of each; made inside the loop that uses them."""

    def __init__(self) -> None:
        self.lock, self.semaphore = asyncio.Lock(), asyncio.Semaphore(2)
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.event, self.condition = asyncio.Event(), asyncio.Condition()

    async def use(self, tool: str) -> None:
        """Waits for its turn, and lets go."""
        if tool == "queue":
            await self.queue.get()
        elif tool == "event":
            await self.event.wait()
        elif tool == "condition":
            async with self.condition:
                await self.condition.wait()
        else:
            async with self.lock if tool == "lock" else self.semaphore:
                await asyncio.sleep(0)

    async def release(self, count: int) -> None:
        """Lets all that wait go on."""
        self.event.set()
        for i in range(count):
            self.queue.put_nowait(i)
        await asyncio.sleep(0)
        async with self.condition:
            self.condition.notify_all()


@family("TASK-1", tool=("lock", "queue", "event", "semaphore", "condition"))
def test_tools_are_fair(kit: Kit, tool: str) -> None:
    """Locks, queues, events, semaphores and conditions serve their waiters in order, and lose none"""
    order: list[int] = []

    async def main() -> None:
        tools = Tools()

        async def use(number: int) -> None:
            await tools.use(tool)
            order.append(number)

        tasks = [asyncio.ensure_future(use(i)) for i in range(12)]
        await asyncio.sleep(0)
        await tools.release(12)
        await asyncio.wait(tasks)

    kit.run(main())
    kit.equal(order, list(range(12)), "order")


Wait = Callable[[Kit], Awaitable[object]]


async def two_turns(kit: Kit) -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def in_timeout(kit: Kit) -> None:
    await asyncio.wait_for(asyncio.sleep(3600), 1800)


async def in_gather(kit: Kit) -> None:
    await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(3600))


async def in_wait(kit: Kit) -> None:
    waited = asyncio.ensure_future(asyncio.sleep(3600))
    try:
        await asyncio.wait({waited})
    finally:
        waited.cancel()


async def in_lock(kit: Kit) -> None:
    lock = asyncio.Lock()
    async with lock:
        await lock.acquire()


async def in_shield(kit: Kit) -> None:
    inner = kit.loop.create_future()
    try:
        await asyncio.shield(inner)
    finally:
        kit.check(not inner.cancelled(), "the shielded future was cancelled")
        inner.cancel()


POINTS: dict[str, Wait] = {
    "sleep": lambda kit: asyncio.sleep(3600),
    "sleep_zero": two_turns,
    "future": lambda kit: kit.loop.create_future(),
    "task": lambda kit: asyncio.ensure_future(asyncio.sleep(3600)),
    "queue": lambda kit: asyncio.Queue().get(),
    "event": lambda kit: asyncio.Event().wait(),
    "lock": in_lock,
    "timeout": in_timeout,
    "gather": in_gather,
    "wait": in_wait,
    "shield": in_shield,
    "sock_recv": lambda kit: kit.loop.sock_recv(kit.socketpair()[0], 10),
    "sock_accept": lambda kit: kit.loop.sock_accept(kit.listener()),
    "read": lambda kit: asyncio.StreamReader().read(),
}


@family("TASK-2", point=POINTS, factory=FACTORIES)
def test_cancel_at(kit: Kit, point: Wait, factory: str) -> None:
    """cancel() at an await point raises CancelledError right there; finally runs, and nothing is left"""
    choose(kit, factory)
    seen: list[str] = []

    async def body() -> None:
        try:
            await point(kit)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("finally")

    async def main() -> None:
        task = kit.loop.create_task(body())
        await asyncio.sleep(0)
        kit.check(task.cancel() or task.result(), "cancel() said False")  # raises what the loop does not have
        await asyncio.wait({task})
        kit.check(task.cancelled() and task.done(), f"the task is {task!r}")

    kit.run(main())
    kit.turns(4)
    kit.equal(asyncio.all_tasks(kit.loop), set(), "tasks that are left")
    kit.equal(seen, ["cancelled", "finally"], "what the task saw")


@family("TASK-2", factory=FACTORIES)
def test_cancel_before_the_first_step(kit: Kit, factory: str) -> None:
    """A lazy task that is cancelled before it began never runs; an eager one has run to its first await"""
    choose(kit, factory)
    ran: list[int] = []

    async def body() -> None:
        ran.append(1)
        await asyncio.sleep(3600)

    async def main() -> None:
        task = kit.loop.create_task(body())
        task.cancel()
        await asyncio.wait({task})
        kit.check(task.cancelled(), "the task was not cancelled")

    kit.run(main())
    kit.equal(ran, [1] if factory == "eager" else [], "steps that ran")


@family("TASK-2", answer=("returns", "raises", "goes_on"))
def test_cancellation_that_is_caught(kit: Kit, answer: str) -> None:
    """A task may answer its cancellation with a result, an exception of its own, or by going on"""

    async def body() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if answer == "raises":
                raise ZeroDivisionError("planted") from None
            if answer == "goes_on":
                await asyncio.sleep(0.001)
        return "done"

    async def main() -> object:
        task = kit.loop.create_task(body())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        return task.exception() or task.result()

    seen = kit.run(main())
    kit.check(isinstance(seen, ZeroDivisionError) if answer == "raises" else seen == "done", f"it gave {seen!r}")


@case("TASK-2")
def test_cancel_twice_and_late(kit: Kit) -> None:
    """A second cancel() before the first arrived counts once; cancel() of a done task says False."""

    async def main() -> list[object]:
        task = kit.loop.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        said: list[object] = [task.cancel(), task.cancel()]
        await asyncio.wait({task})
        return [*said, task.cancel(), task.cancelled()]

    kit.equal(kit.run(main()), [True, True, False, True], "answers of cancel(), and cancelled()")


@case("TASK-2")
def test_cancel_message(kit: Kit) -> None:
    """The message of cancel(msg) reaches the CancelledError that the task sees."""
    seen: list[object] = []

    async def body() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            seen.extend(error.args)
            raise

    async def main() -> None:
        task = kit.loop.create_task(body())
        await asyncio.sleep(0)
        task.cancel("enough")
        await asyncio.wait({task})

    kit.run(main())
    kit.equal(seen, ["enough"], "arguments of the CancelledError")


@family("TASK-2", factory=FACTORIES)
def test_timeout_cancels_its_own_task(kit: Kit, factory: str) -> None:
    """Of three tasks with a timeout each gets its own TimeoutError, and no other task a cancellation (asynkit E1)"""
    choose(kit, factory)

    async def body() -> str:
        try:
            await asyncio.wait_for(asyncio.sleep(3600), 0.001)
        except asyncio.TimeoutError:
            return "timeout"
        return "nothing"

    async def main() -> list[str]:
        return list(await asyncio.gather(*(kit.loop.create_task(body()) for _ in range(3))))

    kit.equal(kit.run(main()), ["timeout"] * 3, "outcomes")


@family("TASK-3", factory=FACTORIES)
def test_who_is_running(kit: Kit, factory: str) -> None:
    """current_task() is the task in each of its steps, its maker's again afterwards, and None in a callback"""
    choose(kit, factory)
    seen: list[bool] = []
    kit.soon(lambda: seen.append(asyncio.current_task(kit.loop) is None))

    async def body() -> None:
        first = asyncio.current_task()
        await asyncio.sleep(0)
        seen.append(first is asyncio.current_task() and first in asyncio.all_tasks())

    async def main() -> None:
        me = asyncio.current_task()
        tasks = [kit.loop.create_task(body()) for _ in range(3)]
        seen.append(asyncio.current_task() is me)
        await asyncio.gather(*tasks)
        seen.append(asyncio.current_task() is me)

    kit.run(main())
    kit.equal(seen, [True] * len(seen), "answers")
    kit.check(len(seen) == 6, f"{len(seen)} answers instead of 6")


@family("TASK-3", kind=("exception", "cancelled", "exit"), factory=FACTORIES)
def test_nobody_is_running_after_an_error(kit: Kit, kind: str, factory: str) -> None:
    """After a task that ended by an exception current_task() is None outside, and the next run works (talyn BUG-197)"""
    choose(kit, factory)
    error = {"exception": ZeroDivisionError, "cancelled": asyncio.CancelledError, "exit": SystemExit}[kind]

    async def body() -> None:
        await asyncio.sleep(0)
        raise error("planted")

    kit.raises(error, lambda: kit.run(body()))
    kit.errors.clear()
    kit.check(asyncio.current_task(kit.loop) is None, "a task is current though none runs")
    kit.equal(kit.run(asyncio.sleep(0, "fine")), "fine", "result of the next run")


@case("TASK-4")
def test_eager_task_that_does_not_wait(kit: Kit) -> None:
    """An eager task runs at once up to its first await, and is done at once when it has none."""
    eager(kit)
    order: list[str] = []

    async def quick() -> str:
        order.append("quick")
        return "result"

    async def slow() -> None:
        order.append("slow")
        await asyncio.sleep(0)
        order.append("slow again")

    async def main() -> None:
        first, second = kit.loop.create_task(quick()), kit.loop.create_task(slow())
        order.append("maker")
        kit.check(first.done() and first.result() == "result", "a task without an await is not done")
        kit.check(not second.done(), "a task that waits is done")
        await second

    kit.run(main())
    kit.equal(order, ["quick", "slow", "maker", "slow again"], "order")


@case("TASK-4")
def test_eager_task_that_raises(kit: Kit) -> None:
    """What an eager task raises at once is its own result, not its maker's exception."""
    eager(kit)

    async def fails() -> None:
        raise ZeroDivisionError("planted")

    async def main() -> object:
        task = kit.loop.create_task(fails())
        kit.check(task.done(), "the task is not done")
        return task.exception()

    kit.check(isinstance(kit.run(main()), ZeroDivisionError), "another exception")


@case("TASK-4")
def test_eager_factory_at_the_end(kit: Kit) -> None:
    """shutdown_asyncgens works with an eager factory and a generator that was left in the middle (asynkit E2)."""
    eager(kit)
    ended: list[int] = []

    async def generator() -> Any:
        try:
            while True:
                yield 1
        finally:
            ended.append(1)

    async def main() -> Any:
        made = generator()
        await made.__anext__()
        return made

    kept = kit.run(main())
    kit.run(kit.loop.shutdown_asyncgens())
    kit.equal((ended, kept is None), ([1], False), "generators ended")


@case("TASK-4")
def test_eager_connection(kit: Kit) -> None:
    """create_connection with happy_eyeballs_delay works with an eager factory (cpython gh-124309)."""
    eager(kit)
    listener = kit.listener()
    log = kit.protocol()

    async def main() -> None:
        await kit.loop.create_connection(lambda: log, *listener.getsockname(), happy_eyeballs_delay=0.1)
        log.transport.abort()
        await log.until_event("lost")

    kit.run(main())


@family("TASK-5", factory=("none", "own"))
def test_options_of_create_task(kit: Kit, factory: str) -> None:
    """create_task obeys name and context (3.11), also through a factory, whose task it returns (uvloop#746)"""
    context = contextvars.Context()
    context.run(VARIABLE.set, "given")
    given: Any = {"name": "a name"}
    if has_context := sys.version_info >= (3, 11):
        given["context"] = context
    made: list[object] = []

    def own(loop: Any, coro: Any, **options: Any) -> Any:
        made.append(asyncio.Task(coro, loop=loop, **options))
        return made[-1]

    async def body() -> str:
        return VARIABLE.get()

    async def main() -> None:
        kit.loop.set_task_factory(None if factory == "none" else own)
        VARIABLE.set("the caller's")
        task = kit.loop.create_task(body(), **given)
        seen = "given" if has_context else "the caller's"
        kit.equal((task.get_name(), await task), ("a name", seen), "name, and variable in the task")
        kit.equal(task in made, factory != "none", "is it the factory's task")

    kit.run(main())


@case("TASK-5")
def test_task_is_released(kit: Kit) -> None:
    """A task that is done, and its coroutine's locals, are freed when nobody holds them."""

    class Thing:
        """Something to be weakly referenced."""

    async def body(thing: Thing) -> None:
        await asyncio.sleep(0)

    async def main() -> list[weakref.ref[Any]]:
        thing = Thing()
        task = kit.loop.create_task(body(thing))
        references: list[weakref.ref[Any]] = [weakref.ref(thing), weakref.ref(task)]
        await task
        return references

    references = kit.run(main())
    kit.turns(2)
    gc.collect()
    kit.equal([one() for one in references], [None, None], "what is still held")


@case("TASK-5")
def test_task_of_another_loop(kit: Kit) -> None:
    """A task that awaits a future of another loop gets RuntimeError, and both loops go on."""
    other = kit.new_loop()

    async def main() -> None:
        future = other.create_future()

        async def wrong() -> None:
            await future

        task = kit.loop.create_task(wrong())
        await asyncio.wait({task})
        kit.check(isinstance(task.exception(), RuntimeError), f"the task is {task!r}")

    kit.run(main())
    kit.equal(other.run_until_complete(asyncio.sleep(0, 1)), 1, "result of the other loop")
