"""Connecting, servers, TLS, and the sock_* calls.

    python check_connections.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextvars
import gc
import importlib
import logging
import os
import socket
import ssl
import subprocess
import sys
import weakref

NUMBER = contextvars.ContextVar("NUMBER", default="unset")


class Log(asyncio.Protocol):
    """Notes what it is told; `hooks` are called then."""

    def __init__(self, **hooks):
        self.events, self.data, self.error, self.hooks = [], b"", None, hooks

    def tell(self, event):
        self.events.append(event)
        if event in self.hooks:
            return self.hooks[event](self)

    def connection_made(self, transport):
        self.transport = transport
        self.tell("made")

    def data_received(self, data):
        self.data += data
        self.tell("data")

    def eof_received(self):
        return self.tell("eof")

    def pause_writing(self):
        self.tell("pause")

    def resume_writing(self):
        self.tell("resume")

    def connection_lost(self, error):
        self.error = error
        self.tell("lost")


def connect(loop, **hooks):
    """A protocol that is connected, and the blocking socket at the other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    ours.setblocking(False)
    peer.settimeout(0.5)
    log = Log(**hooks)
    loop.run_until_complete(loop.create_connection(lambda: log, sock=ours))
    return log, peer


def serve(loop, factory):
    """A server, and its address."""
    server = loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0))
    return server, server.sockets[0].getsockname()


def run_for(loop, seconds=0.05):
    loop.run_until_complete(asyncio.sleep(seconds))


def sees_the_end(peer):
    """Does the other side read all that there is, and then the end?"""
    try:
        while peer.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def planted(log):
    raise ZeroDivisionError("planted")


def check_close_of_a_given_socket(loop):
    ours, peer = socket.socketpair()
    peer.settimeout(0.5)
    log = Log()
    loop.run_until_complete(loop.create_connection(lambda: log, sock=ours))
    log.transport.close()
    run_for(loop)
    return not sees_the_end(peer) and "the socket given as sock= stays open, and the other side does not see the end"


def check_close_of_an_accepted_connection(loop):
    logs = []
    server, address = serve(loop, lambda: logs.append(Log()) or logs[-1])
    peer = socket.create_connection(address, 0.5)
    run_for(loop)
    logs.pop().transport.close()
    run_for(loop)
    gc.collect()
    return not sees_the_end(peer) and "a server that closes a connection leaves its client waiting for the end"


def check_connection_on_a_full_socket(loop):
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    try:
        while True:
            ours.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    opening = asyncio.wait_for(loop.create_connection(Log, sock=ours), 0.3)
    try:
        loop.run_until_complete(opening)
    except asyncio.TimeoutError:
        return "create_connection(sock=) waits until the socket has room to write"


def check_tls_of_a_client(loop):
    context = ssl.create_default_context()

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            options = {"ssl": context, "server_hostname": "example.org"}
            opening = asyncio.ensure_future(loop.create_connection(Log, *listener.getsockname(), **options))
            await asyncio.sleep(0.2)
            if opening.done():
                opening.result()[0].write(b"secret")
            peer = listener.accept()[0]
            opening.cancel()
            await asyncio.sleep(0.05)
            peer.settimeout(0.5)
            return peer.recv(100)

    sent = loop.run_until_complete(main())
    return sent[:1] != b"\x16" and f"with ssl= no handshake begins, and {sent!r} goes out in plain text"


def check_tls_of_a_server(loop):
    logs, context = [], ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    opening = loop.create_server(lambda: logs.append(Log()) or logs[-1], "127.0.0.1", 0, ssl=context)
    server = loop.run_until_complete(opening)
    peer = socket.create_connection(server.sockets[0].getsockname())
    peer.send(b"plain text")
    run_for(loop, 0.1)
    return any(log.data for log in logs) and "a server with ssl= takes plain text for its data"


def check_raise_in_a_client_of_a_server(loop):
    logs, told = [], []
    loop.set_exception_handler(lambda loop, context: told.append(context.get("exception")))
    server, address = serve(loop, lambda: logs.append(Log(made=planted)) or logs[-1])
    socket.create_connection(address)
    try:
        run_for(loop)
    except ZeroDivisionError:
        return "the exception of connection_made leaves run_until_complete()"


def check_raise_in_the_factory(loop):
    ours, peer = socket.socketpair()
    try:
        loop.run_until_complete(loop.create_connection(lambda: planted(None), sock=ours))
    except ZeroDivisionError:
        return None
    return "create_connection does not raise what the factory raises"


def check_server_close(loop):
    server, address = serve(loop, Log)
    server.close()
    loop.run_until_complete(server.wait_closed())
    run_for(loop)
    try:
        socket.create_connection(address, 1)
    except OSError:
        return None
    return "after close() and wait_closed() of a server its port is still open"


def check_connections_outlive_their_server(loop):
    logs = []
    server, address = serve(loop, lambda: logs.append(Log()) or logs[-1])
    peer = socket.create_connection(address)
    run_for(loop)
    server.close()
    peer.send(b"x")
    run_for(loop)
    return logs[0].data != b"x" and f"close() of the server ends its connections: {logs[0].events}"


def check_server_of_a_socket(loop):
    given = socket.create_server(("127.0.0.1", 0))
    loop.run_until_complete(loop.create_server(Log, sock=given))
    return given.fileno() < 0 and "create_server(sock=) takes the fd out of the socket that was given"


def check_server_of_a_socket_accepts(loop):
    given, logs = socket.create_server(("127.0.0.1", 0)), []
    address = given.getsockname()
    loop.run_until_complete(loop.create_server(lambda: logs.append(Log()) or logs[-1], sock=given))
    peer = socket.create_connection(address)
    run_for(loop)
    peer.close()
    return not logs and "a server made with sock= accepts nobody"


def check_context_of_a_protocol(loop):
    seen = set()
    NUMBER.set("the opener's")
    log, peer = connect(loop, data=lambda log: seen.add(NUMBER.get()))
    NUMBER.set("another")
    peer.send(b"x")
    run_for(loop)
    return seen != {"the opener's"} and f"the variable in data_received: {sorted(seen)}"


def check_context_of_a_server(loop):
    seen = []
    server, address = serve(loop, lambda: Log(data=lambda log: (seen.append(NUMBER.get()), NUMBER.set("mine"))))
    for _ in range(2):
        socket.create_connection(address).send(b"x")
        run_for(loop)
    return seen != ["unset", "unset"] and f"what one connection's protocol sets, the next one's sees: {seen}"


def check_create_connection_is_a_coroutine(loop):
    async def main():
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        try:
            await asyncio.create_task(loop.create_connection(Log, sock=ours))
        except TypeError as error:
            return f"create_task(loop.create_connection(...)): TypeError: {error}"

    return loop.run_until_complete(main())


def check_sock_accept_is_a_coroutine(loop):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            try:
                asyncio.create_task(loop.sock_accept(listener)).cancel()
            except TypeError as error:
                return f"create_task(loop.sock_accept(...)): TypeError: {error}"

    return loop.run_until_complete(main())


def check_sock_sendall_of_a_bytearray(loop):
    one, other = socket.socketpair()
    one.setblocking(False)
    try:
        loop.run_until_complete(loop.sock_sendall(one, bytearray(b"x")))
    except TypeError as error:
        return f"TypeError: {error}"


def check_class_of_errors(loop):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    sock = socket.socket()
    sock.setblocking(False)
    try:
        loop.run_until_complete(asyncio.wait_for(loop.sock_connect(sock, address), 2))
    except ConnectionRefusedError as error:
        return error.errno is None and "a refused connect has no errno"
    except (OSError, asyncio.TimeoutError) as error:
        return f"a refused connect raises {error!r}"


def check_names_after_the_end(loop):
    log, peer = connect(loop)
    names = log.transport.get_extra_info("peername")
    log.transport.close()
    run_for(loop)
    told = log.transport.get_extra_info("peername")
    return told != names and f"get_extra_info('peername') is {told} once the connection is closed"


def check_reuse_port(loop):
    server = loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0, reuse_port=True))
    port = server.sockets[0].getsockname()[1]
    try:
        loop.run_until_complete(loop.create_server(Log, "127.0.0.1", port, reuse_port=True))
    except OSError as error:
        return f"two servers that were asked for with reuse_port=True: {error}"


def check_server_closed_in_connection_made(loop):
    logs, refused = [], []

    def close(log):
        try:
            server.close()
        except RuntimeError as error:
            refused.append(error)

    server, address = serve(loop, lambda: logs.append(Log(made=close)) or logs[-1])
    peer = socket.create_connection(address)
    peer.send(b"x")
    run_for(loop)
    if refused:
        return f"close() of a server in connection_made raises {refused[0]!r}"
    return logs[0].data != b"x" and f"a server that is closed in connection_made: {logs[0].events}"


def check_refused_bind(loop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        before = set(os.listdir("/proc/self/fd"))
        error = None
        try:
            loop.run_until_complete(loop.create_server(Log, *taken.getsockname()))
        except OSError as caught:
            error = caught  # as whoever logs it later does
        left = set(os.listdir("/proc/self/fd")) - before
        return left and f"create_server() that raised {type(error).__name__} has left {len(left)} sockets open"


def check_serve_everywhere(loop):
    try:
        loop.run_until_complete(loop.create_server(Log, "", 0))
    except OSError as error:
        return f"create_server(host='') raises {error!r}"


def check_closed_loop_is_quiet(loop):
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
    loop.close()
    coro = asyncio.sleep(0)
    try:
        loop.create_task(coro)
    except RuntimeError:
        return told and f"create_task() of a closed loop raises, and tells the exception handler: {told[0]}"
    finally:
        coro.close()


def numbers_of(fd):
    """All descriptors of the socket that this one names."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    return [number for number in numbers if os.path.sameopenfile(number, fd)]


def check_accepted_sockets_are_inherited(loop):
    log = Log()
    server = loop.run_until_complete(loop.create_server(lambda: log, "127.0.0.1", 0))
    client = socket.create_connection(server.sockets[0].getsockname())
    run_for(loop)
    wrong = []
    if any(os.get_inheritable(number) for number in numbers_of(log.transport.get_extra_info("socket").fileno())):
        wrong.append("the socket of a server's client is inherited by whatever is started")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        client = socket.create_connection(listener.getsockname())
        accepted, _ = loop.run_until_complete(loop.sock_accept(listener))
    if any(os.get_inheritable(number) for number in numbers_of(accepted.fileno())):
        wrong.append("so is that of sock_accept()")
    client.close()
    return "; ".join(wrong)


def check_close_of_what_sock_accept_gave(loop):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        client = socket.create_connection(listener.getsockname())
        client.settimeout(0.5)
        accepted, _ = loop.run_until_complete(loop.sock_accept(listener))
    numbers = numbers_of(accepted.fileno())
    accepted.close()
    return (
        not sees_the_end(client)
        and f"the socket of sock_accept() has the numbers {numbers}: one stays when it is closed"
    )


def check_backlog(loop):
    server = loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0, backlog=200))
    clients = []
    for number in range(180):
        try:
            clients.append(socket.create_connection(server.sockets[0].getsockname(), timeout=0.3))
        except TimeoutError:
            return f"with a backlog of 200 only {number} clients can wait to be accepted"


def check_cancelled_connect_is_made(loop):
    log = Log()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = loop.create_task(loop.create_connection(lambda: log, *listener.getsockname()))
        loop.call_soon(loop.stop)
        loop.run_forever()
        task.cancel()
        run_for(loop)
    return log.events == ["made"] and "a create_connection() that is cancelled makes its connection, which stays"


def check_client_of_a_factory_that_raises(loop):
    loop.set_exception_handler(lambda loop, context: None)
    server = loop.run_until_complete(loop.create_server(lambda: 1 / 0, "127.0.0.1", 0))
    client = socket.create_connection(server.sockets[0].getsockname())
    client.settimeout(0.5)
    run_for(loop)
    return not sees_the_end(client) and "the client whose factory raised stays connected, to nobody"


def check_protocol_of_a_closed_transport(loop):
    log, _ = connect(loop)
    transport, protocol = log.transport, weakref.ref(log)
    transport.close()
    run_for(loop)
    del log
    gc.collect()
    return protocol() and "a transport that is closed keeps its protocol"


def check_cancelled_start_tls(loop):
    log, peer = connect(loop)
    upgrade = loop.start_tls(log.transport, log, ssl.create_default_context(), server_hostname="localhost")
    task = loop.create_task(upgrade)
    run_for(loop)
    task.cancel()
    run_for(loop)
    return not sees_the_end(peer) and "a start_tls() that is cancelled leaves its connection open"


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
