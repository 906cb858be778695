"""blazio: servers: a raising factory, a lack of fds, several hosts, options that are ignored.

    python blazio_servers.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import gc
import importlib
import multiprocessing
import os
import resource
import socket
import sys


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


async def ask(loop, address):
    """A client that connects; what the server's protocol said first."""
    client = socket.socket()
    client.setblocking(False)
    try:
        await loop.sock_connect(client, address)
        return await asyncio.wait_for(loop.sock_recv(client, 9), 0.5)
    except (OSError, asyncio.TimeoutError) as error:
        return error
    finally:
        client.close()


class Greets(Log):
    def connection_made(self, transport):
        transport.write(b"hello")


def check_raising_factory(new_loop):
    factories = [Greets, lambda: 1 // 0]

    async def main():
        server = await loop.create_server(lambda: factories.pop()(), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        await ask(loop, address)
        return await ask(loop, address)

    loop = new_loop()
    listen_to_errors(loop)
    answer = loop.run_until_complete(main())
    if answer != b"hello":
        return f"after a protocol factory raised, the next client gets {answer!r}"


def check_several_hosts(new_loop):
    loop = new_loop()
    try:
        server = loop.run_until_complete(loop.create_server(Log, ["127.0.0.1", "127.0.0.2"], 0))
    except Exception as error:
        return f"create_server() with a list of hosts raises {error!r}"
    if len(server.sockets) != 2:
        return f"create_server() with two hosts makes {len(server.sockets)} sockets"


def check_unknown_option(new_loop):
    loop = new_loop()
    taken = []
    if not raises(TypeError, lambda: loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0, no_such=1))):
        taken.append("create_server")
    listener = socket.create_server(("127.0.0.1", 0))
    options = {"no_such": 1}
    if not raises(
        TypeError, lambda: loop.run_until_complete(loop.create_connection(Log, *listener.getsockname(), **options))
    ):
        taken.append("create_connection")
    if taken:
        return f"an option that does not exist is taken by {' and '.join(taken)}"


def check_keep_alive(new_loop):
    if sys.version_info < (3, 13):
        return None  # the option is new there
    loop = new_loop()
    try:
        server = loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0, keep_alive=True))
    except TypeError as error:
        return f"keep_alive=True: {error!r}"
    if not server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        return "keep_alive=True is ignored"


def check_serve_forever_of_a_closed_server(new_loop):
    loop = new_loop()
    server = loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0))
    server.close()
    try:
        loop.run_until_complete(asyncio.wait_for(server.serve_forever(), 0.1))
    except RuntimeError:
        return None
    except BaseException as error:
        return f"serve_forever() of a closed server raises {error!r} instead of RuntimeError"


def check_start_serving(new_loop):
    async def main():
        server = await loop.create_server(Greets, "127.0.0.1", 0, start_serving=False)
        listener = server.sockets[0]
        return await ask(loop, listener.getsockname()) == b"hello"

    loop = new_loop()
    if loop.run_until_complete(main()):
        return "a server made with start_serving=False serves at once"


def check_closed_loop_keeps_the_listener(new_loop):
    def serve():
        loop = new_loop()
        loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0))
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    serve()
    gc.collect()
    before = count_fds()
    for _ in range(5):
        serve()
    gc.collect()
    if count_fds() - before >= 5:
        return f"5 servers of loops that are closed and forgotten leave {count_fds() - before} fds"


def check_host_and_socket(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    if not raises(ValueError, lambda: loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0, sock=listener))):
        return "create_server() takes a host and a socket at once"


def check_datagram_socket(new_loop):
    loop = new_loop()
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if not raises((ValueError, OSError), lambda: loop.run_until_complete(loop.create_server(Log, sock=datagram))):
        return "create_server() takes a datagram socket"


def check_lack_of_fds(new_loop):
    async def main():
        server = await loop.create_server(Greets, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        early, held = socket.socket(), []
        early.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        early.connect_ex(address)
        await asyncio.sleep(0.05)
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await asyncio.sleep(1.2)  # asyncio waits a second before it accepts again
        return await ask(loop, address)

    loop = new_loop()
    listen_to_errors(loop)
    answer = loop.run_until_complete(main())
    if answer != b"hello":
        return f"after accept() had no fd to be had for a while, the next client gets {answer!r}"


def check_cancelled_connect(new_loop):
    loop = new_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):

        async def main():
            connecting = asyncio.ensure_future(loop.create_connection(Log, *full.getsockname()))  # no room for it
            await asyncio.sleep(0.05)
            connecting.cancel()
            await asyncio.wait([connecting])
            return connecting

        before = len(os.listdir("/proc/self/fd"))
        _task = loop.run_until_complete(main())
        if len(os.listdir("/proc/self/fd")) > before:
            return (
                "a create_connection() that is cancelled while it connects keeps its socket as long as its task is kept"
            )


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
