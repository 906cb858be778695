# real clock
"""Cases of the threads area: posts from other threads, the loop's own thread, executors (WAKE-*, THREAD-*)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import threading
import time
from collections import Counter
from typing import Any

from loopcheck.kit import Kit, case

THREADS = 4
POSTS = 200  # of each thread


def storm(kit: Kit) -> list[tuple[int, int]]:
    """Four threads post 200 callbacks each while the loop runs; returns (thread, number) as they ran."""
    ran: list[tuple[int, int]] = []
    left = [THREADS]

    def post(thread: int) -> None:
        for i in range(POSTS):
            kit.threadsafe(lambda who=thread, i=i: ran.append((who, i)))
            if i % 50 == 0:
                time.sleep(0.001)  # lets the loop fall asleep between
        kit.threadsafe(done)

    def done() -> None:
        left[0] -= 1
        if left[0] == 0:
            kit.later(0.01, kit.stop)

    for thread in range(THREADS):
        kit.thread(post, thread)
    kit.run_forever()
    return ran


@case("WAKE-1")
def test_post_wakes_a_sleeping_loop(kit: Kit) -> None:
    """A post from a thread wakes a loop that sleeps with nothing else to do (rloop@f6181aa)."""
    for _ in range(3):
        kit.thread(lambda: (time.sleep(0.02), kit.threadsafe(kit.stop)))
        kit.run_forever()


@case("WAKE-1")
def test_post_wakes_a_loop_with_a_far_timer(kit: Kit) -> None:
    """A post wakes a loop that would sleep until a timer in an hour."""
    far = kit.later(3600, kit.fail, "a timer of one hour fired")
    kit.thread(lambda: (time.sleep(0.02), kit.threadsafe(kit.stop)))
    kit.run_forever()
    kit.cancel(far)


@case("WAKE-1")
def test_post_wakes_after_timers_came_and_went(kit: Kit) -> None:
    """A far timer armed or cancelled in a callback takes nothing from a later post."""

    def arm() -> None:
        kit.cancel(kit.later(1800, kit.fail, "a cancelled timer fired"))
        handles.append(kit.later(3600, kit.fail, "a timer of one hour fired"))

    handles: list[asyncio.TimerHandle] = []
    kit.soon(arm)
    kit.later(0.005, arm)
    kit.thread(lambda: (time.sleep(0.03), kit.threadsafe(kit.stop)))
    kit.run_forever()
    for handle in handles:
        kit.cancel(handle)


@case("WAKE-1")
def test_post_before_the_run(kit: Kit) -> None:
    """Posts made while the loop does not run are served by the next run."""
    ran: list[str] = []
    kit.threadsafe(ran.append, "same thread")
    kit.thread(lambda: kit.threadsafe(ran.append, "other thread")).join()
    kit.turns(3)
    kit.equal(ran, ["same thread", "other thread"], "posts served")
    kit.thread(lambda: kit.threadsafe(kit.stop)).join()
    kit.run_forever()


@case("WAKE-1")
def test_ping_pong(kit: Kit) -> None:
    """Of 300 posts, each made when the one before was served and the loop falls asleep, each wakes it."""
    served = threading.Event()

    def post() -> None:
        for _ in range(300):
            served.clear()
            kit.threadsafe(served.set)
            served.wait()
        kit.threadsafe(kit.stop)

    kit.thread(post)
    kit.run_forever()


@case("WAKE-1")
def test_storm_loses_nothing(kit: Kit) -> None:
    """Of 800 posts made by four threads at once none is lost (T8, rloop#43)."""
    kit.equal(len(set(storm(kit))), THREADS * POSTS, "different posts served")


@case("WAKE-1")
def test_post_in_a_callback_of_the_loop(kit: Kit) -> None:
    """call_soon_threadsafe may be called on the loop's own thread, in callbacks and before a sleep."""
    ran: list[str] = []

    def last() -> None:
        ran.append("b")
        kit.stop()

    kit.soon(lambda: kit.threadsafe(lambda: (ran.append("a"), kit.threadsafe(last))))
    kit.run_forever()
    kit.equal(ran, ["a", "b"], "posts served")


@case("WAKE-1")
def test_post_while_the_loop_is_busy(kit: Kit) -> None:
    """A post made while a callback holds the loop up is served when it returns."""

    def busy() -> None:
        kit.thread(lambda: kit.threadsafe(kit.stop)).join()
        time.sleep(0.005)

    kit.soon(busy)
    kit.run_forever()
    kit.turns(2)


@case("WAKE-1")
def test_post_beside_callbacks_in_c(kit: Kit) -> None:
    """A loop that never sleeps, and whose callbacks run no Python code, lets other threads run, and post."""
    again: Any = functools.partial(kit.loop.call_soon)
    again.__setstate__((kit.loop.call_soon, (again,), {}, {}))  # calls itself in the next turn, for ever
    kit.soon(again)
    kit.thread(lambda: (time.sleep(0.005), kit.threadsafe(kit.stop)))
    kit.run_forever()


@case("WAKE-2")
def test_storm_multiplies_nothing(kit: Kit) -> None:
    """Each of 800 posts made by four threads is served once."""
    counts = Counter(storm(kit))
    kit.equal(set(counts.values()), {1}, "how often posts were served")


@case("WAKE-3")
def test_posts_of_one_thread_keep_their_order(kit: Kit) -> None:
    """The posts of each of four threads are served in the order in which it made them."""
    ran = storm(kit)
    for thread in range(THREADS):
        numbers = [i for who, i in ran if who == thread]
        kit.check(numbers == sorted(numbers), f"thread {thread}: served in the order {numbers[:20]}...")


@case("WAKE-3")
def test_posts_before_the_run_keep_their_order(kit: Kit) -> None:
    """A hundred posts that wait for the run are served in order."""
    ran: list[int] = []
    kit.thread(lambda: [kit.threadsafe(ran.append, i) for i in range(100)]).join()
    kit.turns(3)
    kit.equal(ran, list(range(100)), "order")


@case("WAKE-3")
def test_posts_and_soons_keep_their_order(kit: Kit) -> None:
    """What one thread asks for by call_soon_threadsafe and call_soon in turn is served in that order."""
    ran: list[int] = []
    for i in range(100):
        (kit.soon if i % 2 else kit.threadsafe)(ran.append, i)
    kit.turns(3)
    kit.equal(ran, list(range(100)), "order")


def threads_of_callbacks(kit: Kit) -> dict[str, int]:
    """Runs one callback of each kind; returns the ident of the thread on which it ran."""
    seen: dict[str, int] = {}
    read_end, write_end = kit.pipe()
    kit.put(write_end)

    def note(kind: str) -> None:
        seen[kind] = threading.get_ident()

    async def task() -> None:
        note("task")
        await asyncio.sleep(0.001)
        note("task after a sleep")

    kit.soon(note, "soon")
    kit.later(0.001, note, "timer")
    kit.reader(read_end, lambda: (note("reader"), kit.remove_reader(read_end)))
    kit.thread(kit.threadsafe, note, "posted").join()
    future = kit.loop.run_in_executor(None, time.sleep, 0.001)
    future.add_done_callback(lambda _: note("executor's done callback"))
    kit.run(asyncio.wait_for(task(), 30))
    kit.run(future)
    kit.run_for(0.01)
    return seen


@case("THREAD-1")
def test_callbacks_run_on_the_loops_thread(kit: Kit) -> None:
    """Soon, timer, reader, posted, done callbacks and tasks run on the thread that runs the loop (T8)."""
    seen = threads_of_callbacks(kit)
    foreign = [kind for kind, ident in seen.items() if ident != threading.get_ident()]
    kit.equal(foreign, [], "callbacks on another thread")
    kit.equal(len(seen), 7, "kinds of callbacks that ran")


@case("THREAD-1")
def test_loop_runs_in_another_thread_than_its_maker(kit: Kit) -> None:
    """A loop made here and run in a thread calls back on that thread (talyn BUG-267)."""
    idents: list[int] = []
    kit.soon(lambda: idents.append(threading.get_ident()))
    kit.later(0.002, lambda: idents.append(threading.get_ident()))
    thread = kit.thread(kit.run_for, 0.02)
    thread.join()
    kit.equal(idents, [thread.ident] * 2, "threads of the callbacks")
    kit.turns(2)


@case("THREAD-1")
def test_two_loops_in_two_threads(kit: Kit) -> None:
    """Two loops run at once in two threads, each with its own callbacks and its own running loop (U7)."""
    wrong: list[str] = []
    barrier = threading.Barrier(2, timeout=30)
    loops = [kit.new_loop(), kit.new_loop()]

    def work(loop: asyncio.AbstractEventLoop) -> None:
        ident = threading.get_ident()

        async def main() -> None:
            for _ in range(20):
                await asyncio.sleep(0.0005)
                if asyncio.get_running_loop() is not loop or threading.get_ident() != ident:
                    wrong.append("a task ran in the wrong loop or thread")

        barrier.wait()
        loop.run_until_complete(main())

    threads = [kit.thread(work, loop) for loop in loops]
    for thread in threads:
        thread.join()
    kit.equal(wrong, [], "what went wrong")
    kit.turns(1)


@case("THREAD-2")
def test_second_thread_cannot_run_a_running_loop(kit: Kit) -> None:
    """run_forever and run_until_complete in a second thread raise RuntimeError and harm nothing (U1)."""
    raised: list[str] = []
    never = kit.loop.create_future()

    def intrude() -> None:
        for run in (kit.loop.run_forever, lambda: kit.loop.run_until_complete(never)):
            try:
                run()
            except RuntimeError:
                raised.append("RuntimeError")
            if not kit.loop.is_running():
                kit.blame("after the refused run of a second thread is_running() was false")
                break
        kit.threadsafe(kit.stop)

    kit.later(0.005, kit.thread, intrude)
    kit.run_forever()
    kit.equal(raised, ["RuntimeError"] * 2, "what the second thread got")
    kit.check(not never.done(), "the future of the refused run was touched")


@case("THREAD-3")
def test_debug_mode_reports_foreign_calls(kit: Kit) -> None:
    """In debug mode call_soon, call_later and call_at on a foreign thread raise RuntimeError (H3)."""
    kit.loop.set_debug(True)
    kit.check(kit.loop.get_debug(), "get_debug() is false after set_debug(True)")
    raised: set[str] = set()

    def intrude() -> None:
        loop = kit.loop
        for name, call in (
            ("call_soon", lambda: loop.call_soon(print)),
            ("call_later", lambda: loop.call_later(60, print)),
            ("call_at", lambda: loop.call_at(loop.time() + 60, print)),
        ):
            try:
                call().cancel()
            except RuntimeError:
                raised.add(name)
        kit.threadsafe(kit.stop)

    kit.later(0.002, kit.thread, intrude)
    kit.run_forever()
    kit.equal(raised, {"call_soon", "call_later", "call_at"}, "calls that were refused")


@case("THREAD-4")
def test_run_coroutine_threadsafe(kit: Kit) -> None:
    """Results and exceptions of coroutines submitted by threads arrive there (U2)."""
    got: list[object] = []

    async def echo(value: int) -> int:
        await asyncio.sleep(0)
        if value < 0:
            raise ValueError(value)
        return value

    def submit() -> None:
        for value in (1, 2, -3):
            future = asyncio.run_coroutine_threadsafe(echo(value), kit.loop)
            try:
                got.append(future.result())
            except ValueError as error:
                got.append(error.args[0])
        kit.threadsafe(kit.stop)

    kit.thread(submit)
    kit.run_forever()
    kit.equal(got, [1, 2, -3], "results")


@case("THREAD-4")
def test_cancel_across_threads(kit: Kit) -> None:
    """Cancelling the future of run_coroutine_threadsafe cancels the coroutine in the loop (U3)."""
    events: list[str] = []

    async def sleeper() -> None:
        events.append("started")
        started.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            events.append("cancelled")
            kit.stop()
            raise

    started = threading.Event()

    def submit() -> None:
        future = asyncio.run_coroutine_threadsafe(sleeper(), kit.loop)
        started.wait()
        future.cancel()

    kit.thread(submit)
    kit.run_forever()
    kit.equal(events, ["started", "cancelled"], "events")
    kit.turns(3)


@case("THREAD-4")
def test_fan_in(kit: Kit) -> None:
    """Two hundred coroutines submitted by four threads all give their results."""
    results: list[int] = []

    async def double(value: int) -> int:
        return 2 * value

    def submit(start: int) -> None:
        futures = [asyncio.run_coroutine_threadsafe(double(i), kit.loop) for i in range(start, start + 50)]
        results.extend(future.result() for future in futures)

    async def main() -> None:
        threads = [kit.thread(submit, 50 * i) for i in range(4)]
        while any(thread.is_alive() for thread in threads):
            await asyncio.sleep(0.001)

    kit.run(main())
    kit.equal(sorted(results), [2 * i for i in range(200)], "results")


@case("THREAD-5")
def test_run_in_executor(kit: Kit) -> None:
    """run_in_executor gives the function's result or exception, and runs it on another thread."""
    here = threading.get_ident()

    def fails() -> None:
        raise ValueError("planted")

    async def main() -> tuple[int, int]:
        result = await kit.loop.run_in_executor(None, max, 3, 7)
        try:
            await kit.loop.run_in_executor(None, fails)
        except ValueError:
            pass
        else:
            kit.fail("the exception was lost")
        return result, await kit.loop.run_in_executor(None, threading.get_ident)

    result, ident = kit.run(main())
    kit.equal(result, 7, "result")
    kit.check(ident != here, "the function ran on the loop's thread")
    kit.run(kit.loop.shutdown_default_executor())


@case("THREAD-5")
def test_executor_wakes_a_sleeping_loop(kit: Kit) -> None:
    """Twenty results of slow functions, also from the user's own executor, wake the sleeping loop."""
    with concurrent.futures.ThreadPoolExecutor(4) as executor:

        def slow(i: int) -> int:
            time.sleep(0.002)
            return i

        async def main() -> list[int]:
            return await asyncio.gather(*(kit.loop.run_in_executor(executor, slow, i) for i in range(20)))

        kit.equal(kit.run(main()), list(range(20)), "results")


@case("THREAD-5")
def test_shutdown_default_executor(kit: Kit) -> None:
    """After shutdown_default_executor its threads are gone and run_in_executor is refused."""
    before = threading.active_count()

    async def main() -> None:
        await asyncio.gather(*(kit.loop.run_in_executor(None, time.sleep, 0.001) for _ in range(3)))
        await kit.loop.shutdown_default_executor()

    kit.run(main())
    kit.equal(threading.active_count(), before, "threads after the shutdown")
    kit.raises(RuntimeError, lambda: kit.loop.run_in_executor(None, time.sleep, 0))


@case("THREAD-5")
def test_to_thread_takes_the_context(kit: Kit) -> None:
    """asyncio.to_thread runs the function in a copy of the caller's context."""
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var")

    async def main() -> str:
        var.set("caller's")
        return await asyncio.to_thread(var.get)

    kit.equal(kit.run(main()), "caller's", "context variable in the thread")
    kit.run(kit.loop.shutdown_default_executor())


@case("THREAD-5")
def test_the_executor_that_was_given(kit: Kit) -> None:
    """run_in_executor uses the executor of the call, else the one of set_default_executor."""

    def name() -> str:
        return threading.current_thread().name.split("_")[0]

    with concurrent.futures.ThreadPoolExecutor(1, "given") as given:
        kit.equal(kit.run(kit.loop.run_in_executor(given, name)), "given", "thread of the executor of the call")
        kit.loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1, "default"))
        kit.equal(kit.run(kit.loop.run_in_executor(None, name)), "default", "thread of the default executor")
    kit.run(kit.loop.shutdown_default_executor())


@case("THREAD-5")
def test_jobs_that_wait_for_each_other(kit: Kit) -> None:
    """Two jobs of the default executor run at the same time."""
    barrier = threading.Barrier(2, timeout=2)

    async def main() -> list[object]:
        jobs = [kit.loop.run_in_executor(None, barrier.wait) for _ in range(2)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        await kit.loop.shutdown_default_executor()
        return sorted(map(str, results))

    kit.equal(kit.run(main()), ["0", "1"], "results")


@case("WAKE-2")
def test_cancelled_post_is_none(kit: Kit) -> None:
    """A post that a callback of the loop cancels, in its own turn or before, is not served; those around it are."""
    ran: list[str] = []
    handles: dict[str, asyncio.Handle] = {}

    def cancels() -> None:
        for name in ("same turn", "twice", "twice"):
            handles[name].cancel()

    def posts() -> None:
        for name in ("before", "early"):
            handles[name] = kit.loop.call_soon_threadsafe(kit.observed(ran.append), name)
        handles["early"].cancel()
        kit.loop.call_soon_threadsafe(kit.observed(cancels))
        for name in ("same turn", "twice", "behind"):
            handles[name] = kit.loop.call_soon_threadsafe(kit.observed(ran.append), name)

    kit.thread(posts).join()
    kit.turns(4)
    kit.equal(ran, ["before", "behind"], "posts that were served")
