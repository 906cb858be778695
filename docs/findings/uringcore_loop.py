"""uringcore: callbacks that keep the loop busy, the ends of pipes, sock_*(), connecting, children, servers.

    python uringcore_loop.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextvars
import gc
import importlib
import multiprocessing
import os
import socket
import struct
import sys
import tempfile
import time
import weakref


def refusing():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()


def ended(loop, work, seconds=2):
    """What the coroutine gives, or the class of what it raises; TimeoutError when it does not end."""
    try:
        return loop.run_until_complete(asyncio.wait_for(work, seconds))
    except Exception as error:
        return type(error)


async def busy_until(seen):
    """Does sleep(0) for a second, or until something is seen."""
    end = time.monotonic() + 1
    while not seen and time.monotonic() < end:
        await asyncio.sleep(0)


def check_timer_beside_a_busy_task(new_loop):
    loop, seen = new_loop(), []
    loop.call_later(0.05, seen.append, 1)
    loop.run_until_complete(busy_until(seen))
    if not seen:
        return "while a task does sleep(0) for a second no timer fires"


def check_reader_beside_a_busy_task(new_loop):
    loop, seen = new_loop(), []
    ours, peer = socket.socketpair()
    loop.add_reader(ours, lambda: (seen.append(1), loop.remove_reader(ours)))

    async def main():
        await asyncio.sleep(0)
        peer.send(b"x")
        await busy_until(seen)

    loop.run_until_complete(main())
    if not seen:
        return "while a task does sleep(0) for a second no reader is called"


def check_reader_of_a_closed_pipe(new_loop):
    loop, seen = new_loop(), []
    reader, writer = os.pipe()
    os.close(writer)
    loop.add_reader(reader, lambda: (seen.append(1), loop.remove_reader(reader)))
    begin = time.process_time()
    loop.run_until_complete(asyncio.sleep(0.5))
    if not seen:
        spent = time.process_time() - begin
        return f"the reader of a pipe that was closed is not called; {spent:.1f} s of the processor in 0.5 s"


def check_writer_of_a_pipe_without_reader(new_loop):
    loop, seen = new_loop(), []
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(65536))
    except BlockingIOError:
        os.close(reader)
    loop.add_writer(writer, lambda: (seen.append(1), loop.remove_writer(writer)))
    loop.run_until_complete(asyncio.sleep(0.5))
    if not seen:
        return "the writer of a full pipe whose reader has gone is not called"


def check_context_of_a_reader(new_loop):
    loop, seen, variable = new_loop(), [], contextvars.ContextVar("variable", default="nothing")
    reader, writer = os.pipe()

    async def main():
        variable.set("asked")
        loop.add_reader(reader, lambda: (seen.append(variable.get()), loop.remove_reader(reader)))
        os.write(writer, b"x")
        await asyncio.sleep(0.2)

    loop.run_until_complete(main())
    if seen != ["asked"]:
        return f"the variable in a reader: {seen}"


def check_sock_recv(new_loop):
    loop = new_loop()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.send(b"hello")
    got = ended(loop, loop.sock_recv(ours, 10))
    if got != b"hello":
        return f"sock_recv() where five bytes wait: {got}"


def check_sock_accept(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    with socket.create_connection(listener.getsockname()):
        got = ended(loop, loop.sock_accept(listener))
    if not isinstance(got, tuple):
        return f"sock_accept() where a client waits gives {got}"


def check_sock_connect_refused(new_loop):
    loop = new_loop()
    ours = socket.socket()
    ours.setblocking(False)
    got = ended(loop, loop.sock_connect(ours, refusing()))
    if got is not ConnectionRefusedError:
        return f"sock_connect() where nobody listens gives {got}"


def check_refused_connection(new_loop):
    loop = new_loop()
    got = ended(loop, loop.create_connection(asyncio.Protocol, *refusing()))
    if got is not ConnectionRefusedError:
        return "create_connection() where nobody listens gives a connection, and calls connection_made()"


def check_local_address(new_loop):
    loop = new_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        work = loop.create_connection(asyncio.Protocol, *listener.getsockname(), local_addr=("127.0.0.2", 0))
        name = loop.run_until_complete(work)[0].get_extra_info("sockname")
    if name[0] != "127.0.0.2":
        return f"local_addr is 127.0.0.2, and the connection comes from {name[0]}"


def check_errno_of_a_reset(new_loop):
    class Lost(asyncio.Protocol):
        def connection_lost(self, error):
            seen.append(error)

    loop, seen = new_loop(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    ours.setblocking(False)
    loop.run_until_complete(loop.create_connection(Lost, sock=ours))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    loop.run_until_complete(asyncio.sleep(0.3))
    if not (seen and isinstance(seen[0], ConnectionResetError)):
        return f"the peer resets the connection: connection_lost() is called with {seen}"


def check_number_of_a_closed_connection(new_loop):
    loop = new_loop()
    ours, _peer = socket.socketpair()
    ours.setblocking(False)
    transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours))
    transport.close()
    loop.run_until_complete(asyncio.sleep(0.2))
    others = [os.open("/dev/null", os.O_RDONLY) for _ in range(4)]
    ours.close()  # as its finaliser does
    if any(not os.path.exists(f"/proc/self/fd/{other}") for other in others):
        return "after close() of a connection its socket still has the number: closing it closes somebody else's file"


def check_number_of_an_aborted_connection(new_loop):
    loop = new_loop()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours))
    loop.run_until_complete(asyncio.sleep(0.1))
    transport.abort()
    others = [socket.socketpair() for _ in range(3)]
    loop.run_until_complete(asyncio.sleep(0.1))
    try:
        peer.send(b"x")
    except BrokenPipeError:
        pass
    loop.run_until_complete(asyncio.sleep(0.1))
    for number in range(6):
        others[number // 2][number % 2 - 1].send(b"mine")
    loop.run_until_complete(asyncio.sleep(0.1))
    for one in sum(others, ()):
        one.setblocking(False)
        try:
            one.recv(10)
        except BlockingIOError:
            return "an aborted connection takes the bytes of whoever has its number next"


def check_output_of_a_child(new_loop):
    async def main():
        child = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
        return await child.stdout.read()

    got = ended(new_loop(), main())
    if got != b"hello\n":
        return f"the output of echo hello, read to its end: {got}"


def check_ends_of_a_child(new_loop):
    class Events(asyncio.SubprocessProtocol):
        def pipe_connection_lost(self, fd, error):
            seen.append("pipe_connection_lost")

        def connection_lost(self, error):
            seen.append("connection_lost")

    loop, seen = new_loop(), []
    loop.run_until_complete(loop.subprocess_exec(Events, "true", stdin=None, stderr=None))
    loop.run_until_complete(asyncio.sleep(1))
    if seen != ["pipe_connection_lost", "connection_lost"]:
        return f"of the end of a child its protocol is told {seen}"


async def answered(answer):
    """What a client of a server that answers so reads to the end."""

    async def serve(_reader, writer):
        await answer(writer)
        await asyncio.sleep(5)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname())
    return await reader.read()


def check_write_eof_of_a_server(new_loop):
    async def answer(writer):
        writer.write(b"bye")
        writer.write_eof()

    got = ended(new_loop(), answered(answer))
    if got != b"bye":
        return f"a server's write_eof() is not seen by its client: {got}"


def check_name_of_a_client(new_loop):
    async def main():
        name = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda _, writer: name.set_result(writer.get_extra_info("peername")), "127.0.0.1", 0
        )
        with socket.create_connection(server.sockets[0].getsockname()):
            return await name

    if not isinstance(ended(new_loop(), main()), tuple):
        return 'get_extra_info("peername") of a server\'s client is None'


def check_is_serving(new_loop):
    async def main():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        return server.is_serving()

    if ended(new_loop(), main()) is not True:
        return "is_serving() of a server that serves is false"


def check_cancelled_serve_forever(new_loop):
    async def main():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        task = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    if ended(new_loop(), main()) is not True:
        return "serve_forever() swallows its cancellation"


def check_memory_of_closed_loops(new_loop):
    def used():
        with open("/proc/self/statm") as status:
            return int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

    before, loops = used(), []
    for _ in range(4):
        loops.append(new_loop())
        loops[-1].run_until_complete(asyncio.sleep(0))
        loops[-1].close()
    if used() - before > 40:
        return f"four loops that are closed, and not collected yet, hold {used() - before} MiB of memory"


def check_cancelled_job(new_loop):
    async def main():
        loop.run_in_executor(None, time.sleep, 0.1).cancel()
        await asyncio.sleep(0.3)

    loop, errors = new_loop(), []
    loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    loop.run_until_complete(main())
    if errors:
        return f"a job of the executor is cancelled while it runs: {errors}"


def check_closed_in_a_forked_child(new_loop):
    loop, seen = new_loop(), []

    class Log(asyncio.Protocol):
        def data_received(self, data):
            seen.append(data)

    ours, peer = socket.socketpair()
    ours.setblocking(False)
    loop.run_until_complete(loop.create_unix_connection(Log, sock=ours))
    if os.fork() == 0:
        loop.close()
        os._exit(0)
    os.wait()
    peer.send(b"hello")
    loop.run_until_complete(asyncio.sleep(0.3))
    if not seen:
        return "when a forked child has closed the loop, a connection of its parent is given no data"


def check_cancelled_error_of_a_protocol(new_loop):
    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: None)

    class Raising(asyncio.Protocol):
        def data_received(self, data):
            raise asyncio.CancelledError

    ours, peer = socket.socketpair()
    ours.setblocking(False)
    loop.run_until_complete(loop.create_unix_connection(Raising, sock=ours))
    peer.send(b"hello")
    try:
        loop.run_until_complete(asyncio.sleep(0.3))
    except asyncio.CancelledError:
        return "a CancelledError that data_received() raises leaves the run"


def check_raising_exception_handler(new_loop):
    loop = new_loop()

    def handler(loop, context):
        raise ValueError("in the handler")

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    if ended(loop, asyncio.sleep(0.01)) is ValueError:
        return "what an exception handler raises leaves the run"


class Exits(BaseException):
    """Raised by a job."""


def check_job_that_raises_no_exception(new_loop):
    loop = new_loop()

    def job():
        time.sleep(0.1)
        raise Exits

    try:
        ended(loop, loop.run_in_executor(None, job), 1)
    except Exits:
        return None
    return "the future of a job that raises what is no Exception is never done"


def check_serve_forever_of_a_server_that_is_closed(new_loop):
    loop = new_loop()

    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0.01)
        server.close()
        return bool((await asyncio.wait([serving], timeout=0.5))[1])

    if loop.run_until_complete(main()):
        return "close() of a server does not end serve_forever()"


def check_unix_server_of_a_bound_socket(new_loop):
    loop, sock = new_loop(), socket.socket(socket.AF_UNIX)
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as client:
        sock.bind(f"{directory}/s")
        loop.run_until_complete(loop.create_unix_server(asyncio.Protocol, sock=sock))
        try:
            client.connect(f"{directory}/s")
        except ConnectionRefusedError:
            return "create_unix_server(sock=) does not listen on the socket"


def check_abstract_name(new_loop):
    loop = new_loop()
    made = ended(loop, loop.create_unix_server(asyncio.Protocol, f"\0uringcore-{os.getpid()}"))
    if isinstance(made, type):
        return f"create_unix_server() at an abstract name raises {made.__name__}"


def check_failed_unix_connections(new_loop):
    loop, errors = new_loop(), []
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        try:
            loop.run_until_complete(loop.create_unix_connection(asyncio.Protocol, "/nowhere/at/all"))
        except OSError as error:
            errors.append(error)
    left = len(os.listdir("/proc/self/fd")) - before
    if left:
        return f"five create_unix_connection() that failed leave {left} fds open while their exceptions are kept"


def check_aborted_connection_is_freed(new_loop):
    loop = new_loop()

    class Log(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

    ours, _peer = socket.socketpair()
    ours.setblocking(False)
    _, log = loop.run_until_complete(loop.create_unix_connection(Log, sock=ours))
    log.transport.abort()
    loop.run_until_complete(asyncio.sleep(0.1))
    reference = weakref.ref(log)
    del log, ours
    gc.collect()
    if reference() is not None:
        return "the protocol of a connection that was aborted is never freed"


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
