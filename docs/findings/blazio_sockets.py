"""blazio: sock_* and connecting: errors without errno, UNIX sockets, lost bytes, leaked fds.

    python blazio_sockets.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import errno
import gc
import importlib
import io
import multiprocessing
import os
import socket
import ssl
import sys
import tempfile
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


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        ours.setblocking(False)
        return ours, listener.accept()[0]


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


def count_fds():
    return len(os.listdir("/proc/self/fd"))


def check_errno_of_a_refusal(new_loop):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    loop = new_loop()
    try:
        loop.run_until_complete(loop.create_connection(Log, *address))
    except OSError as error:
        if error.errno != errno.ECONNREFUSED:
            return f"a refused connection raises {error!r} with errno {error.errno}"


def check_errno_of_sock_calls(new_loop):
    loop, seen = new_loop(), {}
    unconnected = socket.socket()
    unconnected.setblocking(False)
    calls = {"sock_recv": lambda: loop.sock_recv(unconnected, 9), "sock_accept": lambda: loop.sock_accept(unconnected)}
    for name, call in calls.items():
        try:
            loop.run_until_complete(asyncio.wait_for(call(), 0.5))
        except OSError as error:
            seen[name] = error.errno
    if None in seen.values():
        return (
            f"errors without errno: {', '.join(name for name in seen if seen[name] is None)} of an unconnected socket"
        )


def check_unix_sock_connect(new_loop):
    loop, name = new_loop(), os.path.join(tempfile.mkdtemp(), "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen()
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        loop.run_until_complete(loop.sock_connect(client, name))
    except Exception as error:
        return f"sock_connect() of a UNIX socket raises {error!r}"


def check_cancelled_recv_loses_bytes(new_loop):
    async def main():
        ours, peer = tcp_pair()
        first = asyncio.ensure_future(loop.sock_recv(ours, 9))
        await asyncio.sleep(0.01)
        peer.send(b"x")
        time.sleep(0.01)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await first
        return await asyncio.wait_for(loop.sock_recv(ours, 9), 0.5)

    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except asyncio.TimeoutError:
        return "a sock_recv() that is cancelled as the data comes takes them along"


def check_recv_behind_a_cancelled_one(new_loop):
    async def main(delay):
        ours, peer = tcp_pair()
        first = asyncio.ensure_future(loop.sock_recv(ours, 1))
        await asyncio.sleep(delay)
        first.cancel()
        second = asyncio.ensure_future(loop.sock_recv(ours, 1))
        peer.send(b"hello")
        return await asyncio.wait_for(second, 0.5)

    loop = new_loop()
    got = [loop.run_until_complete(main(delay)) for delay in (0, 0.01)]
    if got != [b"h", b"h"]:
        return (
            f"of b'hello' a sock_recv(1) behind one that was cancelled gets {' or '.join(map(repr, sorted(set(got))))}"
        )


def check_cancelled_accept_drops_the_client(new_loop):
    async def main():
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        first = asyncio.ensure_future(loop.sock_accept(listener))
        await asyncio.sleep(0.01)
        client = socket.create_connection(listener.getsockname())
        time.sleep(0.01)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
            return None
        await asyncio.wait_for(loop.sock_accept(listener), 0.5)
        client.close()

    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except asyncio.TimeoutError:
        return "a sock_accept() that is cancelled as the client comes takes it along"


def check_cancelled_connection_leaks(new_loop):
    async def hang(count):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = []
        for _ in range(4):  # more than the backlog takes, so that the next one waits
            held.append(socket.socket())
            held[-1].setblocking(False)
            held[-1].connect_ex(listener.getsockname())
        for _ in range(count):
            connecting = asyncio.ensure_future(loop.create_connection(Log, *listener.getsockname()))
            await asyncio.sleep(0.01)
            connecting.cancel()
            await asyncio.wait({connecting})
        await asyncio.sleep(0.05)

    loop = new_loop()
    loop.run_until_complete(hang(1))
    gc.collect()
    before = count_fds()
    loop.run_until_complete(hang(5))
    gc.collect()
    if count_fds() - before >= 5:
        return f"5 cancelled create_connection() leave {count_fds() - before} fds"


def check_sendfile_without_a_number(new_loop):
    async def main():
        ours, peer = tcp_pair()
        await loop.sock_sendfile(ours, io.BytesIO(b"hello"))
        return peer.recv(9)

    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except Exception as error:
        return f"sock_sendfile() of a file without a descriptor raises {error!r} instead of falling back"


def check_position_after_sendfile(new_loop):
    async def main():
        ours, peer = tcp_pair()
        with tempfile.TemporaryFile() as file:
            file.write(bytes(1000))
            file.flush()
            await loop.sock_sendfile(ours, file, 100, 500)
            return file.tell()

    loop = new_loop()
    try:
        position = loop.run_until_complete(main())
    except NotImplementedError as error:
        return repr(error)
    if position != 600:
        return f"sock_sendfile(offset=100, count=500) leaves the file at {position} instead of 600"


def check_tls_socket(new_loop):
    loop = new_loop()
    ours, peer = tcp_pair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    wrapped = context.wrap_socket(ours, do_handshake_on_connect=False)
    try:
        loop.run_until_complete(asyncio.wait_for(loop.sock_recv(wrapped, 9), 0.1))
    except TypeError:
        return None
    except asyncio.TimeoutError:
        pass
    return "sock_recv() takes a TLS socket, and would read what is encrypted"


def check_accepted_socket_blocks(new_loop):
    async def main():
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        client = socket.create_connection(listener.getsockname())
        accepted, _ = await loop.sock_accept(listener)
        client.close()
        return accepted.gettimeout()

    loop = new_loop()
    timeout = loop.run_until_complete(main())
    if timeout != 0:
        return f"the socket that sock_accept() returns is blocking (gettimeout() is {timeout})"


def check_port_that_is_too_large(new_loop):
    loop = new_loop()
    try:
        found = loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 2**31, type=socket.SOCK_STREAM))
    except OSError:
        return None
    except Exception as error:
        return f"getaddrinfo() of port 2**31 raises {error!r}"
    return f"getaddrinfo() of port 2**31 gives {found[0][4]}"


def check_protocol_number(new_loop):
    loop = new_loop()
    found = loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM))
    if list(found) != socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM):
        return f"getaddrinfo() gives {found}, unlike socket.getaddrinfo()"


def check_all_errors(new_loop):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    if sys.version_info < (3, 12):
        return None
    loop = new_loop()
    try:
        loop.run_until_complete(loop.create_connection(Log, *address, all_errors=True))
    except Exception as error:
        if type(error).__name__ != "ExceptionGroup":
            return f"all_errors=True: {error!r} instead of an ExceptionGroup"


def check_receive_of_nothing(new_loop):
    loop = new_loop()
    ours, peer = tcp_pair()
    peer.send(b"x")
    try:
        data = loop.run_until_complete(asyncio.wait_for(loop.sock_recv(ours, 0), 1))
    except OSError as error:
        return f"sock_recv(sock, 0) raises {error!r}"
    if data != b"":
        return f"sock_recv(sock, 0) returns {data!r}"


def check_name_beside_the_loop(new_loop):
    going, plain, ran = threading.Event(), socket.getaddrinfo, []

    def slow(*args, **options):
        ran.append(going.wait(1))
        return plain(*args, **options)

    async def main(address):
        loop.call_soon(going.set)
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, address)

    loop, socket.getaddrinfo = new_loop(), slow
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop.run_until_complete(main(("localhost", listener.getsockname()[1])))
    if not all(ran):
        return "no callback runs while sock_connect() looks a name up"


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
