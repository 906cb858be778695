"""Cases of the scheduling area: exceptions in callbacks (ERR-*)."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from collections.abc import Callable

from loopcheck.family import family
from loopcheck.kit import Kit, case


class Planted(Exception):
    """Raised on purpose by the callbacks of a case."""


def raiser(error: type[BaseException]) -> Callable[[], None]:
    def callback() -> None:
        raise error("planted")

    return callback


def survives(kit: Kit, error: type[BaseException]) -> None:
    """Raises in a soon, posted, timer and reader callback; every neighbour has to run."""
    ran: set[str] = set()
    read_end, write_end = kit.pipe()
    kit.put(write_end)

    def readable() -> None:
        if "reader" in ran:
            kit.remove_reader(read_end)
        ran.add("reader")
        raise error("planted")

    kit.reader(read_end, readable)
    for name, ask in (("soon", kit.soon), ("posted", kit.threadsafe)):
        ask(raiser(error))
        ask(ran.add, name)
    kit.later(0.001, raiser(error))
    kit.later(0.002, ran.add, "timer")
    kit.run_for(0.03)
    kit.equal(ran, {"soon", "posted", "timer", "reader"}, "neighbours that ran")
    kit.check(len(kit.errors) >= 4, "the exception handler was not told of each exception")


@case("ERR-1")
def test_exception_harms_no_other(kit: Kit) -> None:
    """An Exception in any kind of callback leaves the rest of the batch and the loop alone."""
    survives(kit, Planted)


@case("ERR-1")
def test_cancelled_error_harms_no_other(kit: Kit) -> None:
    """A CancelledError raised by a plain callback is an exception like any other (T8)."""
    survives(kit, asyncio.CancelledError)


@case("ERR-1")
def test_raising_handler_harms_nothing(kit: Kit) -> None:
    """An exception handler that raises itself does not stop the loop."""
    kit.loop.set_exception_handler(lambda loop, context: 1 / 0)
    ran: list[int] = []
    kit.soon(raiser(Planted))
    kit.soon(ran.append, 1)
    kit.turns(3)
    kit.soon(ran.append, 2)
    kit.turns(2)
    kit.equal(ran, [1, 2], "callbacks that ran")


@case("ERR-1")
def test_watcher_stays_after_an_exception(kit: Kit) -> None:
    """A reader whose callback raised is called again while its fd is ready (talyn BUG-170)."""
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    calls: list[int] = []

    def readable() -> None:
        calls.append(1)
        if len(calls) == 3:
            kit.stop()
        raise Planted("planted")

    kit.reader(read_end, readable)
    kit.run_forever()
    kit.equal(len(kit.errors), len(calls), "errors reported for calls of a raising reader")


@case("ERR-2")
def test_handler_is_told_once(kit: Kit) -> None:
    """The handler gets each exception once, with the message and the very exception object."""
    planted = [Planted("soon"), Planted("timer"), Planted("posted")]

    def throw(error: Planted) -> None:
        raise error

    kit.soon(throw, planted[0])
    kit.later(0.002, throw, planted[1])
    kit.threadsafe(throw, planted[2])
    kit.run_for(0.03)
    told = [context.get("exception") for context in kit.errors]
    kit.equal(len(told), 3, "calls of the exception handler")
    kit.check(all(any(t is p for t in told) for p in planted), f"exceptions told: {told!r}")
    kit.check(all(c.get("message") for c in kit.errors), "a context has no message")


@case("ERR-2")
def test_told_exception_has_its_traceback(kit: Kit) -> None:
    """The traceback of an exception that the handler is told of leads to where it was raised."""

    def throw() -> None:
        raise Planted("here")

    kit.soon(throw)
    kit.later(0.002, throw)
    kit.run_for(0.03)
    places = [traceback.extract_tb(context["exception"].__traceback__) for context in kit.errors]
    kit.equal([[entry.name for entry in place][-1:] for place in places], [["throw"]] * 2, "ends of the tracebacks")


@case("ERR-2")
def test_traceback_of_a_callback_that_nobody_wraps(kit: Kit) -> None:
    """An exception that no Python code has caught on its way to the handler has its traceback too."""

    def throw() -> None:
        raise Planted("here")

    kit.loop.call_soon(throw)  # kit.soon() would catch it first
    kit.loop.call_later(0.001, throw)
    kit.soon(lambda: None)
    kit.run_for(0.02)
    places = [traceback.extract_tb(context["exception"].__traceback__) for context in kit.errors]
    kit.equal([[entry.name for entry in place][-1:] for place in places], [["throw"]] * 2, "ends of the tracebacks")


@case("ERR-2")
def test_watcher_that_removes_itself_and_raises(kit: Kit) -> None:
    """What a reader raises after it has removed itself, so that nobody holds it any more, is told as any other."""
    read_end, write_end = kit.pipe()
    kit.put(write_end)

    def readable() -> None:
        kit.loop.remove_reader(read_end)
        scratch.extend(bytearray(size) for size in range(1, 512))  # takes the memory that was freed
        raise Planted("here")

    scratch: list[bytearray] = []
    kit.soon(kit.loop.add_reader, read_end, readable)
    kit.run_for(0.01)
    kit.equal([repr(context["exception"]) for context in kit.errors], ["Planted('here')"], "exceptions told")


@case("ERR-2")
def test_call_exception_handler(kit: Kit) -> None:
    """call_exception_handler hands over the very context, once, to the handler that is set."""
    got: list[object] = []
    context = {"message": "planted", "extra": object()}
    kit.loop.set_exception_handler(lambda loop, c: got.append((loop, c)))
    kit.check(kit.loop.get_exception_handler() is not None, "get_exception_handler is None")
    kit.loop.call_exception_handler(context)
    kit.equal(got, [(kit.loop, context)], "calls of the handler")
    kit.soon(kit.loop.call_exception_handler, context)
    kit.turns(2)
    kit.equal(len(got), 2, "calls of the handler from a callback")
    kit.loop.set_exception_handler(None)
    kit.check(kit.loop.get_exception_handler() is None, "the handler cannot be taken back")


@case("ERR-2")
def test_default_handler_logs_once(kit: Kit) -> None:
    """Without a handler of the user's an exception is logged once, by the logger "asyncio"."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    kit.loop.set_exception_handler(None)
    try:
        kit.soon(raiser(Planted))
        kit.turns(3)
    finally:
        logger.removeHandler(handler)
    kit.equal(len(records), 1, "records logged")
    kit.check(records[0].exc_info and records[0].exc_info[0] is Planted, "the exception is not in the record")


@case("ERR-2")
def test_forgotten_task_exception(kit: Kit) -> None:
    """The exception of a task that nobody awaits reaches the handler when the task is dropped."""

    async def fails() -> None:
        raise Planted("planted")

    async def main() -> None:
        task = asyncio.ensure_future(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    kit.run(main())
    gc.collect()
    kit.check(any(isinstance(c.get("exception"), Planted) for c in kit.errors), "nobody was told")


def leaves(kit: Kit, error: type[BaseException]) -> None:
    """Raises `error` in a callback: run_forever raises it, and the rest runs in the next run."""
    ran: list[int] = []
    kit.soon(ran.append, 1)
    kit.soon(raiser(error))
    kit.soon(ran.append, 2)
    kit.soon(ran.append, 3)
    kit.raises(error, kit.run_forever)
    kit.check(not kit.loop.is_running(), "the loop says that it is running")
    kit.turns(3)
    kit.equal(ran, [1, 2, 3], "callbacks that ran, over both runs")


@case("ERR-3")
def test_system_exit(kit: Kit) -> None:
    """SystemExit leaves run_forever and the rest of the batch survives (rsloop PR#57)."""
    leaves(kit, SystemExit)


@case("ERR-3")
def test_keyboard_interrupt(kit: Kit) -> None:
    """KeyboardInterrupt leaves run_forever and the rest of the batch survives (talyn BUG-024)."""
    leaves(kit, KeyboardInterrupt)


@case("ERR-3")
def test_system_exit_from_timer_and_reader(kit: Kit) -> None:
    """SystemExit leaves run_forever from a timer, a reader and a posted callback."""
    kit.later(0.001, raiser(SystemExit))
    kit.raises(SystemExit, kit.run_forever)
    kit.threadsafe(raiser(SystemExit))
    kit.raises(SystemExit, kit.run_forever)
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    kit.reader(read_end, raiser(SystemExit))
    kit.raises(SystemExit, kit.run_forever)
    kit.remove_reader(read_end)
    kit.turns(3)


@case("ERR-3")
def test_system_exit_in_a_task(kit: Kit) -> None:
    """SystemExit in a task leaves run_until_complete, and a waiting task goes on in the next run."""
    future = kit.loop.create_future()

    async def exits() -> None:
        future.set_result("kept")
        raise SystemExit

    async def waits() -> object:
        return await future

    waiter = kit.loop.create_task(waits())
    kit.raises(SystemExit, lambda: kit.run(exits()))
    kit.equal(kit.run(waiter), "kept", "result of the task that waited")


@family("ERR-3", way=("soon", "threadsafe", "later", "at"), error={"exit": SystemExit, "interrupt": KeyboardInterrupt})
def test_what_left_the_run_does_not_come_again(kit: Kit, way: str, error: type[BaseException]) -> None:
    """A callback that left the run by an exception does not run again in the next, and what was behind it does"""
    ran: list[str] = []

    def leaves() -> None:
        ran.append("leaves")
        raise error

    loop = kit.loop
    asks: dict[str, Callable[[Callable[[], object]], object]] = {
        "soon": loop.call_soon,
        "threadsafe": loop.call_soon_threadsafe,
        "later": lambda fn: loop.call_later(0, fn),
        "at": lambda fn: loop.call_at(loop.time() - 1, fn),
    }
    asks[way](leaves)
    asks[way](lambda: ran.append("behind"))
    kit.raises(error, kit.run_forever)
    kit.turns(5)
    kit.equal(ran, ["leaves", "behind"], "callbacks that ran")


@family("ERR-3", error={"exit": SystemExit, "interrupt": KeyboardInterrupt})
def test_what_the_handler_raises_leaves_the_run(kit: Kit, error: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt of the exception handler leave the run, and what was behind runs in the next"""

    def handler(loop: object, context: object) -> None:
        raise error

    ran: list[int] = []
    kit.loop.set_exception_handler(handler)
    kit.soon(raiser(Planted))
    kit.soon(ran.append, 1)
    kit.raises(error, kit.run_forever)
    kit.turns(3)
    kit.equal(ran, [1], "callbacks behind it that ran")


@family("ERR-2", message=("none", "empty"))
def test_context_without_a_message(kit: Kit, message: str) -> None:
    """The default handler logs a context that has no message, with the exception and the rest of it"""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger("asyncio").addHandler(handler)
    planted = Planted("planted")
    context = {"exception": planted, "odd": "what", **({"message": ""} if message == "empty" else {})}
    kit.loop.set_exception_handler(None)
    kit.turns(1)
    try:
        kit.loop.call_exception_handler(context)
    finally:
        logging.getLogger("asyncio").removeHandler(handler)
    kit.equal(len(records), 1, "records")
    kit.check(records[0].exc_info and records[0].exc_info[1] is planted, f"another exception: {records[0].exc_info}")
    kit.check("odd: 'what'" in records[0].getMessage(), f"logged was {records[0].getMessage()!r}")


@case("LIFE-2")
def test_stop_in_the_exception_handler(kit: Kit) -> None:
    """stop() in the exception handler ends the run, as it does anywhere else."""
    ran: list[str] = []
    kit.turns(1)
    kit.loop.set_exception_handler(lambda loop, _: (ran.append("told"), loop.stop()))
    kit.soon(raiser(Planted))
    late = kit.later(2.0, kit.stop)
    kit.soon(ran.append, "neighbour")
    kit.run_forever()
    kit.check(late.when() > kit.loop.time(), "it was ended by a timer of 2 s")
    late.cancel()
    kit.equal(sorted(ran), ["neighbour", "told"], "what ran")
