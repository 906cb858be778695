# real clock
"""Cases of the lifecycle area: run, stop, nesting, close (LIFE-1, 2, 5, 7, 8, 10). The rest: test_resources.py."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time

from loopcheck.kit import Kit, case


@case("LIFE-1")
def test_run_stop_run(kit: Kit) -> None:
    """A loop that was stopped runs again, with fresh callbacks each time (T5)."""
    ran: list[int] = []
    for i in range(4):
        kit.soon(ran.append, i)
        kit.soon(kit.stop)
        kit.run_forever()
    kit.equal(ran, [0, 1, 2, 3], "callbacks that ran")


@case("LIFE-1")
def test_run_until_complete_thrice(kit: Kit) -> None:
    """run_until_complete works three times in a row, and between runs of run_forever (T5)."""

    async def echo(value: int) -> int:
        await asyncio.sleep(0.001)
        return value

    for i in range(3):
        kit.equal(kit.run(echo(i)), i, "result")
        kit.turns(2)


@case("LIFE-1")
def test_timers_and_watchers_outlive_a_stop(kit: Kit) -> None:
    """A timer armed and a reader added in one run are served by the next."""
    ran: list[str] = []
    read_end, write_end = kit.pipe()
    kit.soon(kit.reader, read_end, lambda: (ran.append("reader"), kit.remove_reader(read_end)))
    kit.soon(kit.later, 0.01, ran.append, "timer")
    kit.turns(2)
    kit.check("reader" not in ran, "the reader was called with nothing to read", rule="FD-1")
    kit.put(write_end)
    kit.run_for(0.03)
    kit.equal(sorted(ran), ["reader", "timer"], "callbacks of both runs")


@case("LIFE-1")
def test_runs_after_a_failed_run(kit: Kit) -> None:
    """A loop whose run ended by an exception runs again."""

    async def fails() -> None:
        raise KeyError("planted")

    kit.raises(KeyError, lambda: kit.run(fails()))
    kit.turns(2)
    kit.soon(exit)
    kit.raises(SystemExit, kit.run_forever)
    kit.check(not kit.loop.is_running(), "is_running() is true after the run ended by SystemExit")
    kit.run(asyncio.sleep(0.001))


@case("LIFE-2")
def test_stop_finishes_the_batch(kit: Kit) -> None:
    """After stop() the callbacks of the batch run, those asked for after it wait for the next run (bpo-25593)."""
    ran: list[str] = []

    def first() -> None:
        kit.loop.stop()
        ran.append("first")
        kit.soon(ran.append, "asked after stop")

    kit.soon(first)
    kit.soon(ran.append, "same batch")
    kit.run_forever()
    kit.equal(ran, ["first", "same batch"], "callbacks of the first run")
    kit.turns(2)
    kit.equal(ran[2:], ["asked after stop"], "callbacks of the second run")


@case("LIFE-2")
def test_stop_before_run(kit: Kit) -> None:
    """stop() before run_forever lets one turn pass, which does not wait: what is ready runs, what that asks for not."""
    ran: list[str] = []
    kit.soon(lambda: (ran.append("ready"), kit.soon(ran.append, "asked for")))
    kit.loop.stop()
    kit.run_forever()
    kit.equal(ran, ["ready"], "callbacks of a run that was stopped before")
    kit.turns(2)
    kit.equal(ran, ["ready", "asked for"], "callbacks of both runs")
    timer = kit.later(1800, ran.append, "timer")
    kit.loop.stop()
    kit.run_forever()  # nothing is ready
    kit.cancel(timer)


@case("LIFE-2")
def test_stop_twice_is_stop_once(kit: Kit) -> None:
    """Two stops in one batch end one run: the next is not cut short."""
    ran: list[int] = []
    kit.soon(kit.loop.stop)
    kit.soon(kit.loop.stop)
    kit.run_forever()
    kit.later(0.005, ran.append, 1)
    kit.later(0.01, kit.stop)
    kit.run_forever()
    kit.equal(ran, [1], "timers of the second run")


@case("LIFE-2")
def test_stop_in_a_timer(kit: Kit) -> None:
    """stop() in a timer ends the run before timers that fall due later."""
    ran: list[str] = []
    kit.later(0.002, lambda: (kit.loop.stop(), time.sleep(0.01), kit.soon(ran.append, "asked after stop")))
    kit.later(0.3, ran.append, "later")
    kit.run_forever()
    kit.equal(ran, [], "callbacks after a timer stopped the loop")


@case("LIFE-2")
def test_stop_in_a_reader(kit: Kit) -> None:
    """stop() in a reader ends the run: the reader is not called again though its fd stays ready."""
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    calls: list[int] = []
    kit.reader(read_end, lambda: (calls.append(1), kit.loop.stop()))
    kit.run_forever()
    kit.equal(len(calls), 1, "calls of a reader that stopped the loop")


@case("LIFE-5")
def test_closed_loop_refuses_work(kit: Kit) -> None:
    """Each way to hand work to a closed loop raises RuntimeError."""
    kit.turns(2)
    loop, future = kit.loop, kit.loop.create_future()
    loop.close()
    kit.check(loop.is_closed(), "is_closed() is false after close()")
    for call in (
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_later(0, print),
        lambda: loop.call_at(loop.time() + 1, print),
        loop.run_forever,
        lambda: loop.run_until_complete(future),
        lambda: loop.run_in_executor(None, print),
    ):
        kit.raises(RuntimeError, call)


@case("LIFE-5")
def test_close_twice(kit: Kit) -> None:
    """close() may be called twice, and on a loop that never ran."""
    kit.turns(1)
    kit.loop.close()
    kit.loop.close()
    fresh = kit.new_loop()
    kit.check(not fresh.is_closed(), "a fresh loop says that it is closed")
    fresh.close()
    fresh.close()
    kit.check(fresh.is_closed(), "is_closed() is false after close()")


@case("LIFE-5")
def test_close_of_a_running_loop_is_refused(kit: Kit) -> None:
    """close() inside a callback raises RuntimeError and the loop goes on (U6)."""
    ran: list[str] = []

    def closes() -> None:
        kit.raises(RuntimeError, kit.loop.close)
        ran.append("refused")
        kit.soon(ran.append, "goes on")

    kit.soon(closes)
    kit.turns(4)
    kit.equal(ran, ["refused", "goes on"], "callbacks")
    kit.check(not kit.loop.is_closed(), "the loop was closed while it ran")


@case("LIFE-5")
def test_refused_close_takes_nothing(kit: Kit) -> None:
    """A close() that is refused leaves watchers, signal handlers, jobs and children to the loop."""
    ran: list[str] = []

    async def main() -> None:
        read_end, write_end = kit.pipe()
        child = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE)
        kit.reader(read_end, lambda: (ran.append("reader"), kit.remove_reader(read_end)))
        kit.loop.add_signal_handler(signal.SIGUSR1, ran.append, "signal")
        kit.raises(RuntimeError, kit.loop.close)
        kit.put(write_end)
        os.kill(os.getpid(), signal.SIGUSR1)
        ran.append(await kit.loop.run_in_executor(None, str, "job"))
        assert child.stdin is not None
        child.stdin.close()
        await asyncio.wait_for(child.wait(), 3)
        kit.loop.remove_signal_handler(signal.SIGUSR1)

    kit.run(main())
    kit.equal(sorted(ran), ["job", "reader", "signal"], "what went on")


@case("LIFE-5")
def test_close_with_work_left(kit: Kit) -> None:
    """close() with callbacks, timers and watchers left calls none of them."""
    ran: list[str] = []
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    kit.turns(1)
    kit.reader(read_end, ran.append, "reader")
    kit.writer(write_end, ran.append, "writer")
    for handle in (kit.soon(ran.append, "soon"), kit.later(0, ran.append, "timer"), kit.later(9, print)):
        kit.check(not handle.cancelled(), "cancelled() without cancel()")
    kit.threadsafe(ran.append, "posted")
    kit.loop.close()
    kit.equal(ran, [], "callbacks that close() called")


@case("LIFE-5")
def test_close_inside_close(kit: Kit) -> None:
    """What close() lets go of may close the loop once more: harmless too."""
    loop, closed = kit.new_loop(), list[bool]()

    class Closes:
        def __del__(self) -> None:
            loop.close()
            closed.append(loop.is_closed())

    kit.turns(1)
    loop.call_soon(print, Closes())
    loop.close()
    kit.equal(closed, [True], "is_closed() inside close()")


@case("LIFE-7")
def test_nested_run_is_refused(kit: Kit) -> None:
    """run_forever and run_until_complete in a callback raise RuntimeError and the outer run goes on (H4)."""
    ran: list[str] = []

    def nests() -> None:
        kit.raises(RuntimeError, kit.loop.run_forever)
        kit.raises(RuntimeError, kit.loop.run_until_complete, kit.loop.create_future())
        kit.check(kit.loop.is_running(), "is_running() is false after a refused run")
        ran.append("refused")
        kit.later(0.001, ran.append, "timer after it")

    kit.soon(nests)
    kit.run_for(0.005)
    kit.run_for(0.005)
    kit.equal(ran, ["refused", "timer after it"], "callbacks")


@case("LIFE-7")
def test_run_forever_of_another_loop_inside_is_refused(kit: Kit) -> None:
    """run_forever of another loop in a callback raises RuntimeError, also where that has been stopped."""
    other = kit.new_loop()
    ran: list[str] = []

    def nests() -> None:
        other.stop()
        kit.raises(RuntimeError, other.run_forever)
        ran.append("refused")

    kit.soon(nests)
    kit.turns(3)
    kit.check(not other.is_running(), "the other loop runs")
    kit.equal(ran, ["refused"], "callbacks")


@case("LIFE-7")
def test_run_of_another_loop_inside_is_refused(kit: Kit) -> None:
    """Another loop of the same kind cannot run inside a running one, and both work afterwards."""
    other = kit.new_loop()

    async def main() -> None:
        kit.raises(RuntimeError, other.run_until_complete, other.create_future())
        kit.check(asyncio.get_running_loop() is kit.loop, "the running loop changed")
        await asyncio.sleep(0.001)

    kit.run(main())
    kit.equal(other.run_until_complete(asyncio.sleep(0, "fine")), "fine", "result of the other loop")


@case("LIFE-8")
def test_run_forever_waits_for_stop(kit: Kit) -> None:
    """run_forever does not return from an idle loop before stop(), be there work or none."""
    stopped: list[int] = []
    kit.thread(lambda: (time.sleep(0.05), kit.threadsafe(lambda: (stopped.append(1), kit.stop()))))
    kit.run_forever()
    kit.check(stopped, "run_forever returned before stop() was called")
    kit.later(0.01, lambda: (stopped.append(2), kit.stop()))
    kit.soon(stopped.append, 3)
    kit.run_forever()
    kit.equal(stopped, [1, 3, 2], "events up to the return of run_forever")


@case("LIFE-8")
def test_results_and_exceptions(kit: Kit) -> None:
    """run_until_complete returns the result, the very object, or raises the exception, the very object."""
    thing, error = object(), ValueError("planted")

    async def gives() -> object:
        await asyncio.sleep(0.001)
        return thing

    async def raises() -> None:
        await asyncio.sleep(0)
        raise error

    kit.check(kit.run(gives()) is thing, "another object came out")
    kit.check(kit.raises(ValueError, lambda: kit.run(raises())) is error, "another exception came out")
    done = kit.loop.create_future()
    done.set_result(thing)
    with kit.running():
        kit.check(kit.loop.run_until_complete(done) is thing, "the result of a future that is done")
    kit.check(done.get_loop() is kit.loop, "create_future() made a future of another loop")


@case("LIFE-8")
def test_task_passed_to_run_until_complete(kit: Kit) -> None:
    """run_until_complete of a task waits for this task, and for no other."""

    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    short, long = kit.loop.create_task(nap(0.002)), kit.loop.create_task(nap(0.03))
    with kit.running():
        kit.equal(kit.loop.run_until_complete(short), 0.002, "result")
    kit.check(short.done(), "the task is not done")
    with kit.running():
        kit.equal(kit.loop.run_until_complete(long), 0.03, "result")
    kit.turns(1)


@case("LIFE-8")
def test_stopped_before_done(kit: Kit) -> None:
    """run_until_complete that is stopped before the future is done raises RuntimeError; a later run completes it."""
    future = kit.loop.create_future()
    kit.later(0.002, kit.stop)
    with kit.running():
        kit.raises(RuntimeError, kit.loop.run_until_complete, future)
    kit.later(0.002, future.set_result, 5)
    with kit.running():
        kit.equal(kit.loop.run_until_complete(future), 5, "result of the second run")


@case("LIFE-8")
def test_no_stop_is_left_pending(kit: Kit) -> None:
    """After run_until_complete, with a result or an exception, run_forever is not ended by an old stop."""
    ran: list[str] = []

    async def raises() -> None:
        raise ValueError("planted")

    kit.run(asyncio.sleep(0))
    kit.raises(ValueError, lambda: kit.run(raises()))
    kit.later(0.01, lambda: (ran.append("timer"), kit.stop()))
    kit.run_forever()
    kit.equal(ran, ["timer"], "callbacks before run_forever returned")


@case("LIFE-8")
def test_cancelled_task(kit: Kit) -> None:
    """run_until_complete of a task that is cancelled raises CancelledError, and its finally block has run."""
    events: list[str] = []

    async def sleeper() -> None:
        kit.later(0.002, task.cancel)
        try:
            await asyncio.sleep(3600)
        finally:
            events.append("finally")

    task = kit.loop.create_task(sleeper())
    kit.raises(asyncio.CancelledError, lambda: kit.run(task))
    kit.equal(events, ["finally"], "events")
    kit.check(task.cancelled(), "the task does not say that it was cancelled")


@case("LIFE-8", needs_run=False)
def test_not_awaitable(kit: Kit) -> None:
    """run_until_complete of what cannot be awaited, or of another loop's future, raises."""
    kit.raises(TypeError, kit.loop.run_until_complete, 5)
    foreign = kit.new_loop().create_future()
    kit.raises(ValueError, kit.loop.run_until_complete, foreign)
    kit.check(not kit.loop.is_running(), "is_running() is true afterwards")


@case("LIFE-10")
def test_running_loop_in_callbacks(kit: Kit) -> None:
    """get_running_loop() is the loop in every kind of callback; is_running() says so."""
    seen: dict[str, bool] = {}
    read_end, write_end = kit.pipe()
    kit.put(write_end)

    def note(kind: str) -> None:
        seen[kind] = asyncio.get_running_loop() is kit.loop and kit.loop.is_running()

    async def task() -> None:
        note("task")
        await asyncio.sleep(0.005)
        note("task later")

    kit.soon(note, "soon")
    kit.later(0.001, note, "timer")
    kit.threadsafe(note, "posted")
    kit.reader(read_end, lambda: (note("reader"), kit.remove_reader(read_end)))
    kit.run(task())
    kit.run_for(0.005)
    kinds = ("soon", "timer", "posted", "reader", "task", "task later")
    kit.equal(seen, dict.fromkeys(kinds, True), "get_running_loop() is the loop")


@case("LIFE-10")
def test_no_running_loop_outside(kit: Kit) -> None:
    """There is no running loop before a run, after it, after one that raised, and in other threads."""
    kit.raises(RuntimeError, asyncio.get_running_loop)
    kit.soon(exit)
    kit.raises(SystemExit, kit.run_forever)
    kit.raises(RuntimeError, asyncio.get_running_loop)
    others: list[object] = []

    def elsewhere() -> None:
        try:
            others.append(asyncio.get_running_loop())
        except RuntimeError:
            others.append(None)

    kit.soon(lambda: kit.thread(elsewhere).join())
    kit.turns(2)
    kit.raises(RuntimeError, asyncio.get_running_loop)
    kit.equal(others, [None], "running loop seen by another thread")
    kit.check(not kit.loop.is_running(), "is_running() is true outside")


@case("LIFE-10")
def test_current_and_all_tasks(kit: Kit) -> None:
    """current_task() is the running task or None, all_tasks() has those that are not done (talyn BUG-268)."""
    idents: list[object] = []

    async def child() -> None:
        idents.append(asyncio.current_task())
        await asyncio.sleep(0.001)

    async def main() -> None:
        task = kit.loop.create_task(child(), name="child")
        kit.equal(asyncio.all_tasks(), {task, asyncio.current_task()}, "all_tasks()")
        kit.loop.call_soon(lambda: idents.append(asyncio.current_task()))
        await task
        kit.equal(idents, [task, None], "current_task() in a task and in a callback")
        kit.equal(task.get_name(), "child", "name of the task")
        kit.equal(asyncio.all_tasks(), {asyncio.current_task()}, "all_tasks() afterwards")

    kit.run(main())
    kit.equal(asyncio.all_tasks(kit.loop), set(), "all_tasks() after the run")


@case("LIFE-10", needs_run=False)
def test_task_factory(kit: Kit) -> None:
    """A task factory is asked for every task, and can be taken back."""
    made: list[object] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: object, **options: object) -> asyncio.Task[None]:
        made.append(loop)
        return asyncio.Task(coro, loop=loop, **options)  # type: ignore[arg-type]

    kit.loop.set_task_factory(factory)
    kit.check(kit.loop.get_task_factory() is factory, "get_task_factory() is another")
    kit.run(asyncio.sleep(0))
    kit.equal(made, [kit.loop], "loops that the factory was asked for")
    kit.loop.set_task_factory(None)
    kit.run(asyncio.sleep(0))
    kit.equal(len(made), 1, "calls of the factory")


@case("LIFE-10")
def test_run_from_a_fresh_thread(kit: Kit) -> None:
    """A loop made and run in a thread leaves no running loop behind there."""
    left: list[object] = []

    def work() -> None:
        loop = kit.new_loop()
        loop.run_until_complete(asyncio.sleep(0.001))
        try:
            left.append(asyncio.get_running_loop())
        except RuntimeError:
            left.append(None)

    kit.thread(work).join()
    kit.equal(left, [None], "running loop after the run in a thread")
    kit.check(threading.current_thread() is threading.main_thread(), "the case runs in the main thread")
    kit.turns(1)
