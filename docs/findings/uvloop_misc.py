"""uvloop: what is known of it, one check each.

    python uvloop_misc.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import errno
import gc
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading


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


def check_stop_finishes_the_batch(new_loop):
    loop, ran = new_loop(), []
    loop.call_soon(loop.stop)
    loop.call_soon(loop.call_soon, ran.append, 1)
    loop.run_forever()
    if ran:
        return "what a callback asks for after stop() in the same batch runs before the run returns"


def check_reader_after_an_error(new_loop):
    async def main():
        closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
        closed.close()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        sock.connect(address)
        calls = []

        def ready():
            with contextlib.suppress(BlockingIOError):
                try:
                    calls.append(sock.recv(9))
                except ConnectionRefusedError as error:
                    calls.append(error)

        loop.add_reader(sock.fileno(), ready)
        sock.send(b"x")
        await asyncio.sleep(0.05)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(address)
        peer.sendto(b"data", sock.getsockname())
        await asyncio.sleep(0.05)
        return calls

    loop = new_loop()
    calls = loop.run_until_complete(main())
    if calls[-1:] != [b"data"]:
        return f"a reader whose socket reported an error once is never called again: {calls}"


def check_signal_handlers_after_close(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    run_for(loop, 0.01)
    loop.close()
    if signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL:
        return f"after close() the handler of SIGUSR1 is {signal.getsignal(signal.SIGUSR1)}"


def check_remove_signal_handler_between_runs(new_loop):
    loop = new_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    run_for(loop, 0.01)
    if not loop.remove_signal_handler(signal.SIGUSR1):
        return "remove_signal_handler() while the loop does not run returns False and removes nothing"


def check_abstract_unix_address(new_loop):
    loop, name = new_loop(), f"\0findings-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen()
    try:
        loop.run_until_complete(loop.create_unix_connection(Log, name))
    except OSError as error:
        return f"create_unix_connection() to an abstract address raises {error!r}"


def check_datagrams_of_sock(new_loop):
    async def main():
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        peer.send(b"x")
        return await loop.sock_recvfrom(ours, 9)

    if sys.version_info < (3, 11):
        return None
    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except NotImplementedError as error:
        return f"sock_recvfrom() raises {error!r}"


def check_early_timer(new_loop):
    loop, early = new_loop(), []

    def fired(when):
        early.append(when - loop.time())

    async def main():
        for number in range(50):
            when = loop.time() + 0.001 + number / 37000
            loop.call_at(when, fired, when)
            await asyncio.sleep(0.003)

    loop.run_until_complete(main())
    if max(early) > 0.0001:
        return f"a timer fires {max(early) * 1000:.2f} ms before its deadline, on the loop's own clock"


def check_timer_of_zero(new_loop):
    handle = new_loop().call_later(0, print)
    if not hasattr(handle, "when"):
        return f"call_later(0, ...) returns {type(handle)}, which has no when()"


def check_blocking_mode_of_a_watched_fd(new_loop):
    loop = new_loop()
    reader, writer = os.pipe()
    loop.add_reader(reader, print)
    run_for(loop, 0.01)
    loop.remove_reader(reader)
    if not os.get_blocking(reader):
        return "add_reader() makes the fd non-blocking, and remove_reader() leaves it so"


def check_result_of_remove_reader(new_loop):
    loop = new_loop()
    reader, writer = os.pipe()
    loop.add_reader(reader, print)
    if loop.remove_reader(reader) is not True or loop.remove_reader(reader) is not False:
        return "remove_reader() does not say whether it removed anything"


def check_replaced_reader_whose_finaliser_removes(new_loop):
    loop = new_loop()
    reader, writer = os.pipe()

    class Remover:
        def __call__(self):
            pass

        def __del__(self):
            loop.remove_reader(reader)

    loop.add_reader(reader, Remover())
    loop.add_reader(reader, int)
    for _ in range(10):
        loop.remove_reader(reader)
        loop.add_reader(reader, int)
    run_for(loop, 0.02)


def check_pipe_closed_by_a_living_child(new_loop):
    async def main():
        process = await asyncio.create_subprocess_exec("sh", "-c", "exec >&-; sleep 2", stdout=-1)
        try:
            await asyncio.wait_for(process.stdout.read(), 1)
        except asyncio.TimeoutError:
            return "a child closes its output and lives on: the end of file is not seen before it ends"
        finally:
            process.kill()
            await process.wait()

    loop = new_loop()
    return loop.run_until_complete(main())


def check_is_closing_of_a_subprocess(new_loop):
    async def main():
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "600")
        transport.close()
        return transport.is_closing()

    loop = new_loop()
    if not loop.run_until_complete(main()):
        return "is_closing() of a subprocess transport is False after close()"


def check_standard_input_is_no_pipe(new_loop):
    async def main():
        process = await asyncio.create_subprocess_exec("sh", "-c", "cat /dev/stdin", stdin=-1, stdout=-1, stderr=-1)
        return await process.communicate(b"hello")

    loop = new_loop()
    output, errors = loop.run_until_complete(main())
    if output != b"hello":
        return f"a child cannot open /dev/stdin: {errors.decode().strip()}"


def check_inherited_fds(new_loop):
    async def main():
        process = await asyncio.create_subprocess_exec("sh", "-c", f"test -e /proc/self/fd/{fd}")
        return await process.wait()

    loop = new_loop()
    fd = os.dup(0)
    os.set_inheritable(fd, True)
    if loop.run_until_complete(main()) == 0:
        return "a child inherits an fd that is not in pass_fds, though close_fds is true by default"


def check_scope_of_an_address(new_loop):
    loop = new_loop()
    found = loop.run_until_complete(loop.getaddrinfo("fe80::1%lo", 80, type=socket.SOCK_STREAM))
    if found[0][4][3] != socket.if_nametoindex("lo"):
        return f"getaddrinfo('fe80::1%lo') drops the scope: {found[0][4]}"


def check_scope_of_sock_connect(new_loop):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        loop = new_loop()
        loop.run_until_complete(loop.sock_connect(sock, ("fe80::1", 9, 0, socket.if_nametoindex("lo"))))
    except OSError as error:
        return repr(error) if error.errno == errno.EINVAL else None


def check_happy_eyeballs(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        loop.run_until_complete(loop.create_connection(Log, *listener.getsockname(), happy_eyeballs_delay=0.1))
    except TypeError as error:
        return repr(error)


def check_write_eof_of_a_pipe(new_loop):
    loop, protocol = new_loop(), Log()
    reader, writer = os.pipe()
    transport, _ = loop.run_until_complete(loop.connect_write_pipe(lambda: protocol, os.fdopen(writer, "wb", 0)))
    transport.write(b"x")
    transport.write_eof()
    run_for(loop, 0.05)
    if protocol.error is not None:
        return f"write_eof() of a pipe ends in connection_lost({protocol.error!r})"


def check_reader_of_a_pipe_goes(new_loop):
    loop, protocol = new_loop(), Log()
    reader, writer = os.pipe()
    transport, _ = loop.run_until_complete(loop.connect_write_pipe(lambda: protocol, os.fdopen(writer, "wb", 0)))
    os.close(reader)
    run_for(loop, 0.05)
    if "eof" in protocol.events:
        return "the protocol of a write pipe is told eof_received() when its reader goes"


def check_file_as_a_pipe(new_loop):
    loop = new_loop()
    file = tempfile.TemporaryFile(buffering=0)
    if not raises((ValueError, OSError), lambda: loop.run_until_complete(loop.connect_read_pipe(Log, file))):
        return "connect_read_pipe() takes a plain file"


def check_coroutine_as_a_callback(new_loop):
    async def coroutine():
        pass

    loop = new_loop()
    loop.set_debug(True)
    if not raises(TypeError, lambda: loop.call_soon(coroutine)):
        return "call_soon() takes a coroutine function in debug mode"


def check_writelines_that_raises(new_loop):
    def pieces():
        yield b"one"
        raise ZeroDivisionError("planted")

    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    raises(ZeroDivisionError, lambda: transport.writelines(pieces()))
    transport.close()
    run_for(loop, 0.1)
    if "lost" not in protocol.events:
        return "after the iterator of writelines() raised, close() never comes to connection_lost()"


def check_buffers_of_a_failed_writelines(new_loop):
    loop = new_loop()
    transport, peer = connect(loop, Log())
    space = bytearray(b"data")
    raises(TypeError, lambda: transport.writelines([space, object()]))
    run_for(loop, 0.01)
    gc.collect()
    try:
        space.append(1)
    except BufferError:
        return "a writelines() that raised keeps the buffers of the pieces before"


def check_child_closes_the_loop(new_loop):
    loop, calls = new_loop(), []
    ours, peer = tcp_pair()
    loop.add_reader(ours.fileno(), lambda: (calls.append(1), loop.remove_reader(ours.fileno())))
    run_for(loop, 0.01)
    child = os.fork()
    if child == 0:
        loop.close()
        os._exit(0)
    os.waitpid(child, 0)
    peer.send(b"x")
    run_for(loop, 0.05)
    if not calls:
        return "close() of the inherited loop in a forked child makes the watchers of its parent deaf"


def check_plain_signal_handler_that_raises(new_loop):
    class Alarm(Exception):
        pass

    def handler(*_):
        raise Alarm

    loop = new_loop()
    listen_to_errors(loop)
    signal.signal(signal.SIGUSR1, handler)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    if not raises(Alarm, lambda: run_for(loop, 1)):
        return "what a handler of signal.signal() raises does not leave the run"


def check_eager_tasks(new_loop):
    async def main():
        loop.set_task_factory(asyncio.eager_task_factory)
        await loop.create_task(asyncio.sleep(0))

    if sys.version_info < (3, 12):
        return None
    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except TypeError as error:
        return f"create_task() with asyncio.eager_task_factory: {error!r}"


def check_dropped_unix_server(new_loop):
    class Greets(Log):
        def connection_made(self, transport):
            transport.write(b"hello")

    async def main():
        name = os.path.join(tempfile.mkdtemp(), "socket")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(name)
        server = await loop.create_unix_server(Greets, sock=listener)
        del server, listener
        gc.collect()
        await asyncio.sleep(0.01)
        gc.collect()
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        await loop.sock_connect(client, name)
        return await asyncio.wait_for(loop.sock_recv(client, 9), 0.5)

    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except (OSError, asyncio.TimeoutError) as error:
        return f"a UNIX server whose object was dropped serves no more: {error!r}"


def check_abort_of_waiting_datagrams(new_loop):
    loop = new_loop()
    errors = listen_to_errors(loop)
    name = os.path.join(tempfile.mkdtemp(), "socket")
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(name)
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.connect(name)
    transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours))
    for _ in range(100):
        transport.sendto(bytes(1000))
    transport.abort()
    run_for(loop, 0.05)
    if errors:
        return f"abort() with datagrams that wait calls the exception handler: {errors[0].get('exception')!r}"


def check_somebody_else_waits(new_loop):
    class Child(asyncio.SubprocessProtocol):
        is_over = False

        def connection_lost(self, error):
            self.is_over = True

    async def main():
        transport, child = await loop.subprocess_exec(Child, "sleep", "0.1", stdin=None, stdout=None, stderr=None)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(transport.get_pid(), 0)
        await asyncio.sleep(0.3)
        return child.is_over

    loop = new_loop()
    if not loop.run_until_complete(main()):
        return "the end of a child whose status somebody else took is never told"


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
