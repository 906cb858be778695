"""blazio: crashes on handles, removed watchers that are called, exceptions that nobody is told of.

    python blazio_callbacks.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import contextvars
import functools
import gc
import importlib
import logging
import multiprocessing
import os
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


def connect(loop, protocol):
    """The protocol's transport, and the blocking socket at the other end."""
    ours, peer = tcp_pair()
    transport, _ = loop.run_until_complete(loop.create_connection(lambda: protocol, sock=ours))
    return transport, peer


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


def check_cancel_in_its_own_callback(new_loop):
    loop, handles = new_loop(), []
    handles.append(loop.call_soon(lambda: handles.pop().cancel()))
    run_for(loop, 0.001)
    for _ in range(100):  # the handle's memory was freed twice
        loop.call_soon(int)
        loop.call_later(0.001, int)
    run_for(loop, 0.01)


def check_exception_in_a_reader(new_loop):
    loop = new_loop()
    errors = listen_to_errors(loop)
    ours, peer = tcp_pair()
    peer.send(b"x")

    def ready():
        loop.remove_reader(ours.fileno())
        raise ZeroDivisionError("planted")

    loop.add_reader(ours.fileno(), ready)
    run_for(loop, 0.1)
    if len(errors) != 1:
        return f"an exception in a reader: the exception handler is called {len(errors)} times"


def check_system_exit_in_a_reader(new_loop):
    loop = new_loop()
    ours, peer = tcp_pair()
    peer.send(b"x")

    def ready():
        loop.remove_reader(ours.fileno())
        raise SystemExit(3)

    loop.add_reader(ours.fileno(), ready)
    if not raises(SystemExit, lambda: run_for(loop, 0.1)):
        return "SystemExit in a reader does not leave the run"


def check_system_exit_in_a_protocol(new_loop):
    class Leaves(Log):
        def data_received(self, data):
            raise SystemExit(3)

    loop = new_loop()
    transport, peer = connect(loop, Leaves())
    peer.send(b"x")
    if not raises(SystemExit, lambda: run_for(loop, 0.1)):
        return "SystemExit in data_received() does not leave the run"


def check_exception_in_connection_lost(new_loop):
    class Fails(Log):
        def connection_lost(self, error):
            raise ZeroDivisionError("planted")

    loop = new_loop()
    errors = listen_to_errors(loop)
    transport, peer = connect(loop, Fails())
    transport.abort()
    run_for(loop, 0.1)
    if len(errors) != 1:
        return f"an exception in connection_lost(): the exception handler is called {len(errors)} times"


def check_exception_in_pause_writing(new_loop):
    class Fails(Log):
        def pause_writing(self):
            raise ZeroDivisionError("planted")

    loop = new_loop()
    errors = listen_to_errors(loop)
    transport, peer = connect(loop, Fails())
    transport.write(bytes(10_000_000))
    run_for(loop, 0.05)
    if len(errors) != 1:
        return f"an exception in pause_writing(): the exception handler is called {len(errors)} times"


def check_exception_in_datagram_received(new_loop):
    class Fails(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            raise ZeroDivisionError("planted")

    loop = new_loop()
    errors = listen_to_errors(loop)
    transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(Fails, local_addr=("127.0.0.1", 0)))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"x", transport.get_extra_info("socket").getsockname())
    run_for(loop, 0.1)
    if len(errors) != 1:
        return f"an exception in datagram_received(): the exception handler is called {len(errors)} times"


def check_default_handler_logs(new_loop):
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("asyncio").addHandler(handler)
    loop = new_loop()
    loop.call_soon(lambda: 1 // 0)
    run_for(loop, 0.01)
    if len(records) != 1:
        return f"an exception in a callback is logged {len(records)} times by the logger 'asyncio'"


def check_context_that_is_entered(new_loop):
    loop, context, ran = new_loop(), contextvars.copy_context(), []
    listen_to_errors(loop)

    def enter():
        loop.call_soon(ran.append, "inside", context=context)
        run_for(loop, 0.01)

    try:
        context.run(enter)
    except RuntimeError as error:
        return f"a callback whose context is entered already: the run ends by {error!r}"


def check_memory_of_a_closed_loop(new_loop):
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.call_later(3600, print, loop)
    loop.close()
    reference = weakref.ref(loop)
    del loop
    gc.collect()
    if reference() is not None:
        return "a closed loop with a timer that refers to it is never freed"


class Deaf:
    def __call__(self):
        pass


def check_watcher_that_was_removed_last(new_loop):
    loop = new_loop()
    ours, _theirs = socket.socketpair()
    reader = Deaf()
    loop.add_reader(ours.fileno(), reader)
    loop.run_until_complete(asyncio.sleep(0))
    loop.remove_reader(ours.fileno())
    loop.close()
    reference = weakref.ref(reader)
    del loop, reader
    gc.collect()
    if reference() is not None:
        return "a reader that was removed before its loop was closed is never freed"


def check_closed_loop_takes_work(new_loop):
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    taken = []
    if not raises(RuntimeError, lambda: loop.call_soon(print)):
        taken.append("call_soon")
    if not raises(RuntimeError, lambda: loop.call_soon_threadsafe(print)):
        taken.append("call_soon_threadsafe")
    if not raises(RuntimeError, lambda: loop.call_later(1, print)):
        taken.append("call_later")
    if not raises(RuntimeError, lambda: loop.run_in_executor(None, int)):
        taken.append("run_in_executor")
    if not raises(RuntimeError, loop.run_forever):
        taken.append("run_forever")
    if taken:
        return f"a closed loop takes {', '.join(taken)}"


def check_handle_of_a_timer(new_loop):
    loop = new_loop()
    handle = loop.call_later(5, print)
    if not isinstance(handle, asyncio.TimerHandle) or not hasattr(handle, "when"):
        return f"call_later() returns {type(handle)}, which has {'a' if hasattr(handle, 'when') else 'no'} when()"


def check_debug_mode(new_loop):
    loop = new_loop()
    loop.set_debug(True)
    if not loop.get_debug():
        return "set_debug(True) has no effect"


def check_task_factory_gets_the_name(new_loop):
    loop, names = new_loop(), []

    def factory(loop, coroutine, **options):
        names.append(options.get("name"))
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main():
        task = loop.create_task(asyncio.sleep(0), name="mine")
        names.append(task.get_name())
        await task

    loop.set_task_factory(factory)
    loop.run_until_complete(main())
    if names[-1] != "mine":
        return f"with a task factory create_task(name='mine') makes a task named {names[-1]!r}"


def check_executor_after_shutdown(new_loop):
    loop = new_loop()
    loop.run_until_complete(loop.run_in_executor(None, int))
    loop.run_until_complete(loop.shutdown_default_executor())
    try:
        loop.run_until_complete(loop.run_in_executor(None, int))
    except RuntimeError:
        return None
    return "run_in_executor() works after shutdown_default_executor()"


def check_timers_in_another_thread(new_loop):
    loop, ran = new_loop(), []
    loop.call_soon(ran.append, "soon")
    loop.call_later(0.01, ran.append, "timer")

    def work():
        try:
            loop.call_later(0.1, loop.stop)
            loop.run_forever()
        except RuntimeError as error:
            ran.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if ran != ["soon", "timer"]:
        return f"a loop that is run in another thread than its maker's, with a timer from before: {ran}"


def check_weak_reference_to_a_callback(new_loop):
    loop, ran = new_loop(), []

    class Thing:
        def __call__(self):
            handles[0].cancel()

    thing = Thing()
    reference = weakref.ref(thing, lambda _: loop.call_soon(ran.append, 1))
    handles = [loop.call_soon(thing)]
    del thing
    run_for(loop, 0.01)
    handles.clear()
    gc.collect()
    run_for(loop, 0.01)
    if ran != [1] and reference() is None:
        return "the call of the weak reference was lost"


def check_reader_that_is_replaced_and_removes(new_loop):
    loop = new_loop()
    reader, writer = os.pipe()
    os.write(writer, b"x")

    class Remover:
        def __call__(self):
            pass

        def __del__(self):
            loop.remove_reader(reader)

    loop.add_reader(reader, Remover())
    loop.add_reader(reader, int)
    loop.remove_reader(reader)
    calls = []
    loop.add_reader(reader, lambda: (calls.append(1), loop.remove_reader(reader)))
    run_for(loop, 0.05)
    if len(calls) != 1:
        return (
            f"a reader that was replaced removed a reader when it was freed; the next one is called {len(calls)} times"
        )


def check_run_after_a_system_exit(new_loop):
    async def leave():
        await asyncio.sleep(0)
        raise SystemExit(3)

    loop = new_loop()
    with contextlib.suppress(SystemExit):
        loop.run_until_complete(leave())
    try:
        loop.run_until_complete(asyncio.sleep(0))
    except RuntimeError as error:
        return f"SystemExit in a task left the run; the next run ends at once by {error!r}"


def check_task_that_left_is_told(new_loop):
    loop, told = new_loop(), []
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))

    async def leave():
        raise SystemExit(3)

    with contextlib.suppress(SystemExit):
        loop.run_until_complete(leave())
    loop.close()
    gc.collect()
    return told and f"the SystemExit that left run_until_complete() is told to the exception handler as well: {told}"


def check_system_exit_in_the_handler(new_loop):
    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: sys.exit(3))
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(0.05, loop.stop)
    with contextlib.suppress(SystemExit):
        loop.run_forever()
        return "SystemExit in the exception handler does not leave the run"


def check_run_in_another_thread(new_loop):
    loop, results = new_loop(), []

    def work():
        try:
            loop.run_until_complete(asyncio.sleep(0.01))
            results.append("done")
        except RuntimeError as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if results != ["done"]:
        return f"a loop that is run in another thread than the one that made it: {results[0]!r}"


def check_closed_loop_keeps_watchers(new_loop):
    class Thing:
        def __call__(self):
            pass

    loop, thing = new_loop(), Thing()
    ours, peer = tcp_pair()
    reference = weakref.ref(thing)
    loop.call_soon(loop.stop)
    loop.add_reader(ours.fileno(), thing)
    loop.run_forever()
    loop.close()
    del thing
    gc.collect()
    if reference() is not None:
        return "a closed loop keeps the callback of a watcher"


def check_refused_close(new_loop):
    loop = new_loop()

    async def main():
        loop.add_signal_handler(signal.SIGUSR1, print)
        with contextlib.suppress(RuntimeError):
            loop.close()
        if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
            return "close() of a loop that runs is refused, but takes its signal handlers away"

    return loop.run_until_complete(main())


def check_post_beside_callbacks_in_c(new_loop):
    loop = new_loop()
    again = functools.partial(loop.call_soon)
    again.__setstate__((loop.call_soon, (again,), {}, {}))  # calls itself in the next turn, for ever
    threading.Timer(0.01, loop.call_soon_threadsafe, (loop.stop,)).start()
    again()
    loop.run_forever()


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
