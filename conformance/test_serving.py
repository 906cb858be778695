# real clock
"""Cases of what servers were asked for (SERVER-3, SERVER-5, UNIX-*): addresses, options, second uses."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log

HERE = "127.0.0.1"
HOSTS: dict[str, tuple[Any, set[str]]] = {
    "one": (HERE, {HERE}),
    "list": ([HERE, "127.0.0.2"], {HERE, "127.0.0.2"}),
    "tuple": ((HERE, "127.0.0.2"), {HERE, "127.0.0.2"}),
    "twice": ([HERE, HERE], {HERE}),
    "any": ("0.0.0.0", {HERE}),
    "none": (None, {HERE}),
    "empty": ("", {HERE}),
}


def free_port() -> int:
    with socket.create_server(("", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@family("SERVER-5", hosts=HOSTS)
def test_hosts(kit: Kit, hosts: tuple[Any, set[str]]) -> None:
    """A server listens at each of its hosts, and on both families where none is named"""
    given, expected = hosts
    wanted = expected | ({"::1"} if given in (None, "") and needs.has_ipv6() else set())

    async def main() -> set[str]:
        log = kit.protocol()
        server = await kit.loop.create_server(lambda: kit.protocol(), given, free_port())
        port = server.sockets[0].getsockname()[1]
        reached = set()
        for host in wanted:
            transport, _ = await kit.loop.create_connection(lambda: kit.protocol(), host, port)
            reached.add(host)
            transport.abort()
        kit.check(log.error is None and server.get_loop() is kit.loop, "get_loop() is another loop")
        server.close()
        await asyncio.sleep(0.003)
        return reached

    kit.equal(kit.run(main()), wanted, "hosts that answer")


@family("SERVER-5", port={"none": None, "zero": 0, "text": "0"})
def test_any_free_port(kit: Kit, port: Any) -> None:
    """A server that names no port gets a free one, be it None, 0 or text (uvloop#7, asyncio#348)"""

    async def main() -> int:
        server = await kit.loop.create_server(asyncio.Protocol, HERE, port)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address):
            server.close()
        await asyncio.sleep(0.002)
        return int(address[1])

    kit.check(kit.run(main()) > 0, "no port")


@case("SERVER-5")
def test_options_of_the_addresses(kit: Kit) -> None:
    """family and flags of create_server choose its addresses: one family of two, and numbers in the place of names."""

    async def main() -> set[socket.AddressFamily]:
        server = await kit.loop.create_server(asyncio.Protocol, None, 0, family=socket.AF_INET)
        families = {sock.family for sock in server.sockets}
        server.close()
        return families

    kit.equal(kit.run(main()), {socket.AF_INET}, "families")
    create = kit.loop.create_server
    options = {"flags": socket.AI_NUMERICHOST}
    kit.raises(socket.gaierror, lambda: kit.run(create(asyncio.Protocol, "localhost", 0, **options)))


@family("SERVER-5", wanted={"default": None, "no": False, "yes": True})
def test_reuse_address(kit: Kit, wanted: bool | None) -> None:
    """reuse_address is SO_REUSEADDR of the server's sockets, which is set where nothing else is said"""

    async def main() -> bool:
        server = await kit.loop.create_server(asyncio.Protocol, HERE, 0, reuse_address=wanted)
        listening = server.sockets[0]
        with socket.socket(fileno=os.dup(listening.fileno())) as same:
            is_set = bool(same.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
        server.close()
        await asyncio.sleep(0.002)
        return is_set

    kit.equal(kit.run(main()), wanted is not False, "is it set")


@case("SERVER-5")
def test_both_families_have_one_port_each(kit: Kit) -> None:
    """The IPv6 socket of a server leaves the IPv4 port to others (IPV6_V6ONLY)."""
    needs.ipv6(kit)
    server = kit.run(kit.loop.create_server(asyncio.Protocol, "::", 0))
    listener = server.sockets[0]
    only = listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    port = listener.getsockname()[1]
    other = kit.run(kit.loop.create_server(asyncio.Protocol, "0.0.0.0", port))
    kit.equal((only, other.sockets[0].getsockname()[1]), (1, port), "IPV6_V6ONLY and the port")
    server.close()
    other.close()
    kit.turns(3)


@case("SERVER-5")
def test_port_is_served_again_at_once(kit: Kit) -> None:
    """A port whose connections wait in TIME_WAIT can be served again: SO_REUSEADDR is the default, thrice."""
    port = 0
    for _ in range(3):

        async def main(port: int) -> int:
            log = kit.protocol(made=lambda log, _: log.transport.close())
            server = await kit.loop.create_server(lambda: log, HERE, port)
            address = server.sockets[0].getsockname()
            client = kit.client(address)
            await log.until_event("lost")  # our side closed first
            server.close()
            await asyncio.sleep(0.003)
            client.close()
            served: int = address[1]
            return served

        port = kit.run(main(port))


@family("SERVER-5", wanted={"yes": True, "no": False, "default": None})
def test_reuse_port(kit: Kit, wanted: bool | None) -> None:
    """Two servers share a port exactly when both were asked to (reuse_port)"""
    first = kit.run(kit.loop.create_server(asyncio.Protocol, HERE, 0, reuse_port=wanted))
    port = first.sockets[0].getsockname()[1]
    servers = [first]
    try:
        servers.append(kit.run(kit.loop.create_server(asyncio.Protocol, HERE, port, reuse_port=wanted)))
        kit.check(wanted, "a second server took the port")
    except OSError as error:
        kit.check(not wanted, f"reuse_port did nothing: {error}")
    for server in servers:
        server.close()
    kit.turns(3)


@family("SERVER-1", first=("close", "client"))
def test_closed_in_the_turn_of_a_client(kit: Kit, first: str) -> None:
    """A server that is closed in the very turn in which a client comes raises nothing, and serves it once at most"""
    read_end, write_end = kit.pipe()
    listener, made = kit.listener(), []
    address = listener.getsockname()

    async def serve() -> Any:
        return await kit.loop.create_server(lambda: made.append(1) or asyncio.Protocol(), sock=listener)

    server = kit.run(serve())
    kit.reader(read_end, lambda: (kit.remove_reader(read_end), server.close()))
    if first == "close":
        kit.put(write_end)
    client = kit.client(address)
    kit.put(write_end)
    kit.run_for(0.01)
    client.close()
    kit.run_for(0.005)
    kit.check(len(made) <= 1, f"{len(made)} protocols for one client")


@case("SERVER-3")
def test_start_serving_again(kit: Kit) -> None:
    """start_serving of a server that serves already changes nothing; of a closed one it raises, or serves nobody."""

    async def main() -> None:
        log = kit.protocol()
        server = await kit.loop.create_server(lambda: log, HERE, 0, start_serving=False)
        kit.check(not server.is_serving(), "is_serving() before start_serving()")
        kit.raises(ConnectionRefusedError, socket.create_connection, server.sockets[0].getsockname(), 1)
        for _ in range(3):
            await server.start_serving()
            kit.check(server.is_serving(), "is_serving() after start_serving()")
        kit.client(server.sockets[0].getsockname())
        await log.until_event("made")
        log.transport.abort()
        await log.until_event("lost")
        server.close()
        server.close()

    kit.run(main())
    kit.turns(3)


@case("SERVER-3")
def test_serve_forever_twice(kit: Kit) -> None:
    """A second serve_forever raises RuntimeError and leaves the first; close() ends it; it starts a server itself."""

    async def main() -> None:
        log = kit.protocol()
        server = await kit.loop.create_server(lambda: log, HERE, 0, start_serving=False)
        first = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0.003)
        second = asyncio.ensure_future(server.serve_forever())
        await asyncio.wait({second}, timeout=1)
        kit.check(second.done() and isinstance(second.exception(), RuntimeError), "the second one was taken")
        kit.client(server.sockets[0].getsockname())
        await log.until_event("made")
        kit.check(not first.done(), "the first one ended")
        log.transport.abort()
        await log.until_event("lost")
        server.close()
        await asyncio.wait({first}, timeout=1)
        kit.check(first.done(), "close() did not end it")

    kit.run(main())


@family("SERVER-3", when=("made", "data", "lost"))
def test_closed_by_its_own_client(kit: Kit, when: str) -> None:
    """A server closed inside a callback of a connection is closed, and wait_closed returns when that one ended"""

    async def main() -> None:
        log = kit.protocol(**{when: lambda log, _: server.close()})
        server = await kit.loop.create_server(lambda: log, HERE, 0)
        early = asyncio.ensure_future(server.wait_closed())
        client = kit.client(server.sockets[0].getsockname())
        kit.put(client)
        await log.until_event("data")
        client.close()
        await log.until_event("lost")
        await asyncio.wait({early}, timeout=2)
        kit.check(early.done(), "who waited for it before goes on waiting")
        await asyncio.wait_for(server.wait_closed(), 2)
        kit.check(not server.is_serving() and not server.sockets, "it is not closed")

    kit.run(main())


@family("RAISE-1", times={"once": 1, "thrice": 3})
def test_factory_of_a_server_that_raises(kit: Kit, times: int) -> None:
    """A factory that raises for a client leaves the server: the next client is served"""
    kit.errors.clear()  # it may be told there
    calls: list[int] = []
    log = kit.protocol()

    def factory() -> asyncio.Protocol:
        calls.append(1)
        if len(calls) <= times:
            raise ValueError("planted")
        return log

    async def main() -> None:
        server = await kit.loop.create_server(factory, HERE, 0)
        for _ in range(times + 1):
            kit.client(server.sockets[0].getsockname())
            await asyncio.sleep(0.003)
        await asyncio.wait_for(log.until_event("made"), 2)
        log.transport.abort()
        await log.until_event("lost")
        server.close()

    kit.run(main())
    kit.equal(len(calls), times + 1, "calls of the factory")


@family("UNIX-1", times={"two": 2, "three": 3})
def test_path_again(kit: Kit, times: int) -> None:
    """A path can be served again by the same loop once its server is closed, and the socket knows its names"""

    async def main(path: str) -> None:
        log = kit.protocol()
        server = await kit.loop.create_unix_server(lambda: log, path)
        transport, _ = await kit.loop.create_unix_connection(lambda: kit.protocol(), path)
        await log.until_event("made")
        sock = log.transport.get_extra_info("socket")
        told = tuple(log.transport.get_extra_info(name) for name in ("sockname", "peername"))
        kit.equal(told, (sock.getsockname(), sock.getpeername()), "names of the served connection")
        kit.equal(transport.get_extra_info("peername"), path, "peername of the client")
        transport.abort()
        await log.until_event("lost")
        server.close()
        await asyncio.sleep(0.003)

    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times):
            kit.run(main(os.path.join(folder, "s")))


WRONG = ("nothing", "both", "tcp_socket", "datagram_socket", "tls_without_name", "name_without_tls")


@family("UNIX-2", wrong=WRONG)
def test_arguments_of_a_client(kit: Kit, wrong: str) -> None:
    """create_unix_connection refuses with ValueError what makes no sense"""
    tcp, peer = kit.tcp_pair()
    _ = peer
    kit.own(tcp)
    unix, _ = kit.socketpair()
    datagrams = kit.own(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0])
    options: dict[str, dict[str, Any]] = {
        "nothing": {},
        "both": {"path": "/nonexistent", "sock": unix},
        "tcp_socket": {"sock": tcp},
        "datagram_socket": {"sock": datagrams},
        "tls_without_name": {"sock": unix, "ssl": True},
        "name_without_tls": {"sock": unix, "server_hostname": "localhost"},
    }
    kit.raises(ValueError, lambda: kit.run(kit.loop.create_unix_connection(asyncio.Protocol, **options[wrong])))
    kit.turns(2)


def names_are_right(log: Log) -> list[bool]:
    """Are its transport's sockname and peername those of its socket?"""
    info, sock = log.transport.get_extra_info, log.transport.get_extra_info("socket")
    return [info("sockname") == sock.getsockname(), info("peername") == sock.getpeername()]


@family("CONN-2", over=("v4", "v6", "unix"))
def test_names_of_both_ends(kit: Kit, over: str) -> None:
    """sockname and peername of a connection are those of its socket at both ends, with all parts of an IPv6 address"""
    if over == "v6":
        needs.ipv6(kit)
    inside, log = kit.protocol(), kit.protocol()

    async def main(path: str) -> list[bool]:
        if over == "unix":
            server = await kit.loop.create_unix_server(lambda: inside, path)
            await kit.loop.create_unix_connection(lambda: log, path)
        else:
            server = await kit.loop.create_server(lambda: inside, HERE if over == "v4" else "::1", 0)
            await kit.loop.create_connection(lambda: log, *server.sockets[0].getsockname()[:2])
        await inside.until_event("made")
        right = names_are_right(log) + names_are_right(inside)  # both before either end goes
        for one in (log, inside):
            one.transport.abort()
            await one.until_event("lost")
        server.close()
        return right

    with tempfile.TemporaryDirectory() as folder:
        kit.equal(kit.run(main(os.path.join(folder, "s"))), [True] * 4, "are (sockname, peername) right")


@family("SERVER-5", way=("server", "connection"))
def test_unix_socket_in_a_call_of_tcp(kit: Kit, way: str) -> None:
    """create_server and create_connection take a stream socket of any family (uvicorn --fd)"""
    inside, log = kit.protocol(data=lambda log, data: log.transport.write(data)), kit.protocol()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0loopcheck-of-tcp-{os.getpid()}")

    async def main() -> bytes:
        serve = kit.loop.create_server if way == "server" else kit.loop.create_unix_server
        server = await serve(lambda: inside, sock=listener)
        client = socket.socket(socket.AF_UNIX)
        client.connect(listener.getsockname())
        connect = kit.loop.create_connection if way == "connection" else kit.loop.create_unix_connection
        await connect(lambda: log, sock=client)
        log.transport.write(b"hello")
        await log.until(lambda: len(log.received) == 5)
        log.transport.close()
        await inside.until_event("lost")
        server.close()
        return bytes(log.received)

    kit.equal(kit.run(main()), b"hello", "answer")


@family("SERVER-3", cancelled=("none", "first", "last"))
def test_everybody_who_waits_for_the_end(kit: Kit, cancelled: str) -> None:
    """Each of three that wait in wait_closed() before close() returns, also when one of them was cancelled"""

    async def main() -> list[bool]:
        server = await kit.loop.create_server(asyncio.Protocol, HERE, 0)
        waiting = [asyncio.ensure_future(server.wait_closed()) for _ in range(3)]
        await asyncio.sleep(0.001)
        gone = {"none": None, "first": waiting[0], "last": waiting[2]}[cancelled]
        if gone:
            gone.cancel()
            await asyncio.wait({gone})
        server.close()
        await asyncio.wait(waiting, timeout=1)
        return [task.done() for task in waiting]

    kit.equal(kit.run(main()), [True] * 3, "have they returned")


@family("SERVER-3", way=("close", "async_with", "serve_forever"))
def test_end_of_a_server_that_has_not_begun(kit: Kit, way: str) -> None:
    """A server that never served is closed like any other: its port is free, and whoever waits is told"""

    async def main() -> tuple[str, int]:
        server = await kit.loop.create_server(asyncio.Protocol, HERE, 0, start_serving=False)
        address: tuple[str, int] = server.sockets[0].getsockname()
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        if way == "async_with":
            async with server:
                pass
        elif way == "serve_forever":
            serving = asyncio.ensure_future(server.serve_forever())
            serving.cancel()
            await asyncio.wait({serving})
            server.close()
        else:
            server.close()
        await asyncio.wait_for(waiting, 1)
        kit.equal(tuple(server.sockets), (), "its sockets")
        return address

    with socket.create_server(kit.run(main()), reuse_port=False):
        kit.turns(2)


@case("SERVER-5")
def test_started_later_at_every_host(kit: Kit) -> None:
    """start_serving() begins to listen at each address of a server that was made with start_serving=False."""

    async def main() -> list[bytes]:
        logs = [kit.protocol(made=lambda _, transport: transport.write(b"hello")) for _ in range(2)]
        left = list(logs)
        server = await kit.loop.create_server(left.pop, [HERE, "127.0.0.2"], 0, start_serving=False)
        await server.start_serving()
        clients = [kit.client(sock.getsockname()) for sock in server.sockets]
        answers = [await asyncio.wait_for(kit.loop.sock_recv(client, 10), 2) for client in clients]
        for client in clients:
            client.close()
        for log in logs:
            await log.until_event("lost")
        server.close()
        await asyncio.sleep(0.003)
        return answers

    kit.equal(kit.run(main()), [b"hello", b"hello"], "what the clients got")
