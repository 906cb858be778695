# real clock
"""Cases of the threads area: what becomes of the jobs and threads of executors (THREAD-5)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
import traceback
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

JOBS = 100
THREADS_MAX = 36  # the default executor has at most 32, or four more than cpus where these are fewer


def thread_name() -> str:
    return threading.current_thread().name.split("_")[0]


async def turn_beside(_: asyncio.Future[Any]) -> None:
    """A turn during which the job is under way, and is not waited for."""
    await asyncio.sleep(0)


@case("THREAD-5")
def test_shutdown_waits_for_the_queue(kit: Kit) -> None:
    """shutdown_default_executor lets the jobs end that wait for a thread."""
    opened, ended = threading.Event(), list[int]()
    kit.loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))

    def job(number: int) -> int:
        time.sleep(0.002)
        ended.append(number)
        return number

    async def main() -> list[object]:
        first = kit.loop.run_in_executor(None, opened.wait)
        queued = [kit.loop.run_in_executor(None, job, number) for number in range(1, 6)]
        shutdown = asyncio.ensure_future(kit.loop.shutdown_default_executor())
        await asyncio.sleep(0)
        opened.set()
        await shutdown
        kit.equal(ended, [1, 2, 3, 4, 5], "jobs that had ended when the shutdown did")
        return await asyncio.wait_for(asyncio.gather(first, *queued, return_exceptions=True), 1.0)

    kit.equal(kit.run(main()), [True, 1, 2, 3, 4, 5], "results of the jobs")


@family("THREAD-5", use=("used", "unused"))
def test_no_jobs_after_the_shutdown(kit: Kit, use: str) -> None:
    """After shutdown_default_executor run_in_executor(None) raises RuntimeError; an executor of one's own works on"""
    if use == "used":
        kit.run(kit.loop.run_in_executor(None, int))
    kit.run(kit.loop.shutdown_default_executor())

    def again() -> Any:
        return kit.loop.run_in_executor(None, int)

    kit.raises(RuntimeError, again)
    with concurrent.futures.ThreadPoolExecutor(1) as own:
        kit.equal(kit.run(kit.loop.run_in_executor(own, max, 1, 2)), 2, "result of one's own executor")


@case("THREAD-5")
def test_new_default_after_use(kit: Kit) -> None:
    """set_default_executor counts from the next job on, also when another one was used before."""
    names: list[str] = []
    for name in ("first", "second"):
        with concurrent.futures.ThreadPoolExecutor(1, name) as pool:
            kit.loop.set_default_executor(pool)
            names.append(kit.run(kit.loop.run_in_executor(None, thread_name)))
    kit.equal(names, ["first", "second"], "threads of the jobs")


@case("THREAD-5")
def test_job_ends_after_its_loop(kit: Kit) -> None:
    """A job that ends when its loop is closed is dropped in silence: nothing is logged (cpython gh-96827)."""
    told: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    ending, job = threading.Event(), threading.Event()
    kit.turns(1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        loop = kit.new_loop()
        loop.run_until_complete(turn_beside(loop.run_in_executor(pool, job.wait)))
        loop.close()
        logging.getLogger("concurrent.futures").addHandler(handler)
        pool.submit(ending.set)
        job.set()
        ending.wait(2)
    logging.getLogger("concurrent.futures").removeHandler(handler)
    kit.equal(told, [], "what was logged")


@case("THREAD-5")
def test_threads_serve_again(kit: Kit) -> None:
    """A hundred jobs, one after the other, do not get a thread each that stays."""
    before = threading.active_count()

    async def main() -> int:
        for _ in range(JOBS):
            await kit.loop.run_in_executor(None, int)
        return threading.active_count() - before

    kit.check(kit.run(main()) <= THREADS_MAX, f"{JOBS} jobs left more than {THREADS_MAX} threads")
    kit.run(kit.loop.shutdown_default_executor())


class Exits(BaseException):
    """A BaseException that is none of the known ones."""


@family("THREAD-5", error={"own": Exits, "generator": GeneratorExit, "exception": ValueError})
def test_whatever_a_job_raises(kit: Kit, error: type[BaseException]) -> None:
    """What a job raises, a BaseException too, comes out of its future, and the executor serves on"""

    def job() -> None:
        raise error("planted")

    async def main() -> tuple[object, int]:
        first = kit.loop.run_in_executor(None, job)
        await asyncio.wait({first}, timeout=2)
        second = await kit.loop.run_in_executor(None, max, 1, 2)
        await kit.loop.shutdown_default_executor()
        return type(first.exception()), second

    kit.equal(kit.run(main()), (error, 2), "exception of the job, and the result of the next")


@family("THREAD-5", use=("used", "unused"))
def test_second_shutdown(kit: Kit, use: str) -> None:
    """shutdown_default_executor may be called again, and has nothing to do then"""
    if use == "used":
        kit.run(kit.loop.run_in_executor(None, int))
    for _ in range(3):
        kit.run(kit.loop.shutdown_default_executor(), 2)


@case("THREAD-5")
def test_exception_of_a_job_is_its_own(kit: Kit) -> None:
    """The exception of a job is the object that it raised, with its cause, what was set on it, and its traceback."""
    planted = ValueError("planted")

    def job() -> None:
        raise planted from ZeroDivisionError()

    async def main() -> BaseException | None:
        call = asyncio.ensure_future(kit.loop.run_in_executor(None, job))
        await asyncio.wait({call})
        return call.exception()

    seen = kit.run(main())
    kit.run(kit.loop.shutdown_default_executor())
    kit.check(seen is planted, f"another exception came out: {seen!r}")
    kit.check(isinstance(planted.__cause__, ZeroDivisionError), "its cause is lost")
    names = [entry.name for entry in traceback.extract_tb(planted.__traceback__)]
    kit.check("job" in names, "its traceback does not lead to the job")


@case("THREAD-5")
def test_executor_of_any_kind(kit: Kit) -> None:
    """run_in_executor asks the executor that it is given, whatever its class, with the function and its arguments."""
    asked: list[tuple[object, ...]] = []

    class Own(concurrent.futures.Executor):
        def submit(self, *args: Any, **_: Any) -> Any:
            asked.append(args)
            future: concurrent.futures.Future[str] = concurrent.futures.Future()
            future.set_result("own")
            return future

    kit.equal(kit.run(kit.loop.run_in_executor(Own(), max, 1, 2)), "own", "result")
    kit.equal(asked, [(max, 1, 2)], "what the executor was asked")


@case("THREAD-5")
def test_close_waits_for_no_job(kit: Kit) -> None:
    """close() shuts the default executor down, and does not wait for a job that is under way."""
    opened, waited = threading.Event(), list[bool]()
    before = set(threading.enumerate())
    kit.turns(1)
    loop = kit.new_loop()
    loop.run_until_complete(turn_beside(loop.run_in_executor(None, lambda: waited.append(opened.wait(1.5)))))
    loop.close()
    opened.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    kit.equal(waited, [True], "had close() returned when the job ended")


@family("THREAD-5", end=("result", "error"))
def test_job_that_nobody_awaits_any_more(kit: Kit, end: str) -> None:
    """The end of a job whose future was cancelled meanwhile is told to nobody, and the future stays cancelled"""
    begun, opened = threading.Event(), threading.Event()

    def job() -> int:
        begun.set()
        opened.wait()
        return 1 if end == "result" else 1 // 0

    async def main() -> bool:
        future = kit.loop.run_in_executor(None, job)
        await asyncio.to_thread(begun.wait)
        future.cancel()
        opened.set()
        await kit.loop.shutdown_default_executor()
        await asyncio.sleep(0.003)
        return future.cancelled()

    kit.equal(kit.run(main()), True, "future.cancelled()")
    kit.equal(kit.errors, [], "what the exception handler was told")
