"""What a loop is told, what it says of itself, and options of servers, connections and children.

    python check_settings.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import array
import asyncio
import contextlib
import ctypes
import gc
import importlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref

HERE = "127.0.0.1"


class Log(asyncio.Protocol):
    """Notes what it is told; hooks are called with it."""

    def __init__(self, **hooks):
        self.events, self.data, self.hooks = [], b"", hooks

    def told(self, name):
        self.events.append(name)
        if name in self.hooks:
            self.hooks[name](self)

    def connection_made(self, transport):
        self.transport = transport
        self.told("made")

    def data_received(self, data):
        self.data += data
        self.told("data")

    def pause_writing(self):
        self.told("pause")

    def resume_writing(self):
        self.told("resume")

    def connection_lost(self, error):
        self.told("lost")


def run_for(loop, seconds=0.05):
    loop.run_until_complete(asyncio.sleep(seconds))


def refused(errors, call):
    """Does the call raise one of these?"""
    try:
        call()
    except errors:
        return True
    return False


def tcp_pair():
    with socket.create_server((HERE, 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        ours.setblocking(False)
        peer = listener.accept()[0]
    peer.settimeout(1)
    return ours, peer


def connect(loop, **hooks):
    """A protocol that is connected, and the other side."""
    ours, peer = tcp_pair()
    log = Log(**hooks)
    loop.run_until_complete(loop.create_connection(lambda: log, sock=ours))
    return log, peer


def check_settings_are_looked_at(loop):
    takers = [loop.set_exception_handler, loop.set_task_factory, loop.set_default_executor]
    taken = [taker.__name__ for taker in takers if not refused(TypeError, lambda taker=taker: taker("nonsense"))]
    return taken and f"what cannot be called is taken by {', '.join(taken)}"


def check_default_handler_of_a_subclass(loop):
    told = []
    space = {"default_exception_handler": lambda self, context: told.append(context)}
    made = type("Sub", (type(loop),), space)()
    made.call_soon(lambda: 1 / 0)
    run_for(made)
    return not told and "default_exception_handler() of a subclass is not called"


def check_context_of_a_callback(loop):
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    loop.call_soon(lambda: 1 / 0)
    run_for(loop)
    if not told:
        return "the exception handler is not called"
    return not told[0].get("handle") and f"whose exception it is is not told: {sorted(told[0])}"


def check_context_of_a_protocol(loop):
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    log, peer = connect(loop, data=lambda log: 1 / 0)
    peer.send(b"x")
    run_for(loop)
    if not told:
        return "the exception handler is not called"
    return not told[0].get("protocol") and f"whose exception it is is not told: {sorted(told[0])}"


def check_cancelled_after_it_ran(loop):
    handle = loop.call_soon(int)
    run_for(loop)
    handle.cancel()
    return not handle.cancelled() and "cancelled() is false after cancel(), of a handle that has run"


def check_what_never_ran_is_let_go(loop):
    class Given:
        def run(self):
            pass

    given = Given()
    given.handle = loop.call_soon(given.run)
    reference = weakref.ref(given)
    del given
    loop.close()
    gc.collect()
    return reference() is not None and "a closed loop holds a callback that never ran and that knows its handle"


def check_executable_of_a_child(loop):
    async def main():
        child = await asyncio.create_subprocess_exec("name", "-c", "exit 3", executable="/bin/sh")
        return await child.wait()

    try:
        return loop.run_until_complete(main()) != 3 and "executable= is ignored"
    except TypeError as error:
        return f"executable= raises TypeError: {error}"


def check_recv_into_numbers(loop):
    left, right = socket.socketpair()
    left.setblocking(False)
    numbers = array.array("H", [0, 0])

    async def main():
        loop.call_later(0.02, right.send, b"abcd")
        return await loop.sock_recv_into(left, numbers)

    try:
        return loop.run_until_complete(main()) != 4 and "something else arrived"
    except (BufferError, TypeError, ValueError) as error:
        return f"sock_recv_into(array of numbers) raises {error!r}"


def check_start_serving_again(loop):
    async def main():
        server = await loop.create_server(asyncio.Protocol, HERE, 0)
        try:
            for _ in range(3):
                await server.start_serving()
        except RuntimeError as error:
            return f"start_serving() of a server that serves: {str(error).splitlines()[0]}"

    return loop.run_until_complete(main())


def check_three_who_wait_for_a_child(loop):
    async def main():
        child = await asyncio.create_subprocess_exec("/bin/sh", "-c", "read x; exit 4", stdin=subprocess.PIPE)
        waiters = [asyncio.ensure_future(child.wait()) for _ in range(3)]
        await asyncio.sleep(0.02)
        waiters[0].cancel()
        child.stdin.write(b"x\n")
        done, _ = await asyncio.wait(waiters[1:], timeout=1)
        told = sum(waiter.exception() is None for waiter in done)
        return told != 2 and f"one of three who wait for a child is cancelled: of the others {told} are told its status"

    return loop.run_until_complete(main())


def check_options_of_tls_without_it(loop):
    ours, _ = tcp_pair()

    def connects():
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours, ssl_handshake_timeout=1.0))

    return not refused(ValueError, connects) and "ssl_handshake_timeout= without ssl= is taken"


def check_ssl_is_false(loop):
    with socket.create_server((HERE, 0)) as listener:
        try:
            loop.run_until_complete(loop.create_connection(asyncio.Protocol, *listener.getsockname(), ssl=False))
        except (AttributeError, TypeError) as error:
            return f"ssl=False raises {error!r}"


def check_blocking_socket(loop):
    ours, _ = tcp_pair()
    ours.setblocking(True)
    copy = ours.dup()
    loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours))
    return os.get_blocking(copy.fileno()) and "a blocking socket that is given stays blocking"


def check_sender_on_a_unix_socket(loop):
    class Told(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            got.append(addr)

    got = []
    with tempfile.TemporaryDirectory() as folder:
        ours, other = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        ours.bind(f"{folder}/ours")
        other.bind(f"{folder}/other")
        transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(Told, sock=ours))
        try:
            transport.sendto(b"there", f"{folder}/other")
        except TypeError as error:
            return f"sendto(data, path) raises TypeError: {str(error).splitlines()[0]}"
        other.sendto(b"back", f"{folder}/ours")
        run_for(loop)
        return got != [f"{folder}/other"] and f"the sender's path is told as {got}"


def check_writing_after_resume_raised(loop):
    def fails(log):
        raise ValueError("planted")

    log, peer = connect(loop, resume=fails)
    loop.set_exception_handler(lambda loop, context: None)
    received, much = bytearray(), bytes(4 << 20)

    def read():
        with contextlib.suppress(OSError):
            while data := peer.recv(1 << 20):
                received.extend(data)

    log.transport.write(much)
    reader = threading.Thread(target=read)
    reader.start()
    while "resume" not in log.events:
        run_for(loop, 0.01)
    log.transport.write(b"after")
    log.transport.write(much)
    run_for(loop, 0.5)
    log.transport.close()
    run_for(loop, 0.3)
    reader.join()
    return len(received) < 2 * len(much) + 5 and f"{len(received)} of {2 * len(much) + 5} bytes arrive"


def served_at(loop, host, target):
    """Is a server that was asked for at this host reached there?"""
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
    loop.run_until_complete(loop.create_server(asyncio.Protocol, host, port))
    try:
        socket.create_connection((target, port), 1).close()
    except OSError:
        return False
    return True


def check_both_families(loop):
    return not served_at(loop, None, "::1") and "create_server(host=None) does not listen at ::1"


def check_ipv6_leaves_the_ipv4_port(loop):
    server = loop.run_until_complete(loop.create_server(asyncio.Protocol, "::", 0))
    sock = server.sockets[0]
    return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) and "a server at :: takes the IPv4 port as well"


def check_second_serve_forever(loop):
    async def main():
        server = await loop.create_server(asyncio.Protocol, HERE, 0)
        tasks = [asyncio.ensure_future(server.serve_forever()) for _ in range(2)]
        done, _ = await asyncio.wait(tasks[1:], timeout=0.5)
        return not done and "a second serve_forever() is taken"

    return loop.run_until_complete(main())


def check_generator_that_fails_to_close(loop):
    async def numbers():
        try:
            yield 1
        finally:
            raise ValueError("planted")

    async def main():
        kept = numbers()
        await kept.__anext__()
        await loop.shutdown_asyncgens()
        return kept

    loop.set_exception_handler(lambda loop, context: None)
    try:
        loop.run_until_complete(main())
    except TypeError as error:
        return f"the exception handler is called in another way: {error}"


def check_signal_handler_in_another_thread(loop):
    taken = []

    def work():
        made = type(loop)()

        def add():
            with contextlib.suppress(RuntimeError, ValueError):
                made.add_signal_handler(signal.SIGUSR1, int)
                taken.append(1)
            made.stop()

        made.call_soon(add)
        made.run_forever()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return taken and "add_signal_handler() outside the main thread is taken"


def check_coroutine_as_signal_handler(loop):
    async def handler():
        pass

    return not refused(TypeError, lambda: loop.add_signal_handler(signal.SIGUSR1, handler)) and (
        "a coroutine function is taken as a signal handler"
    )


def check_system_calls_go_on(loop):
    read = ctypes.CDLL(None, use_errno=True).read
    read_end, write_end = os.pipe()
    counts = []
    main_thread = threading.get_ident()

    def work():
        time.sleep(0.05)
        signal.pthread_kill(main_thread, signal.SIGUSR1)
        time.sleep(0.05)
        os.write(write_end, b"x")

    def blocks():
        threading.Thread(target=work).start()
        counts.append(read(read_end, ctypes.create_string_buffer(8), 8))

    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.call_soon(blocks)
    run_for(loop)
    return counts != [1] and f"a signal that has a handler cuts read(2) of other code short: it returns {counts[0]}"


def is_signal_served(loop):
    calls = []
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.add_signal_handler(signal.SIGUSR1, calls.append, 1)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    for delay in (0.01, 0.2):
        if not calls:
            loop.call_later(delay, loop.stop)
            loop.run_forever()
    return bool(calls)


def check_signals_are_served(loop):
    """In processes of their own, each in the second run of its loop, while the processors are busy."""
    busy = [sys.executable, "-c", "import time; end = time.time() + 5\nwhile time.time() < end: pass"]
    others = [subprocess.Popen(busy) for _ in range(2 * (os.cpu_count() or 1))]
    os.nice(5)
    sent, missed, end = 0, 0, time.monotonic() + 4
    while sent < 200 and time.monotonic() < end:
        child = os.fork()
        if child == 0:
            os._exit(0 if is_signal_served(type(loop)()) else 1)
        sent += 1
        missed += os.waitpid(child, 0)[1] != 0
    for other in others:
        other.kill()
    return missed and f"of {sent} signals {missed} are lost"


def check_sock_connect_to_a_name(loop):
    async def main(address):
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except (RuntimeError, ValueError, TypeError) as error:
            return f"sock_connect() to a host's name raises {error!r}"

    with socket.create_server((HERE, 0)) as listener:
        return loop.run_until_complete(main(("localhost", listener.getsockname()[1])))


def check_size_after_abort(loop):
    log, peer = connect(loop)
    log.transport.write(bytes(8 << 20))
    run_for(loop)
    log.transport.abort()
    run_for(loop)
    size = log.transport.get_write_buffer_size()
    return size and f"get_write_buffer_size() is {size} after abort() and connection_lost()"


def check_no_delay(loop):
    log, _ = connect(loop)
    sock = log.transport.get_extra_info("socket")
    return not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) and "TCP_NODELAY is off"


def check_negative_marks(loop):
    log, _ = connect(loop)
    for marks in ({"high": -1}, {"low": -1}):
        try:
            log.transport.set_write_buffer_limits(**marks)
        except ValueError:
            continue
        except OverflowError as error:
            return f"{marks} raises {error!r}"
        return f"{marks} is taken"


CHECKS = {name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")}
SECONDS_MAX = 8  # of a check


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
