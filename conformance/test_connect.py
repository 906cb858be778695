# real clock
"""Cases of opening connections and servers (CONN-*, SERVER-2, SERVER-3): cancelled, refused, without fds."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import reset
from loopcheck.tls import NAME, contexts

HERE = "127.0.0.1"
Start = Callable[[Kit], Awaitable[Any]]


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


async def with_sock(kit: Kit, **options: Any) -> Any:
    """create_connection(sock=) whose socket is closed when it fails."""
    sock = socket.create_connection(kit.listener().getsockname())
    sock.setblocking(False)
    try:
        return await kit.loop.create_connection(asyncio.Protocol, sock=sock, **options)
    except BaseException:
        sock.close()
        raise


async def to_full(kit: Kit) -> Any:
    full = kit.own(socket.create_server((HERE, 0), backlog=0))
    kit.client(full)  # the backlog is full: the connect hangs
    return await kit.loop.create_connection(asyncio.Protocol, *full.getsockname())


async def tls_to_silence(kit: Kit) -> Any:
    address = kit.listener().getsockname()
    return await kit.loop.create_connection(asyncio.Protocol, *address, ssl=contexts().client, server_hostname=NAME)


async def upgrade(kit: Kit) -> Any:
    given, _peer = kit.tcp_pair()
    transport, protocol = await kit.loop.create_connection(asyncio.Protocol, sock=given)
    try:
        return await kit.loop.start_tls(transport, protocol, contexts().client, server_hostname=NAME), None
    finally:
        transport.abort()


STARTS: dict[str, Start] = {
    "connection": lambda kit: kit.loop.create_connection(asyncio.Protocol, *kit.listener().getsockname()),
    "connection_to_a_name": lambda kit: kit.loop.create_connection(
        asyncio.Protocol, "localhost", kit.listener().getsockname()[1]
    ),
    "hanging_connection": to_full,
    "given_socket": with_sock,
    "tls": tls_to_silence,
    "start_tls": upgrade,
    "server": lambda kit: kit.loop.create_server(asyncio.Protocol, HERE, 0),
    "datagram_endpoint": lambda kit: kit.loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(HERE, 0)),
    "accepted_socket": lambda kit: kit.loop.connect_accepted_socket(asyncio.Protocol, kit.tcp_pair()[0]),
    "read_pipe": lambda kit: kit.loop.connect_read_pipe(asyncio.Protocol, os.fdopen(os.dup(kit.pipe()[0]), "rb", 0)),
    "write_pipe": lambda kit: kit.loop.connect_write_pipe(asyncio.Protocol, os.fdopen(os.dup(kit.pipe()[1]), "wb", 0)),
    "getaddrinfo": lambda kit: kit.loop.getaddrinfo("localhost", 80),
    "getnameinfo": lambda kit: kit.loop.getnameinfo((HERE, 80)),
    "executor": lambda kit: kit.loop.run_in_executor(None, int),
}


async def undo(result: Any) -> None:
    """Closes what was opened."""
    made = result[0] if isinstance(result, tuple) else result
    if hasattr(made, "close"):
        made.abort() if hasattr(made, "abort") else made.close()
    await asyncio.sleep(0.003)


@family("CONN-1", start=STARTS, turns={str(n): n for n in (0, 1, 2, 3, 5)})
def test_cancelled_after(kit: Kit, start: Start, turns: int) -> None:
    """Opening anything may be cancelled after any number of turns: no fd and no task is left, and it works again"""
    kit.errors.clear()

    async def attempt() -> None:
        task = asyncio.ensure_future(start(kit))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=3)
        kit.check(task.done(), "the cancelled task does not end")
        if not task.cancelled() and task.exception() is None:
            await undo(task.result())

    for _ in range(2):
        kit.run(attempt())
    kit.run(asyncio.sleep(0.003))
    gc.collect()
    kit.equal(asyncio.all_tasks(kit.loop), set(), "tasks that are left")
    with contextlib.suppress(asyncio.TimeoutError):
        kit.run(asyncio.wait_for(finish(kit, start), 0.01 if start in (to_full, tls_to_silence, upgrade) else 2))
    kit.run(kit.loop.shutdown_default_executor())


async def finish(kit: Kit, start: Start) -> None:
    await undo(await start(kit))


WRONG: dict[str, dict[str, Any]] = {
    "nothing": {},
    "host_and_sock": {"host": HERE, "port": 9, "sock": True},
    "no_stream": {"sock": socket.SOCK_DGRAM},
}
PLAIN: dict[str, Any] = {"server_hostname": NAME, "ssl_handshake_timeout": 1.0, "ssl_shutdown_timeout": 1.0}


@family("CONN-2", call=("connection", "server", "accepted_socket"))
def test_tls_options_without_tls(kit: Kit, call: str) -> None:
    """Options of TLS are refused with ValueError where there is no TLS"""
    given = kit.own(kit.tcp_pair()[0])
    option: dict[str, Any] = {}
    calls: dict[str, Start] = {
        "connection": lambda kit: kit.loop.create_connection(asyncio.Protocol, sock=given, **option),
        "server": lambda kit: kit.loop.create_server(asyncio.Protocol, HERE, 0, **option),
        "accepted_socket": lambda kit: kit.loop.connect_accepted_socket(asyncio.Protocol, given, **option),
    }
    for name, value in PLAIN.items():
        is_older = name == "ssl_shutdown_timeout" and sys.version_info < (3, 11)
        if not is_older and (name != "server_hostname" or call == "connection"):
            option.clear()
            option[name] = value
            kit.raises(ValueError, lambda: kit.run(calls[call](kit)))


@family("CONN-2", call=("connection", "server", "accepted_socket"))
def test_blocking_socket_that_is_given(kit: Kit, call: str) -> None:
    """A blocking socket that is given is made non-blocking"""
    given = kit.own(kit.tcp_pair()[0]) if call != "server" else kit.listener()
    given.setblocking(True)
    copy = given.dup()
    if call == "server":
        made = kit.run(kit.loop.create_server(asyncio.Protocol, sock=copy))
    else:
        create = kit.loop.create_connection if call == "connection" else kit.loop.connect_accepted_socket
        made = kit.run(create(asyncio.Protocol, sock=copy))[0]
    is_blocking = os.get_blocking(given.fileno())
    made.close()
    kit.turns(3)
    kit.equal(is_blocking, False, "is the socket blocking")


@family("CONN-2", wrong=WRONG)
def test_wrong_options(kit: Kit, wrong: dict[str, Any]) -> None:
    """Neither host nor socket, both of them, or a socket that is no stream: ValueError, and nothing is left open"""
    options = dict(wrong)
    if "sock" in options:
        kind = socket.SOCK_DGRAM if options["sock"] is socket.SOCK_DGRAM else socket.SOCK_STREAM
        options["sock"] = kit.own(socket.socket(socket.AF_INET, kind))
    for create in (kit.loop.create_connection, kit.loop.create_server):
        kit.raises(ValueError, lambda create=create: kit.run(create(asyncio.Protocol, **options)))
    if list(options) == ["sock"]:
        kit.raises(ValueError, lambda: kit.run(kit.loop.connect_accepted_socket(asyncio.Protocol, **options)))


@case("CONN-2")
def test_both_names_of_a_connection(kit: Kit) -> None:
    """local_addr binds the client, TCP_NODELAY is set at both ends, and both know both addresses."""
    inside, log = kit.protocol(), kit.protocol()

    async def main() -> tuple[bool, bool, int]:
        server = await kit.loop.create_server(lambda: inside, HERE, 0)
        await kit.loop.create_connection(lambda: log, *server.sockets[0].getsockname(), local_addr=("127.0.0.2", 0))
        await inside.until_event("made")
        server.close()
        ours, theirs = log.transport.get_extra_info, inside.transport.get_extra_info
        same = ours("sockname") == theirs("peername"), ours("peername") == theirs("sockname")
        option = socket.IPPROTO_TCP, socket.TCP_NODELAY
        nodelay = min(info("socket").getsockopt(*option) for info in (ours, theirs))
        kit.equal(ours("sockname")[0], "127.0.0.2", "own address")
        for one in (log, inside):
            one.transport.abort()
            await one.until_event("lost")
        return (*same, nodelay)

    kit.equal(kit.run(main()), (True, True, 1), "do the names match, and TCP_NODELAY")


@case("CONN-2")
def test_extra_info(kit: Kit) -> None:
    """get_extra_info of an unknown name gives the default, and the socket's fileno() is -1 once it is closed."""
    log, _ = kit.connection()
    info = log.transport.get_extra_info
    kit.equal((info("nonsense"), info("nonsense", 7)), (None, 7), "unknown names")
    sock = info("socket")
    kit.check(sock.fileno() >= 0 and sock.getsockname(), "the socket of an open transport is not open")
    log.transport.abort()
    kit.run(log.until_event("lost"))
    kit.turns(3)
    kit.equal(sock.fileno(), -1, "fileno() of the socket of a lost connection (zuvloop@c3d4765)")


@family("CONN-3", how=("refused", "reset", "in_use"))
def test_errors_are_let_go(kit: Kit, how: str) -> None:
    """Fifty failing calls leave no exception and no fd behind (cpython gh-88863)"""
    listener = kit.own(socket.socket())
    listener.bind((HERE, 0))
    address = listener.getsockname()
    _ = how == "refused" or listener.listen()

    async def fail() -> None:
        with contextlib.suppress(OSError):
            if how == "in_use":
                await kit.loop.create_server(asyncio.Protocol, *address)
            else:
                transport, _ = await kit.loop.create_connection(asyncio.Protocol, *address)
                reset(listener.accept()[0])
                transport.abort()
                await asyncio.sleep(0)

    kit.run(fail())
    before = open_fds()
    for _ in range(50):
        kit.run(fail())
    gc.collect()
    left = sum(isinstance(one, OSError) and one.errno == errno.ECONNREFUSED for one in gc.get_objects())
    kit.equal((open_fds() - before, left), (0, 0), "fds and exceptions left")


def errors_alive() -> int:
    return sum(isinstance(one, (ConnectionRefusedError, FileNotFoundError)) for one in gc.get_objects())


@family("CONN-4", how=("connection", "sock_connect", "unix"))
def test_errors_are_no_cycles(kit: Kit, how: str) -> None:
    """The exception of a call that failed is freed with its last reference, without the collector (gh-88863)"""
    nobody = kit.own(socket.socket())
    nobody.bind((HERE, 0))
    loop, address = kit.loop, nobody.getsockname()
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "connection": lambda: loop.create_connection(asyncio.Protocol, *address),
        "sock_connect": lambda: loop.sock_connect(kit.own(socket.socket()), address),
        "unix": lambda: loop.create_unix_connection(asyncio.Protocol, "/nonexistent/path"),
    }

    async def fail() -> None:
        with contextlib.suppress(OSError):
            await calls[how]()

    before = errors_alive()
    gc.disable()
    for _ in range(5):
        kit.run(fail())
    kit.turns(1)
    left = errors_alive() - before
    gc.enable()
    kit.check(left <= 0, f"{left} exceptions that only the collector can free")


@case("SERVER-2", timeout_s=8)
def test_server_survives_a_lack_of_fds(kit: Kit) -> None:
    """A server that could not accept for want of fds (EMFILE) accepts again when there are some (talyn@fa1c6ba)."""
    kit.errors.clear()  # it may tell the exception handler

    async def main() -> bytes:
        server = await kit.loop.create_server(
            lambda: kit.protocol(data=lambda log, data: log.transport.write(data)), HERE, 0
        )
        address = server.sockets[0].getsockname()
        early, late = (kit.own(socket.socket()) for _ in range(2))
        with no_more_fds():
            early.connect_ex(address)  # which the server may drop, or serve later
            await asyncio.sleep(0.02)
        await kit.loop.sock_connect(late, address)
        kit.put(late, b"hello")
        answer = await kit.loop.sock_recv(late, 10)
        server.close()
        for client in (early, late):
            client.close()
        await asyncio.sleep(0.01)
        return answer

    kit.equal(kit.run(main()), b"hello", "answer to the next client")


@case("SERVER-2")
def test_start_serving_while_it_rests(kit: Kit) -> None:
    """A server that rests for want of fds goes on resting when it is told to serve (zuvloop#89: it spun)."""

    async def main() -> tuple[int, int]:
        server = await kit.loop.create_server(kit.protocol, HERE, 0)
        client, address = kit.own(socket.socket()), server.sockets[0].getsockname()
        with no_more_fds():
            client.connect_ex(address)
            await asyncio.sleep(0.02)
            told = len(kit.errors)
            await server.start_serving()
            await asyncio.sleep(0.02)
        server.close()
        return told, len(kit.errors)

    told, told_in_all = kit.run(main())
    kit.errors.clear()
    kit.equal(told_in_all, told, "complaints of accept() before start_serving(), and with those after it")


@contextlib.contextmanager
def no_more_fds() -> Any:
    """Meanwhile the process cannot open any."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


@family("SERVER-2", what=("connection", "server", "datagram_endpoint", "subprocess", "loop"))
def test_no_fd_to_be_had(kit: Kit, what: str) -> None:
    """Without fds every call that needs one raises OSError and works when there are some again"""
    kit.turns(1)
    address = kit.listener().getsockname()

    async def use() -> None:
        if what == "connection":
            await undo(await kit.loop.create_connection(asyncio.Protocol, *address))
        elif what == "subprocess":
            await (await asyncio.create_subprocess_exec("true", stdout=-1)).communicate()
        elif what == "loop":
            kit.new_loop()
        else:
            await undo(await STARTS[what](kit))

    kit.check(kit.run(refused_for_want_of_fds(use)), f"a {what} without fds did not raise OSError")
    kit.errors.clear()


async def refused_for_want_of_fds(use: Callable[[], Awaitable[None]]) -> bool:
    """Uses it with fds, without, and with them again; did the second one raise OSError?"""
    await use()
    is_refused = False
    with no_more_fds():
        try:
            await use()
        except OSError:
            is_refused = True
    await use()
    return is_refused


@case("LIFE-1")
def test_runs_again_after_a_run_without_fds(kit: Kit) -> None:
    """A run that can or cannot do without new fds leaves a loop that runs when there are some (zuvloop@4a0dedf)."""
    kit.turns(2)
    with no_more_fds(), contextlib.suppress(OSError):
        kit.turns(2)
    kit.turns(2)


@case("SERVER-3")
def test_wait_closed(kit: Kit) -> None:
    """wait_closed() returns once the server is closed and its connections are gone, for each who waits."""
    log = kit.protocol()

    async def main() -> None:
        server = await kit.loop.create_server(lambda: log, HERE, 0)
        client = kit.client(server.sockets[0].getsockname())
        await log.until_event("made")
        server.close()
        server.close()
        waits = [asyncio.ensure_future(server.wait_closed()) for _ in range(3)]
        await asyncio.sleep(0.003)
        client.close()
        await log.until_event("lost")
        await asyncio.wait_for(asyncio.gather(*waits), 2)
        await server.wait_closed()
        kit.equal(len(server.sockets), 0, "sockets of a closed server")

    kit.run(main())


@case("SERVER-3")
def test_async_with_server(kit: Kit) -> None:
    """`async with` closes the server at its end, and get_loop() is the loop."""

    async def main() -> tuple[bool, bool, bool]:
        server = await kit.loop.create_server(asyncio.Protocol, HERE, 0)
        async with server as same:
            kit.check(server.is_serving(), "is_serving() is false")
        return same is server, server.is_serving(), server.get_loop() is kit.loop

    kit.equal(kit.run(main()), (True, False, True), "is it the server, does it serve, has it the loop")


@family("SERVER-3", way=("close_clients", "abort_clients"))
def test_clients_of_a_server(kit: Kit, way: str) -> None:
    """close_clients() and abort_clients() end the connections of a server (3.13; uvloop#683)"""
    if sys.version_info < (3, 13):
        kit.skip(f"this Python's servers have no {way}")
    logs = [kit.protocol() for _ in range(3)]
    left = list(logs)

    async def main() -> None:
        server = await kit.loop.create_server(left.pop, HERE, 0)
        for _ in range(3):
            kit.client(server.sockets[0].getsockname())
        for log in logs:
            await log.until_event("made")
        server.close()
        getattr(server, way)()
        for log in logs:
            await log.until_event("lost")
        await server.wait_closed()

    kit.run(main())


@case("SERVER-3")
def test_listener_closed_behind_the_server(kit: Kit) -> None:
    """A listening socket that its user closes makes the server neither spin nor fail at its close (talyn BUG-033)."""
    kit.errors.clear()
    listener = socket.create_server((HERE, 0))

    async def main() -> None:
        server = await kit.loop.create_server(asyncio.Protocol, sock=listener)
        os.close(os.dup(listener.fileno()))
        listener.shutdown(socket.SHUT_RDWR)
        await asyncio.sleep(0.01)
        server.close()
        await asyncio.sleep(0.003)

    kit.run(main())
    kit.turns(3)


@family("CONN-2", plain={"none": None, "false": False})
def test_without_tls(kit: Kit, plain: bool | None) -> None:
    """ssl=None and ssl=False are a plain connection; a server takes a context or None, and no number"""
    inside = kit.protocol()

    async def main() -> None:
        server = await kit.loop.create_server(lambda: inside, HERE, 0, ssl=None)
        log = kit.protocol()
        await kit.loop.create_connection(lambda: log, *server.sockets[0].getsockname(), ssl=plain)
        log.transport.write(b"plain")
        await inside.until(lambda: bytes(inside.received) == b"plain")
        server.close()
        for one in (log, inside):
            one.transport.abort()
            await one.until_event("lost")

    kit.run(main())
    kit.raises(TypeError, lambda: kit.run(kit.loop.create_server(asyncio.Protocol, HERE, 0, ssl=True)))


@case("CONN-3")
def test_local_address_that_is_not_ours(kit: Kit) -> None:
    """A create_connection whose local_addr cannot be bound raises OSError, and leaves no fd."""
    address = kit.listener().getsockname()

    def connect() -> object:
        return kit.run(kit.loop.create_connection(asyncio.Protocol, *address, local_addr=("192.0.2.1", 0)))

    kit.raises(OSError, connect)
    before = open_fds()
    for _ in range(3):
        kit.raises(OSError, connect)
    kit.turns(2)
    kit.equal(open_fds() - before, 0, "fds left")
