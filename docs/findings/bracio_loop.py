"""bracio: the loop itself: cancelled handles, exits, runs, clocks, threads, settings.

    python bracio_loop.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
import weakref


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def listen_to_errors(loop):
    errors = []
    loop.set_exception_handler(lambda loop, context: errors.append(context))
    return errors


def check_cancelled_handle(new_loop):
    loop = new_loop()
    errors = listen_to_errors(loop)
    loop.call_soon(print, "never").cancel()
    loop.call_later(0.01, print, "never").cancel()
    run_for(loop, 0.05)
    if errors:
        return f"two handles are cancelled, and the exception handler is told {errors[0]['exception']!r}"


def check_timeout_that_is_not_needed(new_loop):
    async def main():
        async with asyncio.timeout(0.02):
            pass
        await asyncio.sleep(0.06)

    loop = new_loop()
    errors = listen_to_errors(loop)
    loop.run_until_complete(main())
    if errors:
        return f"asyncio.timeout() that is not reached: the exception handler is told {errors[0]['exception']!r}"


def check_executor(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.run_in_executor(None, int))
    except AttributeError as error:
        return f"run_in_executor() raises {error!r}"


def check_getaddrinfo(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM))
    except AttributeError as error:
        return f"getaddrinfo() raises {error!r}"


def check_child(new_loop):
    async def main():
        child = await asyncio.create_subprocess_exec("true")
        return await child.wait()

    try:
        new_loop().run_until_complete(main())
    except AttributeError as error:
        return f"create_subprocess_exec() raises {error!r}"


def check_server(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    except AttributeError as error:
        return f"create_server() raises {error!r}"


def check_clock(new_loop):
    ahead = abs(new_loop().time() - time.time())
    if ahead < 60:
        return f"loop.time() is the time of day, {ahead:.6f} s beside time.time(): it jumps when the clock is set"


def check_exit_leaves_the_run(new_loop):
    out, into = os.pipe()
    if os.fork() == 0:
        loop = new_loop()
        loop.call_soon(sys.exit, 3)
        try:
            run_for(loop, 0.05)
        except SystemExit:
            os.write(into, b"caught")
        finally:
            os._exit(0)
    os.close(into)
    if os.read(out, 10) != b"caught":
        return "SystemExit ends the process inside run_forever(): no except, no finally of the program is run"


def check_keyboard_interrupt_leaves_the_run(new_loop):
    def interrupt():
        raise KeyboardInterrupt

    loop = new_loop()
    loop.call_soon(interrupt)
    try:
        run_for(loop, 0.05)
    except KeyboardInterrupt:
        return None
    return "KeyboardInterrupt in a callback is printed, and the run goes on"


def check_ctrl_c_while_idle(new_loop):
    loop = new_loop()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        run_for(loop, 1)
    except KeyboardInterrupt:
        return None
    return "Ctrl-C does not leave a run that sleeps for a second"


def check_plain_signal_handler(new_loop):
    loop, calls = new_loop(), []
    begun = time.monotonic()
    signal.signal(signal.SIGUSR1, lambda *_: calls.append(time.monotonic() - begun))
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    run_for(loop, 1)
    if not calls or calls[0] > 0.8:
        return f"a handler of signal.signal() for a signal that comes after 0.1 s is called after {calls} s"


def check_nested_run(new_loop):
    loop, raised = new_loop(), []

    def inside():
        try:
            loop.run_forever()
        except BaseException as error:
            raised.append(type(error).__name__)
        loop.stop()

    loop.call_soon(inside)
    try:
        loop.run_forever()
        run_for(loop, 0.01)
    except BaseException as error:
        return f"run_forever() inside a run raises {raised}, and so does the outer run: {type(error).__name__}"


def check_run_of_another_loop_inside(new_loop):
    loop, other, raised = new_loop(), new_loop(), []

    def inside():
        try:
            other.run_forever()
        except BaseException as error:
            raised.append(type(error).__name__)
        loop.stop()

    loop.call_soon(inside)
    loop.run_forever()
    if raised != ["RuntimeError"]:
        return f"the run of another loop inside a run raises {raised} instead of RuntimeError"


def check_run_in_another_thread(new_loop):
    loop, raised = new_loop(), []

    def other():
        try:
            loop.run_forever()
        except BaseException as error:
            raised.append(type(error).__name__)

    thread = threading.Thread(target=other, daemon=True)
    loop.call_soon(thread.start)
    loop.call_later(0.2, loop.stop)
    try:
        loop.run_forever()
    except BaseException as error:
        return f"run_forever() in a second thread raises {raised}, and the run in the first {type(error).__name__}"
    if raised != ["RuntimeError"]:
        return f"run_forever() in a second thread raises {raised} instead of RuntimeError"


def check_is_running(new_loop):
    if new_loop().is_running():
        return "is_running() is true of a loop that never ran"


def check_let_go_before_it_sleeps(new_loop):
    class Thing:
        def __call__(self):
            pass

    def look():
        time.sleep(0.2)
        gc.collect()
        kept.append(reference() is not None)
        loop.call_soon_threadsafe(loop.stop)

    loop, kept, thing = new_loop(), [], Thing()
    reference = weakref.ref(thing)
    loop.call_soon(thing)
    del thing
    threading.Thread(target=look).start()
    loop.run_forever()
    if kept[0]:
        return "what has run is kept while the loop sleeps"


def check_is_closed(new_loop):
    loop = new_loop()
    loop.close()
    if not loop.is_closed():
        return "is_closed() is false after close()"


def check_closed_loop_refuses(new_loop):
    loop = new_loop()
    loop.close()
    try:
        loop.call_soon(print)
        return "call_soon() of a closed loop is taken"
    except RuntimeError:
        return None


def check_closed_loop_runs(new_loop):
    loop, ran = new_loop(), []
    loop.close()
    coroutine = asyncio.sleep(0, 1)
    try:
        ran.append(loop.run_until_complete(coroutine))
    except RuntimeError:
        coroutine.close()
    if ran:
        return "a closed loop runs"


def check_stop_of_an_unfinished_run(new_loop):
    loop = new_loop()
    loop.call_soon(loop.stop)
    try:
        loop.run_until_complete(loop.create_future())
    except RuntimeError:
        return None
    except Exception as error:
        return f"run_until_complete() that is stopped raises {error!r} instead of RuntimeError"


def check_future_of_another_loop(new_loop):
    loop, other = new_loop(), new_loop()
    timer = threading.Timer(0.5, lambda: loop.call_soon_threadsafe(loop.stop))
    timer.start()
    try:
        loop.run_until_complete(other.create_future())
    except ValueError:
        timer.cancel()
        return None
    except Exception:
        return "run_until_complete() waits for a future of another loop"


def check_two_stops(new_loop):
    loop, ran = new_loop(), []
    loop.call_soon(loop.stop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_later(0.01, ran.append, 1)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    if not ran:
        return "of two stops in one turn the second ends the next run"


def check_fds_of_closed_loops(new_loop):
    before, loops = len(os.listdir("/proc/self/fd")), []
    for _ in range(20):
        loop = new_loop()
        run_for(loop, 0)
        loop.close()
        loops.append(loop)
    after = len(os.listdir("/proc/self/fd"))
    if after > before:
        return f"20 closed loops hold {after - before} fds"


def check_loops_with_work_left(new_loop):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        loop = new_loop()
        loop.call_soon(int)
        loop.close()
        del loop
    gc.collect()
    after = len(os.listdir("/proc/self/fd"))
    if after > before + 4:
        return f"20 loops that were closed and dropped with a callback that never ran hold {after - before} fds"


def check_no_fds(new_loop):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
    try:
        new_loop()
    except OSError:
        return None
    except Exception as error:
        return f"a loop for which no fd is left raises {error!r} instead of OSError"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def check_threads_of_closed_loops(new_loop):
    loops = [new_loop() for _ in range(5)]
    before = len(os.listdir("/proc/self/task"))
    for loop in loops:
        loop.close()
    time.sleep(0.2)
    after = len(os.listdir("/proc/self/task"))
    if after > 1:
        return f"five closed loops have {after - 1} threads, as many as before: {before - 1}"


def check_task_factory(new_loop):
    async def nothing():
        pass

    loop, asked = new_loop(), []
    loop.set_task_factory(lambda loop, coro, **options: asked.append(1) or asyncio.Task(coro, loop=loop, **options))
    loop.run_until_complete(nothing())
    if not asked:
        return "the factory of set_task_factory() is not asked"


def check_dropped_generator(new_loop):
    closed = []

    async def generate():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(1)

    async def main():
        async for _ in generate():
            break
        gc.collect()
        await asyncio.sleep(0.01)

    new_loop().run_until_complete(main())
    if not closed:
        return "an asynchronous generator that is dropped half-way is not closed"


def check_shutdown_asyncgens(new_loop):
    closed, held = [], []

    async def generate():
        try:
            yield 1
        finally:
            closed.append(1)

    async def main():
        held.append(generate())
        await held[0].__anext__()

    loop = new_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    if not closed:
        return "shutdown_asyncgens() closes nothing"


def check_debug_mode(new_loop):
    loop, told = new_loop(), []
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    asyncio.log.logger.warning = lambda *args: told.append(args)
    loop.call_soon(time.sleep, 0.05)
    run_for(loop, 0.01)
    if not told:
        return "in debug mode a callback of 50 ms is not logged"


def check_call_from_another_thread(new_loop):
    loop, raised = new_loop(), []
    loop.set_debug(True)

    def other():
        try:
            loop.call_soon(int)
        except RuntimeError:
            raised.append(1)

    thread = threading.Thread(target=other)
    loop.call_soon(thread.start)
    run_for(loop, 0.05)
    thread.join()
    if not raised:
        return "in debug mode call_soon() in another thread is taken"


def check_no_callback(new_loop):
    loop = new_loop()
    loop.set_debug(True)
    try:
        loop.call_soon(5)
    except TypeError:
        return None
    return "call_soon(5) is taken"


def check_order_of_due_timers(new_loop):
    for _ in range(50):
        loop, order = new_loop(), []
        for delay in (0, -2, -1, -3):
            loop.call_later(delay, order.append, delay)
        run_for(loop, 0.01)
        loop.close()
        if order != [-3, -2, -1, 0]:
            return f"timers that are due when they are armed run in the order {order}"


def run(check):
    module, _, factory = sys.argv[1].partition(":")
    wrong = check(getattr(importlib.import_module(module), factory))
    print(f"{check.__name__[6:]}: {wrong or 'right'}", flush=True)
    os._exit(1 if wrong else 0)


def main():
    checks = {name[6:]: check for name, check in globals().items() if name.startswith("check_")}
    if len(sys.argv) < 2 or ":" not in sys.argv[1] or set(sys.argv[2:]) - set(checks):
        print(f"{__doc__}\nThe checks are {', '.join(checks)}.", file=sys.stderr)
        return 2
    statuses = []
    for name in sys.argv[2:] or checks:
        process = multiprocessing.get_context("fork").Process(target=run, args=(checks[name],))
        process.start()
        process.join(10)
        if process.is_alive() or process.exitcode < 0:
            print(f"{name}: {'it hangs' if process.is_alive() else 'it is killed by a signal'}", flush=True)
            process.kill()
            process.join()
        statuses.append(process.exitcode)
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
