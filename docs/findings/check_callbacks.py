"""Callbacks, handles, contexts, exceptions, runs and watchers.

    python check_callbacks.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextvars
import importlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

NUMBER = contextvars.ContextVar("NUMBER", default="unset")


def run_for(loop, seconds=0.05):
    loop.call_later(seconds, loop.stop)
    loop.run_forever()


def refused(error, call):
    """Does the call raise this error?"""
    try:
        call()
    except error:
        return True
    return False


def check_cancelled_handle(loop):
    ran = []
    handle = loop.call_soon(ran.append, 1)
    if handle is None:
        return "call_soon() returns None: what it was given cannot be cancelled"
    handle.cancel()
    run_for(loop)
    return ran and "a callback runs though it was cancelled before the run"


def check_cancelled_in_the_same_turn(loop):
    ran, handles = [], []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(ran.append, 1))
    run_for(loop)
    return ran and "a callback runs though one before it in the same turn has cancelled it"


def check_cancelled_timer_in_the_same_turn(loop):
    ran, handles = [], []
    loop.call_later(0.01, lambda: handles[0].cancel())
    handles.append(loop.call_later(0.01, ran.append, 1))
    time.sleep(0.03)
    run_for(loop)
    return ran and "a timer fires though one before it in the same turn has cancelled it"


def check_timer_after_a_cancelled_one(loop):
    fired = []
    handle = loop.call_later(0, fired.append, "cancelled")
    loop.call_soon(int)
    handle.cancel()
    armed = time.monotonic()
    loop.call_later(0.02, lambda: fired.append(time.monotonic() - armed))
    run_for(loop, 0.1)
    return (len(fired) != 1 or fired[0] < 0.015) and f"a timer of 20 ms, armed after one that was cancelled: {fired}"


def check_timer_beside_a_cancelled_one(loop):
    fired = []
    begin = time.monotonic()
    handle = loop.call_later(1e-9, fired.append, "cancelled")
    loop.call_later(1e-9, lambda: fired.append(time.monotonic() - begin))
    handle.cancel()
    run_for(loop, 0.3)
    return (
        len(fired) != 1 or fired[0] > 0.2
    ) and f"a timer that is due at once, beside one that was cancelled: {fired}"


def check_cancelled_timers_wake_nobody(loop):
    for number in range(50):
        loop.call_later(0.05 + number * 0.004, int).cancel()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    run_for(loop, 0.3)
    wakes = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    return wakes > 20 and f"fifty timers that were cancelled wake the loop {wakes} times"


def check_handles(loop):
    soon, later = loop.call_soon(int), loop.call_later(1, int)
    lacks = [name for name in ("cancel", "cancelled") if not hasattr(soon, name)]
    if lacks:
        return f"what call_soon() returns has no {' and no '.join(lacks)}"
    return not callable(later.when) and "TimerHandle.when is no method"


def check_exception_handler(loop):
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    loop.call_soon(lambda: 1 / 0)
    loop.call_exception_handler({"message": "asked for"})
    run_for(loop)
    return len(told) != 2 and f"of two errors the handler of set_exception_handler() is told {len(told)}"


def check_exit(loop):
    loop.call_soon(sys.exit, 3)
    return not refused(SystemExit, lambda: run_for(loop, 0.2)) and "SystemExit in a callback does not leave the run"


def check_ctrl_c(loop):
    loop.call_soon(signal.raise_signal, signal.SIGINT)
    is_left = refused(KeyboardInterrupt, lambda: run_for(loop, 0.2))
    return not is_left and "KeyboardInterrupt (Ctrl-C) does not leave the run"


def check_stop_before_run(loop):
    ran = []
    loop.call_soon(ran.append, 1)
    loop.stop()
    loop.run_forever()
    return ran != [1] and "after stop(), run_forever() returns without the turn that is due"


def check_stop_in_the_exception_handler(loop):
    loop.set_exception_handler(lambda loop, _: loop.stop())
    loop.call_soon(int, "planted")
    began_s = loop.time()
    late = loop.call_later(0.5, loop.stop)
    loop.run_forever()
    late.cancel()
    return loop.time() - began_s > 0.4 and "stop() in the exception handler does not end the run"


def check_closed_loop(loop):
    loop.close()
    calls = {
        "call_soon": lambda: loop.call_soon(int),
        "call_later": lambda: loop.call_later(1, int),
        "call_soon_threadsafe": lambda: loop.call_soon_threadsafe(int),
        "add_reader": lambda: loop.add_reader(0, int),
        "run_forever": lambda: run_for(loop),
    }
    taken = [name for name, call in calls.items() if not refused(RuntimeError, call)]
    return taken and f"a closed loop takes {', '.join(taken)}"


def check_close_while_running(loop):
    found = []
    loop.call_soon(lambda: found.append(refused(RuntimeError, loop.close)))
    run_for(loop)
    return found != [True] and "close() of a running loop is not refused"


def check_nested_run(loop):
    found, late = [], []
    loop.call_soon(lambda: found.append(refused(RuntimeError, loop.run_forever)))
    loop.call_later(0.02, late.append, 1)
    run_for(loop)
    return not (found == [True] and late) and "run_forever() inside a run is not refused with RuntimeError, harmlessly"


def check_run_in_another_thread(loop):
    found = []

    def intrude():
        found.append(refused(RuntimeError, loop.run_forever))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=intrude, daemon=True)
    loop.call_soon(thread.start)
    loop.run_forever()
    return found != [True] and "run_forever() in a second thread is not refused with RuntimeError"


def check_run_after_an_error(loop):
    async def fails():
        raise SystemExit

    refused(BaseException, lambda: loop.run_until_complete(fails()))
    return not loop.run_until_complete(asyncio.sleep(0, True)) and "the next run does nothing"


def check_contexts(loop):
    seen = {}
    NUMBER.set("then")
    loop.call_soon(lambda: seen.update(call_soon=NUMBER.get()))
    loop.call_soon_threadsafe(lambda: seen.update(call_soon_threadsafe=NUMBER.get()))
    loop.call_later(0.01, lambda: seen.update(call_later=NUMBER.get()))
    NUMBER.set("later")
    run_for(loop)
    wrong = [name for name in seen if seen[name] != "then"]
    return wrong and f"the context of the call is not the callback's, for {', '.join(sorted(wrong))}"


def check_given_context(loop):
    seen, empty = {}, contextvars.Context()
    NUMBER.set("the caller's")
    loop.call_soon(lambda: seen.update(call_soon=NUMBER.get()), context=empty)
    loop.call_soon_threadsafe(lambda: seen.update(call_soon_threadsafe=NUMBER.get()), context=empty)
    loop.call_later(0.01, lambda: seen.update(call_later=NUMBER.get()), context=empty)
    loop.call_later(0, lambda: seen.update(call_later_zero=NUMBER.get()), context=empty)
    loop.call_at(loop.time(), lambda: seen.update(call_at=NUMBER.get()), context=empty)
    run_for(loop)
    wrong = [name for name in seen if seen[name] != "unset"]
    return wrong and f"an empty context= is ignored by {', '.join(sorted(wrong))}"


def check_infinite_delay(loop):
    fired = []
    for delay in (float("inf"), 1e18):
        try:
            loop.call_later(delay, fired.append, delay)
        except (OverflowError, ValueError):
            pass
    run_for(loop)
    return fired and f"a timer of {fired[0]} seconds fires at once"


def check_timers_early(loop):
    early = []
    for number in range(1, 40):
        when = loop.time() + number * 0.00137
        loop.call_at(when, lambda when=when: early.append(when - loop.time()))
    run_for(loop, 0.2)
    worst = max(early)
    return worst > 1e-5 and f"timers fire up to {worst * 1e6:.0f} us early, by the loop's own time"


def check_order_of_timers(loop):
    fired, base = [], loop.time() + 0.3
    for number in range(1000):
        when = base + (number * 7919 % 1000) * 2e-5
        loop.call_at(when, fired.append, when)
    run_for(loop, 0.5)
    worst = max(one - other for one, other in zip(fired, fired[1:], strict=False))
    return worst > 1e-5 and f"timers fire before others whose deadline is up to {worst * 1e6:.0f} us earlier"


def check_arguments_of_a_watcher(loop):
    left, right = socket.socketpair()
    seen = []
    try:
        loop.add_writer(left.fileno(), lambda *args: (seen.append(args), loop.stop()), 1, 2)
    except TypeError as error:
        return f"add_writer(fd, callback, 1, 2) raises TypeError: {error}"
    run_for(loop)
    loop.remove_writer(left.fileno())
    return seen[:1] != [(1, 2)] and "the arguments do not arrive"


def check_watcher_by_object(loop):
    left, right = socket.socketpair()
    try:
        loop.add_reader(left, int)
    except TypeError as error:
        return f"add_reader(socket, ...) raises TypeError: {error}"


def check_dropped_watcher_that_removes(loop):
    left, right = socket.socketpair()

    class Removes:
        def __call__(self):
            pass

        def __del__(self):
            loop.remove_reader(left.fileno())

    loop.add_reader(left.fileno(), Removes())
    loop.add_reader(left.fileno(), int)  # drops the first one


def check_remove_reader_beside_sock_recv(loop):
    left, right = socket.socketpair()
    left.setblocking(False)

    async def main():
        task = asyncio.ensure_future(loop.sock_recv(left, 10))
        await asyncio.sleep(0.01)
        loop.remove_reader(left.fileno())
        task.cancel()

    loop.run_until_complete(main())


def check_remove_signal_handler(loop):
    loop.add_signal_handler(signal.SIGUSR1, int)
    return not loop.remove_signal_handler(signal.SIGUSR1) and "remove_signal_handler() returns False"


def check_signal_handler_after_close(loop):
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    return signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL and "close() leaves the loop's handler of SIGUSR1"


def check_fds_of_loops(loop):
    def count():
        return len(os.listdir("/proc/self/fd"))

    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    before = count()
    for _ in range(10):
        other = type(loop)()
        other.run_until_complete(asyncio.sleep(0))
        other.close()
        del other
    return count() > before and f"ten loops, closed and dropped, leave {count() - before} open fds"


def check_no_callback(loop):
    async def coroutine_function():
        pass

    loop.set_debug(True)
    taken = [repr(it) for it in (coroutine_function, None) if not refused(TypeError, lambda it=it: loop.call_soon(it))]
    return taken and "call_soon() takes coroutine functions and what cannot be called, in debug mode too"


def check_task_factory(loop):
    asked = []
    loop.set_task_factory(lambda loop, coro, **options: asked.append(1) or asyncio.Task(coro, loop=loop, **options))
    loop.run_until_complete(asyncio.sleep(0))
    return not asked and "the factory of set_task_factory() is not asked"


def check_executor_threads(loop):
    before = len(os.listdir("/proc/self/task"))
    loop.run_until_complete(loop.run_in_executor(None, int))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    time.sleep(0.3)
    left = len(os.listdir("/proc/self/task")) - before
    return left > 0 and f"after shutdown_default_executor() and close() {left} threads are left"


def check_executor_that_was_given(loop):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        name = loop.run_until_complete(loop.run_in_executor(executor, lambda: threading.current_thread().name))
    return not name.startswith("mine") and f"run_in_executor(executor, ...) runs the function in thread {name}"


def check_stop_before_an_exit(loop):
    def stop_and_leave():
        loop.stop()
        raise SystemExit

    loop.call_soon(stop_and_leave)
    try:
        loop.run_forever()
    except SystemExit:
        pass
    ran = []
    loop.call_later(0.02, ran.append, 1)
    run_for(loop)
    return not ran and "stop() in a run that SystemExit left ends the next run before its first timer"


def check_order_of_posts_and_soons(loop):
    ran = []
    for i in range(10):
        (loop.call_soon if i % 2 else loop.call_soon_threadsafe)(ran.append, i)
    run_for(loop)
    return ran != list(range(10)) and f"asked for by call_soon_threadsafe() and call_soon() in turn: {ran}"


def check_warning_of_a_late_generator(loop):
    async def numbers():
        yield 1

    async def main():
        await loop.shutdown_asyncgens()
        return [number async for number in numbers()]

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        loop.run_until_complete(main())
    return not seen and "no ResourceWarning for a generator that begins after shutdown_asyncgens()"


def check_writer_of_a_full_socket_whose_peer_goes(loop):
    left, right = socket.socketpair()
    left.setblocking(False)
    try:
        while True:
            left.send(bytes(1000))
    except BlockingIOError:
        pass
    ran = []
    loop.add_writer(left.fileno(), lambda: (loop.remove_writer(left.fileno()), ran.append(1)))
    loop.call_later(0.02, right.close)
    run_for(loop, 0.2)
    return not ran and "the writer of a full socket whose peer goes is never called"


def check_order_after_an_exit(loop):
    ran = []

    def leave():
        loop.call_soon(ran.append, "asked for by it")
        raise SystemExit

    loop.call_soon(leave)
    loop.call_soon(ran.append, "behind it")
    try:
        loop.run_forever()
    except SystemExit:
        pass
    run_for(loop)
    return ran != ["behind it", "asked for by it"] and f"after a callback that SystemExit leaves runs: {ran}"


def check_wakeup_fd_of_the_user(loop):
    mine = socket.socketpair()[0]
    mine.setblocking(False)
    signal.set_wakeup_fd(mine.fileno())
    seen = []
    loop.call_soon(lambda: seen.append(signal.set_wakeup_fd(-1)))
    run_for(loop)
    return seen != [mine.fileno()] and "a run without signal handlers takes the place of the user's wakeup fd"


CHECKS = {name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")}
SECONDS_MAX = 5  # of a check


def run_one(spec, name):
    """Runs one check here: prints what is wrong, or nothing."""
    module, _, factory = spec.partition(":")
    loop = getattr(importlib.import_module(module), factory)()
    logging.disable(logging.CRITICAL)
    try:
        wrong = CHECKS[name](loop)
    except NotImplementedError:
        wrong = None
        print("not implemented")
    print(wrong or "", flush=True)
    os._exit(1 if wrong else 0)


def main(spec, *chosen):
    is_wrong = False
    for name in chosen or CHECKS:
        try:
            done = subprocess.run(
                [sys.executable, __file__, spec, "--here", name], capture_output=True, text=True, timeout=SECONDS_MAX
            )
            status = done.returncode
            said = done.stdout.strip()
            if status and not said:
                said = f"it ended with status {status}: {(done.stderr.splitlines() or [''])[-1]}"
        except subprocess.TimeoutExpired:
            status, said = 1, "it hangs"
        is_wrong |= status != 0
        print(f"{name}: {'WRONG: ' + said if status else said or 'right'}")
    return 1 if is_wrong else 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] == "--here":
        run_one(sys.argv[1], sys.argv[3])
    if len(sys.argv) < 2 or ":" not in sys.argv[1] or set(sys.argv[2:]) - set(CHECKS):
        print(f"{__doc__}\nThe checks are {', '.join(CHECKS)}.", file=sys.stderr)
        sys.exit(2)
    module, _, factory = sys.argv[1].partition(":")
    getattr(importlib.import_module(module), factory)  # fails here once rather than in each check
    sys.exit(main(*sys.argv[1:]))
