"""asyncio: what the loop itself, its servers and its helpers do wrong.

    python asyncio_loop.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import contextvars
import importlib
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time


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


def count_fds():
    return len(os.listdir("/proc/self/fd"))


def check_nested_run(new_loop):
    loop, seen = new_loop(), []

    def inside():
        with contextlib.suppress(RuntimeError):
            loop.run_forever()
        seen.append(loop.is_running())

    loop.call_soon(inside)
    with contextlib.suppress(RuntimeError):
        run_for(loop, 0.01)
    if seen != [True]:
        return "after a nested run was refused, is_running() of the running loop is False"


def check_forked_child_closes_the_loop(new_loop):
    loop = new_loop()
    run_for(loop, 0.01)
    child = os.fork()
    if child == 0:
        loop.close()
        os._exit(0)
    os.waitpid(child, 0)
    loop.call_later(1, loop.stop)
    began = time.monotonic()
    threading.Timer(0.1, lambda: loop.call_soon_threadsafe(loop.stop)).start()
    loop.run_forever()
    if time.monotonic() - began > 0.8:
        return "close() of the inherited loop in a forked child: call_soon_threadsafe() no longer wakes its parent"


def check_cancelled_accept(new_loop):
    async def main():
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        first = asyncio.ensure_future(loop.sock_accept(listener))
        await asyncio.sleep(0.01)
        client = socket.create_connection(listener.getsockname())
        time.sleep(0.01)
        loop.call_soon(first.cancel)
        await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await first
            return None
        await asyncio.wait_for(loop.sock_accept(listener), 0.5)
        client.close()

    loop = new_loop()
    listen_to_errors(loop)
    try:
        loop.run_until_complete(main())
    except asyncio.TimeoutError:
        return "a sock_accept() that is cancelled in the turn of its client drops the client"


def check_server_without_fds(new_loop):
    async def main():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(held) + 100, hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        return await loop.create_server(Log, "127.0.0.1", 0)

    held = []
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    try:
        server = loop.run_until_complete(main())
    except OSError:
        return None
    return f"create_server() with no fd to be had makes a server of {len(server.sockets)} sockets instead of an error"


def check_pidfd_of_a_child(new_loop):
    def start():
        loop = new_loop()
        made = loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "2", stdin=None, stdout=None, stderr=None)
        transport, _ = loop.run_until_complete(made)
        loop.close()
        kept.append((loop, transport))
        os.kill(transport.get_pid(), signal.SIGKILL)

    kept = []
    start()
    before = count_fds()
    for _ in range(5):
        start()
    if count_fds() - before >= 5:
        return f"5 loops that were closed while a child lived hold {count_fds() - before} fds"


def check_eager_connection(new_loop):
    async def main():
        loop.set_task_factory(asyncio.eager_task_factory)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        transport, _ = await loop.create_connection(Log, "localhost", port, happy_eyeballs_delay=0.1)
        transport.abort()

    if sys.version_info < (3, 12):
        return None
    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except (AssertionError, TypeError) as error:
        return f"create_connection(happy_eyeballs_delay=...) with eager tasks raises {error!r}"


def check_eager_task_with_an_entered_context(new_loop):
    async def main():
        context = contextvars.copy_context()
        coroutine = asyncio.sleep(0)

        def start():
            with contextlib.suppress(RuntimeError):
                asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
            coroutine.close()

        this = asyncio.current_task()
        context.run(start)
        return asyncio.current_task() is this

    if sys.version_info < (3, 12):
        return None
    loop = new_loop()
    listen_to_errors(loop)
    if not loop.run_until_complete(main()):
        return "an eager task that could not start stays the current task"


def check_client_of_a_closed_server(new_loop):
    """The client is accepted, and in the same turn the server is closed."""
    loop, log = new_loop(), Log()
    errors = listen_to_errors(loop)
    loop.set_debug(True)  # without it the error is not told
    server = loop.run_until_complete(loop.create_server(lambda: log, "127.0.0.1", 0))
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        loop.call_soon(loop.call_soon, server.close)
        run_for(loop, 0.01)
        client.setblocking(False)
        try:
            client.recv(1)
        except BlockingIOError:
            if not log.events:
                return f"a client is open, and has no protocol: {[error['exception'] for error in errors]}"
        except ConnectionError:
            pass


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
