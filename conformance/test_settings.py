"""Cases of what a loop was told: it says so, refuses what makes no sense, and forgets it (ERR-2, TASK-5, LIFE-*)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import sys
import threading
import warnings
from collections.abc import AsyncGenerator, Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case


class Planted(Exception):
    """Raised on purpose."""


def logged(kit: Kit, act: Callable[[], object]) -> list[logging.LogRecord]:
    """What asyncio's logger was told at the level of errors while act() ran."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        act()
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
    return records


def fail(kit: Kit) -> None:
    """Has a callback raise."""

    def callback() -> None:
        raise Planted("planted")

    kit.loop.call_soon(callback)
    kit.turns(2)


@case("ERR-2")
def test_exception_handler_is_told_and_taken_back(kit: Kit) -> None:
    """get_exception_handler gives what was set; what is no callable is refused; None brings the default back."""
    told: list[dict[str, Any]] = []

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        told.append(context)

    kit.loop.set_exception_handler(handler)
    for wrong in (1, "handler", []):
        kit.raises(TypeError, kit.loop.set_exception_handler, wrong)  # type: ignore[arg-type]
    kit.check(kit.loop.get_exception_handler() is handler, "another handler")
    fail(kit)
    kit.equal(len(told), 1, "contexts told")
    kit.loop.set_exception_handler(None)
    kit.check(kit.loop.get_exception_handler() is None, "a handler is left")
    records = logged(kit, lambda: fail(kit))
    kit.equal((len(told), len(records)), (1, 1), "contexts told, and errors logged")
    kit.check(records[0].exc_info and records[0].exc_info[0] is Planted, "the exception was not logged")


@case("ERR-2")
def test_raising_handler_is_logged(kit: Kit) -> None:
    """What an exception handler itself raises is logged, with its own exception."""

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raise ZeroDivisionError("in the handler")

    kit.loop.set_exception_handler(handler)
    records = logged(kit, lambda: fail(kit))
    kinds = [record.exc_info[0] for record in records if record.exc_info]
    kit.check(ZeroDivisionError in kinds, f"logged: {[record.getMessage() for record in records]}")


@case("ERR-2")
def test_default_handler_may_be_called(kit: Kit) -> None:
    """An exception handler may hand its context to default_exception_handler, which logs it once."""
    kit.loop.set_exception_handler(lambda loop, context: loop.default_exception_handler(context))
    records = logged(kit, lambda: fail(kit))
    kit.equal(len(records), 1, "errors logged")


@case("ERR-2")
def test_default_handler_of_a_subclass(kit: Kit) -> None:
    """Without a handler the loop's own default_exception_handler is called, also one that a subclass has."""
    told: list[dict[str, Any]] = []

    def default(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        kit.recorder.note()
        told.append(context)

    try:
        made = type("Sub", (type(kit.loop),), {"default_exception_handler": default})()
    except TypeError as error:
        kit.skip(f"the loop's class cannot be inherited from: {error}")
    kit.turns(1)
    made.call_soon(lambda: 1 / 0)
    made.call_soon(made.stop)
    made.run_forever()
    made.close()
    kit.equal([type(context.get("exception")) for context in told], [ZeroDivisionError], "contexts told")


class Raises(asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        raise Planted("planted")


def context_of(kit: Kit, source: str) -> dict[str, Any]:
    """The context that the exception handler gets of a failure of this kind."""
    kit.errors.clear()
    if source == "callback":
        fail(kit)
    elif source == "timer":
        kit.loop.call_later(0, lambda: 1 / 0)
        kit.run_for(0.002)
    elif source == "reader":
        left, right = kit.socketpair()
        kit.put(right)
        number = left.fileno()
        kit.loop.add_reader(number, lambda: (kit.loop.remove_reader(number), 1 / 0))
        kit.turns(4)
    elif source in ("task", "future"):
        future = kit.loop.create_future()
        future.set_exception(Planted("planted"))
        waits = kit.loop.create_task(wait(future)) if source == "task" else None
        kit.turns(4)
        del future, waits
        gc.collect()
    else:
        given, peer = kit.tcp_pair()
        kit.run(kit.loop.create_connection(Raises, sock=given))
        kit.put(peer)
        kit.run_for(0.003)
    kit.equal(len(kit.errors), 1, "contexts told")
    return kit.errors[0]


async def wait(future: asyncio.Future[None]) -> None:
    await future


KEYS: dict[str, dict[str, Any]] = {
    "callback": {"handle": asyncio.Handle},
    "timer": {"handle": asyncio.Handle},
    "reader": {"handle": asyncio.Handle},
    "task": {"future": asyncio.Future},
    "future": {"future": asyncio.Future},
    "protocol": {"protocol": Raises, "transport": asyncio.BaseTransport},
}


@family("ERR-2", source=KEYS)
def test_context_of_a_failure(kit: Kit, source: dict[str, Any]) -> None:
    """The context tells a message, the exception, and whose it is: handle, future, or protocol and transport"""
    name = next(key for key, value in KEYS.items() if value is source)
    context = context_of(kit, name)
    kit.check(isinstance(context.get("message"), str) and context["message"], "there is no message")
    kit.check(isinstance(context.get("exception"), Exception), "there is no exception")
    for key, kind in source.items():
        told = context.get(key)
        is_right = told is not None and (key != "protocol" or isinstance(told, kind))
        kit.check(is_right, f"context[{key!r}] is {told!r}")


@case("TASK-5")
def test_task_factory_is_told_and_taken_back(kit: Kit) -> None:
    """get_task_factory gives what was set; what is no callable is refused; None brings plain tasks back."""
    made: list[object] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **options)

    kit.loop.set_task_factory(factory)
    for wrong in (1, "factory", []):
        kit.raises(TypeError, kit.loop.set_task_factory, wrong)
    kit.check(kit.loop.get_task_factory() is factory, "another factory")
    kit.run(asyncio.sleep(0))
    count = len(made)
    kit.loop.set_task_factory(None)
    kit.check(kit.loop.get_task_factory() is None, "a factory is left")
    kit.run(asyncio.sleep(0))
    kit.equal((count > 0, len(made) - count), (True, 0), "was it used, and how often once it was taken back")


@case("THREAD-5", needs_run=False)
def test_default_executor_is_checked(kit: Kit) -> None:
    """set_default_executor refuses what is no ThreadPoolExecutor."""
    if sys.version_info < (3, 11):
        kit.skip("deprecated, but taken")
    for wrong in (1, "pool", concurrent.futures.Executor()):
        kit.raises(TypeError, kit.loop.set_default_executor, wrong)


@case("THREAD-5")
def test_cancelled_job_does_not_run(kit: Kit) -> None:
    """A job that waits for its turn in an executor and whose future is cancelled does not run."""
    ran: list[str] = []

    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            opened = concurrent.futures.Future[None]()
            first = kit.loop.run_in_executor(pool, opened.result)
            second = kit.loop.run_in_executor(pool, ran.append, "second")
            third = kit.loop.run_in_executor(pool, ran.append, "third")
            second.cancel()
            await asyncio.sleep(0)
            opened.set_result(None)
            await asyncio.gather(first, third)
            kit.check(second.cancelled(), "the future is not cancelled")

    kit.run(main())
    kit.equal(ran, ["third"], "jobs that ran")


async def nothing() -> None:
    pass


REFUSED: dict[str, Callable[[asyncio.AbstractEventLoop, Any], object]] = {
    "create_task": lambda loop, coro: loop.create_task(coro),
    "ensure_future": lambda loop, coro: asyncio.ensure_future(coro, loop=loop),
    "run_until_complete": lambda loop, coro: loop.run_until_complete(coro),
    "run_in_executor": lambda loop, coro: loop.run_in_executor(None, int),
    "call_at": lambda loop, coro: loop.call_at(0, int),
    "call_soon_threadsafe": lambda loop, coro: loop.call_soon_threadsafe(int),
    "add_reader": lambda loop, coro: loop.add_reader(0, int),
    "add_writer": lambda loop, coro: loop.add_writer(1, int),
    "add_signal_handler": lambda loop, coro: loop.add_signal_handler(10, int),
}


@family("LIFE-5", needs_run=False, call=REFUSED)
def test_refused_by_a_closed_loop(kit: Kit, call: Any) -> None:
    """A closed loop refuses with RuntimeError whatever could never be done"""
    kit.loop.close()
    coro = nothing()
    kit.raises(RuntimeError, call, kit.loop, coro)
    coro.close()


@case("LIFE-8")
def test_interrupted_run_leaves_no_stop(kit: Kit) -> None:
    """A run_until_complete that an exception left does not end a later run when its future is done."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    future = kit.loop.create_future()
    kit.loop.call_soon(interrupt)
    with kit.running():
        kit.raises(KeyboardInterrupt, kit.loop.run_until_complete, future)
    ran: list[int] = []
    kit.soon(future.set_result, 1)

    def count() -> None:
        ran.append(len(ran))
        _ = kit.stop() if len(ran) == 6 else kit.soon(count)

    kit.soon(count)
    kit.run_forever()
    kit.equal(len(ran), 6, "turns of the second run before it was stopped")


@family("LIFE-8", error={"exit": SystemExit, "interrupt": KeyboardInterrupt})
def test_stop_before_an_exit(kit: Kit, error: type[BaseException]) -> None:
    """stop() in a run that an exception leaves in the same turn does not end the next run"""

    def stop_and_leave() -> None:
        kit.loop.stop()
        raise error

    kit.loop.call_soon(stop_and_leave)
    with kit.running():
        kit.raises(error, kit.loop.run_forever)
    ran: list[int] = []

    def count() -> None:
        ran.append(len(ran))
        _ = kit.stop() if len(ran) == 6 else kit.soon(count)

    kit.soon(count)
    kit.run_forever()
    kit.equal(len(ran), 6, "turns of the second run before it was stopped")


@case("LIFE-8", needs_run=False)
def test_future_of_another_loop(kit: Kit) -> None:
    """run_until_complete refuses a future of another loop with ValueError, and can be called again."""
    other = kit.new_loop()
    kit.raises(ValueError, kit.loop.run_until_complete, other.create_future())
    kit.equal(kit.loop.run_until_complete(asyncio.sleep(0, 1)), 1, "result of the next")


@case("LIFE-8")
def test_future_that_is_done(kit: Kit) -> None:
    """run_until_complete of a future that is done is a run like any other: what is ready runs."""
    future, ran = kit.loop.create_future(), list[int]()
    future.set_result(7)
    kit.loop.call_soon(kit.observed(ran.append), 1)
    with kit.running():
        kit.equal((kit.loop.run_until_complete(future), ran), (7, [1]), "result, and callbacks that ran")


@case("LIFE-10")
def test_running_loop_after_an_exit(kit: Kit) -> None:
    """After SystemExit left a run the next one is a run like any other: get_running_loop, is_running, tasks."""

    def leave() -> None:
        raise SystemExit(3)

    kit.loop.call_soon(leave)
    kit.raises(SystemExit, kit.run_forever)
    kit.equal(kit.loop.is_running(), False, "is_running() after it")
    seen: list[object] = []

    async def main() -> None:
        seen.extend((asyncio.get_running_loop() is kit.loop, kit.loop.is_running()))
        await asyncio.sleep(0)
        seen.extend((asyncio.get_running_loop() is kit.loop, asyncio.current_task() is not None))

    kit.run(main())
    kit.equal(seen, [True] * 4, "the running loop in the next run")


@case("LIFE-11")
def test_generators_that_fail_to_close(kit: Kit) -> None:
    """shutdown_asyncgens closes each generator, tells what one raises with the generator, and may be repeated."""
    kit.errors.clear()
    closed: list[int] = []

    async def numbers(number: int) -> AsyncGenerator[int, None]:
        try:
            yield number
        finally:
            closed.append(number)
            if number == 1:
                raise Planted("in a finaliser")

    async def main() -> list[Any]:
        kept = [numbers(number) for number in range(3)]
        for one in kept:
            await one.__anext__()
        await kit.loop.shutdown_asyncgens()
        await kit.loop.shutdown_asyncgens()
        return kept

    kept = kit.run(main())
    kit.equal(sorted(closed), [0, 1, 2], "generators closed")
    told = [(type(context.get("exception")), context.get("asyncgen") is kept[1]) for context in kit.errors]
    kit.equal(told, [(Planted, True)], "(exception, is the generator named) told")


@case("LIFE-11")
def test_generator_after_the_shutdown(kit: Kit) -> None:
    """A generator that is first iterated after shutdown_asyncgens works, and gives a ResourceWarning."""

    async def numbers() -> AsyncGenerator[int, None]:
        yield 1

    async def main() -> list[int]:
        await kit.loop.shutdown_asyncgens()
        return [number async for number in numbers()]

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        kit.equal(kit.run(main()), [1], "what the generator gave")
    told = [one.category for one in seen if "generator" in str(one.message)]
    kit.equal(told, [ResourceWarning], "warnings of the generator")


@case("LIFE-11")
def test_generators_that_wait_for_each_other(kit: Kit) -> None:
    """shutdown_asyncgens closes all generators at once: two whose clean-ups wait for each other end."""

    async def numbers(mine: asyncio.Event, other: asyncio.Event) -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            mine.set()
            await other.wait()

    async def main() -> bool:
        first, second = asyncio.Event(), asyncio.Event()
        generators = numbers(first, second), numbers(second, first)
        for generator in generators:
            await generator.__anext__()
        shutdown = asyncio.ensure_future(kit.loop.shutdown_asyncgens())
        await asyncio.wait({shutdown}, timeout=1)
        return shutdown.done()

    kit.check(kit.run(main()), "one is closed after the other, and waits for ever")


@case("LIFE-11")
def test_generator_of_an_earlier_run(kit: Kit) -> None:
    """shutdown_asyncgens closes a generator that was begun in an earlier run of the loop."""
    closed: list[int] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closed.append(1)

    async def begin(generator: AsyncGenerator[int, None]) -> None:
        await generator.__anext__()

    generator = numbers()
    kit.run(begin(generator))
    kit.turns(1)
    kit.run(kit.loop.shutdown_asyncgens())
    kit.equal(closed, [1], "generators that were closed")
    del generator


@family("LIFE-7", run=("until_complete", "forever"))
def test_loop_of_another_thread_runs_beside(kit: Kit, run: str) -> None:
    """A loop runs while another runs in another thread, and each is the running loop of its own"""
    running, over = threading.Event(), threading.Event()
    other = kit.new_loop()

    async def wait() -> None:
        running.set()
        while not over.is_set():
            await asyncio.sleep(0.001)

    thread = kit.thread(other.run_until_complete, wait())
    try:
        kit.check(running.wait(2), "the other one does not run")
        seen: list[bool] = []
        kit.soon(lambda: seen.append(asyncio.get_running_loop() is kit.loop))
        kit.turns(2) if run == "forever" else kit.run(asyncio.sleep(0))
    finally:
        over.set()
        thread.join()
    kit.equal(seen, [True], "is it the running loop")


@family("LIFE-11", when=("between_runs", "in_a_run"))
def test_generator_that_is_dropped(kit: Kit, when: str) -> None:
    """A generator that is dropped is closed by the loop, also when it was dropped while the loop did not run"""
    closed: list[int] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(1)

    held = [numbers()]

    async def begin() -> None:
        await held[0].__anext__()
        _ = when == "between_runs" or held.clear()

    kit.run(begin())
    held.clear()
    gc.collect()
    kit.turns(5)
    kit.equal(closed, [1], "generators that were closed")
