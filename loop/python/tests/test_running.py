# real clock
"""Turns: what asyncio promises of them, and what the C loop must survive."""

import asyncio
import functools
import gc
import os
import signal
import sys
import threading
import time

import pytest
import refloop
from refloop._run import run_without_runner

CHILD_S = 10  # until a forked child that hangs is ended


def test_exception_handler_gets_what_asyncio_gives(loop, turn, errors):
    """message, exception and handle; source_traceback in debug mode."""
    handle = loop.call_soon(lambda: 1 / 0)
    turn()
    (context,) = errors
    assert context["message"].startswith("Exception in callback test_exception_handler_gets")
    assert isinstance(context["exception"], ZeroDivisionError)
    assert context["handle"] is handle
    assert set(context) == {"message", "exception", "handle"}
    loop.set_debug(True)
    loop.call_soon(lambda: 1 / 0)
    turn()
    assert set(errors[1]) == {"message", "exception", "handle", "source_traceback"}


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("debug", [False, True])
def test_what_leaves_the_loop(loop, turn, errors, exception, debug):
    """SystemExit and KeyboardInterrupt leave run_forever; the rest of the batch runs in the next run, in order."""
    loop.set_debug(debug)
    ran = []

    def leave():
        raise exception

    loop.call_soon(ran.append, 1)
    loop.call_soon(leave)
    loop.call_soon(ran.append, 2)
    with pytest.raises(exception):
        loop.run_forever()
    assert ran == [1]
    assert not loop.is_running()
    loop.call_soon(ran.append, 3)
    turn()
    assert ran == [1, 2, 3]
    assert errors == []


def test_order_of_calls_from_here_and_from_elsewhere(loop, turn):
    """call_soon and call_soon_threadsafe of one thread keep their order among each other."""
    ran = []
    loop.call_soon(ran.append, 1)
    loop.call_soon_threadsafe(ran.append, 2)
    loop.call_soon(ran.append, 3)
    loop.call_soon_threadsafe(ran.append, 4)
    turn()
    assert ran == [1, 2, 3, 4]


def test_second_thread_is_refused(loop):
    """A thread that runs a running loop gets RuntimeError, and the loop goes on."""
    seen = []

    def intrude():
        for call in (loop.run_forever, loop._begin_run, loop._run_once, loop.close):
            with pytest.raises(RuntimeError):
                call()
            seen.append(call)

    async def main():
        await asyncio.to_thread(intrude)
        return 7

    assert loop.run_until_complete(main()) == 7
    assert len(seen) == 4


def test_closed_by_the_garbage_collector(loop):
    """Making a handle may run the collector, and with it code that closes the loop: then the call is refused."""

    class Closes:
        def __init__(self):
            self.me = self

        def __del__(self):
            loop.close()

    threshold = gc.get_threshold()
    gc.disable()
    gc.set_threshold(1)
    Closes()
    try:
        with pytest.raises(RuntimeError, match="closed"):
            gc.enable()
            for _ in range(1000):
                loop.call_soon(print)
    finally:
        gc.set_threshold(*threshold)


def test_close_and_run_inside_a_turn(loop, turn):
    """A bare turn is a run: closing and running inside it are refused."""
    seen = []

    def intrude():
        for call in (loop.close, loop._close_core, loop._run_once, loop.run_forever):
            with pytest.raises(RuntimeError):
                call()
            seen.append(call)

    loop.call_soon(intrude)
    loop._run_once()
    assert len(seen) == 4


def test_signal_handler_that_raises(loop):
    """What a handler of signal.signal raises leaves a loop that sleeps."""

    class Ring(Exception):
        pass

    def ring(*_):
        raise Ring

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(Ring):
            loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5


def test_signal_is_handled_without_python_callbacks(loop):
    """A loop that never runs Python code still runs the handlers of signals."""
    ran = []
    before = signal.signal(signal.SIGUSR1, lambda *_: (ran.append(1), loop.stop()))
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        loop._add_writer(loop._csock.fileno(), int)  # always ready, and all C code
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)
        loop._remove_writer(loop._csock.fileno())
    assert ran == [1]


def test_other_threads_run_beside_a_busy_loop(loop):
    """A loop that never sleeps and never runs Python code lets other threads run."""

    def post():
        time.sleep(0.02)  # without the GIL; the loop is busy when it is over
        loop.call_soon_threadsafe(loop.stop)

    again = functools.partial(loop.call_soon)
    again.__setstate__((loop.call_soon, (again,), {}, {}))  # calls itself in the next turn, for ever
    thread = threading.Thread(target=post)
    thread.start()
    again()
    loop.run_forever()
    thread.join()


def test_post_wakes_a_sleeping_loop(loop):
    """A post ends a sleep that nothing else would end."""
    timer = threading.Timer(0.02, loop.call_soon_threadsafe, (loop.stop,))
    timer.start()
    loop.run_forever()
    timer.join()


def test_post_runs_in_the_turn_that_it_wakes(loop):
    """A post that ends the sleep of a turn runs in that turn."""
    ran = []
    timer = threading.Timer(0.02, loop.call_soon_threadsafe, (ran.append, "post"))
    timer.start()
    loop._run_once()
    timer.join()
    assert ran == ["post"]


def test_traceback_of_a_handle_made_in_debug_mode(loop, turn, errors):
    """Where it was made is told also when debug mode is off by then."""
    loop.set_debug(True)
    handle = loop.call_soon(lambda: 1 / 0)
    loop.set_debug(False)
    turn()
    assert errors[0]["source_traceback"] is handle._source_traceback


@pytest.mark.parametrize("debug", [False, True])
def test_run_leaves_the_thread_as_it_was(loop, debug):
    """The hooks of asynchronous generators and the tracking of coroutines are those of before the run."""

    def seen():
        return sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth(), asyncio._get_running_loop()

    inside = []
    loop.set_debug(debug)
    before = seen()
    loop.call_soon(lambda: inside.append(seen()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert inside[0] != before
    assert seen() == before
    assert loop._current_handle is None


def test_turn_without_work_sleeps(loop):
    """A turn in which there is nothing to do lasts until something comes, here a post."""
    posted = []

    def post():
        posted.append(1)
        loop.call_soon_threadsafe(int)

    timer = threading.Timer(0.02, post)
    timer.start()
    loop._run_once()
    assert posted == [1]
    timer.join()


def test_fork_in_a_callback(loop):
    """A child that closes the loop, or goes on with it, takes nothing from its parent."""
    ran = []

    def fork():
        child = os.fork()
        if child == 0:
            signal.alarm(CHILD_S)
            loop.call_later(0, loop.stop)
            return
        os.waitpid(child, 0)
        loop.call_soon_threadsafe(ran.append, "parent")
        os.kill(os.getpid(), signal.SIGUSR1)

    parent = os.getpid()
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    loop.call_soon(fork)
    try:
        loop.run_forever()
        loop.close()
    finally:
        if os.getpid() != parent:
            os._exit(0 if loop.is_closed() else 1)
    assert ran == ["parent"]


def test_child_watches_on(loop):
    """In a child the loop still sees the fds that were watched before the fork, and has as many open as before."""
    parent = os.getpid()
    inside, outside = os.pipe()
    loop.add_reader(inside, lambda: loop.stop() if os.read(inside, 1) else None)
    child = os.fork()
    if child == 0:
        signal.alarm(CHILD_S)
        os.write(outside, b"x")
        before = len(os.listdir("/proc/self/fd"))
        loop.run_forever()
        os._exit(3 if len(os.listdir("/proc/self/fd")) == before else 4)
    _, status = os.waitpid(child, 0)
    assert os.getpid() == parent
    loop.remove_reader(inside)
    os.close(inside)
    os.close(outside)
    assert os.waitstatus_to_exitcode(status) == 3


def test_private_queues_are_elsewhere(loop):
    """Code that looks for asyncio's queues or selector is told that they are not here."""
    for look in (
        lambda: len(loop._ready),
        lambda: loop._scheduled[0],
        lambda: loop._ready.append(1),
        lambda: bool(loop._scheduled),
        lambda: loop._selector.select(0),
        lambda: loop._selector.register(0, 1),
    ):
        with pytest.raises(RuntimeError, match="refloop has no"):
            look()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("what", ["task", "job"])
def test_run_where_python_has_no_runner(what):
    """refloop.run() of Python 3.10 waits for a task that it cancels, and for a job, and leaves no current loop."""
    left = []

    async def lingers():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            left.append("task")

    async def main():
        if what == "job":
            asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.02), left.append("job")))
            return
        main.running = asyncio.ensure_future(lingers())
        await asyncio.sleep(0)

    run_without_runner(main(), refloop.new_event_loop, None)
    assert left == [what]
    with pytest.raises(RuntimeError):
        asyncio.get_event_loop()
