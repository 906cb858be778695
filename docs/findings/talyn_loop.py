"""talyn: the loop itself: timers, stop(), idle wake-ups, exceptions, generators, fork.

    python talyn_loop.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import concurrent.futures
import contextlib
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import weakref


class Log(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self):
        self.events, self.data, self.error = [], b"", None

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.data += data
        self.events.append("data")

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, error):
        self.error = error
        self.events.append("lost")


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        ours.setblocking(False)
        return ours, listener.accept()[0]


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def listen_to_errors(loop):
    errors = []
    loop.set_exception_handler(lambda loop, context: errors.append(context))
    return errors


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


def check_negative_delay(new_loop):
    loop, ran = new_loop(), []
    try:
        loop.call_later(-1, ran.append, 1)
    except ValueError as error:
        return f"call_later(-1) raises {error!r}"
    run_for(loop, 0.01)
    if not ran:
        return "a timer of -1 s does not run at once"


def check_idle_loop_sleeps(new_loop):
    loop = new_loop()
    run_for(loop, 0.05)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    run_for(loop, 1)
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    if switches > 40:
        return f"a loop with nothing to do for a second goes to sleep {switches} times in it"


def check_several_exceptions(new_loop):
    loop = new_loop()
    errors = listen_to_errors(loop)
    future = loop.create_future()
    future.add_done_callback(lambda _: 1 // 0)
    loop.call_soon(future.set_result, None)
    run_for(loop, 0.01)
    told = [type(context.get("exception")).__name__ for context in errors]
    if told != ["ZeroDivisionError"]:
        return f"a done callback raises ZeroDivisionError, and the exception handler is told of {told}"


def check_forgotten_task(new_loop):
    async def fail():
        raise ZeroDivisionError("planted")

    async def main():
        task = loop.create_task(fail())
        await asyncio.sleep(0.01)
        del task
        gc.collect()

    loop = new_loop()
    errors = listen_to_errors(loop)
    loop.run_until_complete(main())
    gc.collect()
    run_for(loop, 0.01)
    if not errors:
        return "the exception of a task that nobody awaited is told to nobody"


def check_dropped_generator(new_loop):
    closed = []

    async def generate():
        try:
            yield 1
            yield 2
        finally:
            closed.append(1)

    async def main():
        generator = generate()
        async for _ in generator:
            break
        del generator
        gc.collect()
        await asyncio.sleep(0.01)

    loop = new_loop()
    loop.run_until_complete(main())
    if not closed:
        return "an asynchronous generator that is dropped half-way is not closed"


def check_run_of_another_loop_inside(new_loop):
    loop, other, refused, running = new_loop(), new_loop(), [], []

    def inside():
        coroutine = asyncio.sleep(0)
        try:
            other.run_until_complete(coroutine)
        except RuntimeError:
            refused.append(1)
            coroutine.close()
        running.append(asyncio._get_running_loop())
        loop.stop()

    loop.call_soon(inside)
    loop.run_forever()
    if not refused:
        return "a loop runs inside the callback of another one"
    if running != [loop]:
        return "after the run of another loop was refused, the loop that runs is no longer the running loop"


def check_debug_loop_in_another_thread(new_loop):
    loop, ran = new_loop(), []
    loop.set_debug(True)

    def work():
        try:
            loop.call_soon(ran.append, True)
            loop.run_until_complete(asyncio.sleep(0))
        except RuntimeError as error:
            ran.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if ran != [True]:
        return f"in debug mode a loop cannot run in another thread than that in which it was made: {ran}"


def check_lookup_in_the_executor(new_loop):
    loop, jobs = new_loop(), []

    class Counts(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *args):
            jobs.append(args)
            return super().submit(*args)

    loop.set_default_executor(Counts(1))
    loop.run_until_complete(loop.getaddrinfo("localhost", 80))
    if not jobs:
        return "getaddrinfo() is no job of the default executor"


def check_cancelled_handle_lets_go(new_loop):
    class Thing:
        pass

    loop, thing = new_loop(), Thing()
    reference = weakref.ref(thing)
    handle = loop.call_later(3600, print, thing)
    del thing
    handle.cancel()
    gc.collect()
    if reference() is not None:
        return "a cancelled handle keeps its argument"


def check_child_closes_the_loop(new_loop):
    loop = new_loop()
    run_for(loop, 0.01)
    child = os.fork()
    if child == 0:
        try:
            loop.close()
        except BaseException as error:
            print(f"   close() in the child raises {error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        return "after fork() the child cannot close the loop that it inherited"


def check_object_with_fileno(new_loop):
    loop, calls = new_loop(), []
    ours, peer = tcp_pair()
    try:
        loop.add_reader(ours, calls.append, 1)
    except RuntimeError as error:
        return f"add_reader() of a socket object raises {error!r}"
    loop.remove_reader(ours)


def check_closed_fd(new_loop):
    loop = new_loop()
    with socket.socket() as sock:
        number = sock.fileno()
    if not raises((OSError, ValueError), lambda: loop.add_reader(number, print)):
        return "add_reader() takes an fd that is closed"


def check_signal_that_cannot_be_caught(new_loop):
    loop = new_loop()
    try:
        loop.add_signal_handler(signal.SIGKILL, print)
    except (RuntimeError, ValueError):
        return None
    return "add_signal_handler(SIGKILL) is taken"


def check_getnameinfo(new_loop):
    loop = new_loop()
    try:
        name = loop.run_until_complete(
            loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        )
    except Exception as error:
        return f"getnameinfo(('127.0.0.1', 80)) raises {error!r}"
    if name != ("127.0.0.1", "80"):
        return f"getnameinfo(('127.0.0.1', 80)) gives {name}"


def check_port_as_text(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo("127.0.0.1", "80", type=socket.SOCK_STREAM))
    except Exception as error:
        return f"getaddrinfo() with the port as text raises {error!r}"


def check_short_address(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo("127.1", 80, type=socket.SOCK_STREAM))
    except Exception as error:
        return f"getaddrinfo('127.1') raises {error!r}"


def check_address_with_scope(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo("fe80::1%lo", 80, type=socket.SOCK_STREAM))
    except Exception as error:
        return f"getaddrinfo('fe80::1%lo') raises {error!r}"


def check_mapped_address(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo("::ffff:127.0.0.1", 80, type=socket.SOCK_STREAM))
    except Exception as error:
        return f"getaddrinfo('::ffff:127.0.0.1') raises {error!r}"


def check_family_that_does_not_fit(new_loop):
    loop = new_loop()
    try:
        found = loop.run_until_complete(
            loop.getaddrinfo("127.0.0.1", 80, family=socket.AF_INET6, type=socket.SOCK_STREAM)
        )
    except OSError:
        return None
    return f"getaddrinfo('127.0.0.1', family=AF_INET6) gives {found} instead of socket.gaierror"


def check_error_of_an_unknown_host(new_loop):
    loop = new_loop()
    connecting = loop.create_connection(Log, "nonesuch.invalid", 80)
    try:
        loop.run_until_complete(asyncio.wait_for(connecting, 5))
    except OSError:
        return None
    except Exception as error:
        return f"create_connection() to an unknown host raises {error!r} instead of an OSError"


def check_timer_beside_a_cancelled_one(new_loop):
    loop, early = new_loop(), []

    def fired(when):
        if loop.time() < when - 0.002:
            early.append(round(when - loop.time(), 3))

    def ask():
        when = loop.time() + 0.2
        loop.call_at(when, fired, when)

    loop.call_soon(ask)
    other = []
    loop.call_later(0, lambda: other[0].cancel())
    other.append(loop.call_at(loop.time(), int))
    run_for(loop, 0.3)
    if early:
        return f"a timer of 0.2 s fires {early[0]} s too early when another that is due is cancelled"


def check_await_in_a_task_that_cancelled_itself(new_loop):
    started = []

    async def inner():
        started.append(1)

    async def outer():
        task = loop.create_task(inner())
        asyncio.current_task().cancel()
        await task

    loop = new_loop()
    errors = listen_to_errors(loop)
    for _ in range(20):
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(outer())
        loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    asyncio.all_tasks(loop)
    if errors:
        return f"a task cancels itself and awaits another: the handler is told of {errors[0].get('exception')!r}"


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
