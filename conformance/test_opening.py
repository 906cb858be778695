# real clock
"""Cases of opening (CONN-*, SERVER-*, DGRAM-*, UNIX-*): calls that make no sense, or end half-way; what is told."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import reset
from loopcheck.tls import contexts

Opens = Callable[[Kit], Awaitable[Any]]


def stream(kit: Kit) -> socket.socket:
    return kit.own(socket.socket())


def dgram(kit: Kit) -> socket.socket:
    return kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


def unix(kit: Kit, kind: int = socket.SOCK_STREAM) -> socket.socket:
    return kit.own(socket.socket(socket.AF_UNIX, kind))


P = asyncio.Protocol
D = asyncio.DatagramProtocol
WRONG: dict[str, Opens] = {
    "server_of_datagrams": lambda kit: kit.loop.create_server(P, sock=dgram(kit)),
    "server_tls_true": lambda kit: kit.loop.create_server(P, "127.0.0.1", 0, ssl=True),  # type: ignore[arg-type]
    "server_of_nothing": lambda kit: kit.loop.create_server(P),
    "unix_server_of_datagrams": lambda kit: kit.loop.create_unix_server(P, sock=unix(kit, socket.SOCK_DGRAM)),
    "unix_server_of_tcp": lambda kit: kit.loop.create_unix_server(P, sock=stream(kit)),
    "unix_server_tls_true": lambda kit: kit.loop.create_unix_server(P, "/nonexistent/x", ssl=True),  # type: ignore[arg-type]
    "unix_server_of_both": lambda kit: kit.loop.create_unix_server(P, "/nonexistent/x", sock=unix(kit)),
    "unix_server_of_nothing": lambda kit: kit.loop.create_unix_server(P),
    "unix_of_tcp": lambda kit: kit.loop.create_unix_connection(P, sock=stream(kit)),
    "unix_of_datagrams": lambda kit: kit.loop.create_unix_connection(P, sock=unix(kit, socket.SOCK_DGRAM)),
    "unix_of_both": lambda kit: kit.loop.create_unix_connection(P, "/nonexistent/x", sock=unix(kit)),
    "unix_of_nothing": lambda kit: kit.loop.create_unix_connection(P),
    "unix_tls_nameless": lambda kit: kit.loop.create_unix_connection(P, "/nonexistent/x", ssl=contexts().client),
    "unix_name_without_tls": lambda kit: kit.loop.create_unix_connection(P, "/nonexistent/x", server_hostname="x"),
    "tcp_of_nothing": lambda kit: kit.loop.create_connection(P),
    "tcp_tls_nameless": lambda kit: kit.loop.create_connection(P, sock=stream(kit), ssl=contexts().client),
    "accepted_datagrams": lambda kit: kit.loop.connect_accepted_socket(P, dgram(kit)),
    "endpoint_of_tcp": lambda kit: kit.loop.create_datagram_endpoint(D, sock=stream(kit)),
    "endpoint_of_both": lambda kit: kit.loop.create_datagram_endpoint(D, ("127.0.0.1", 0), sock=dgram(kit)),
    "endpoint_and_options": lambda kit: kit.loop.create_datagram_endpoint(D, sock=dgram(kit), allow_broadcast=True),
    "endpoint_of_nothing": lambda kit: kit.loop.create_datagram_endpoint(D),
}


@family("CONN-2", wrong=WRONG)
def test_call_that_makes_no_sense(kit: Kit, wrong: Opens) -> None:
    """What cannot be opened so is refused with ValueError or TypeError, and nothing is left of it"""
    kit.turns(1)
    for _ in range(2):
        before = len(os.listdir("/dev/fd"))
        try:
            kit.run(asyncio.wait_for(wrong(kit), 2))
        except (ValueError, TypeError) as error:
            del error
            kit.close_files()
            kit.equal(len(os.listdir("/dev/fd")), before, "fds afterwards")
            continue
        kit.fail("it was taken")


class Factory:
    """A factory that is neither a function nor a class."""

    def __init__(self) -> None:
        self.made: list[asyncio.BaseProtocol] = []

    def __call__(self) -> Any:
        self.made.append(asyncio.DatagramProtocol() if not self.made else asyncio.Protocol())
        return self.made[-1]


@case("CONN-2")
def test_factory_is_any_callable(kit: Kit) -> None:
    """A protocol factory may be an object that can be called, for endpoints and connections (python-osc#69)."""
    factory, listener = Factory(), kit.listener()

    async def main() -> list[bool]:
        opened = [
            await kit.loop.create_datagram_endpoint(factory, local_addr=("127.0.0.1", 0)),
            await kit.loop.create_connection(factory, *listener.getsockname()),
            await kit.loop.connect_read_pipe(factory, open(kit.pipe()[0], "rb", 0, closefd=False)),
        ]
        for transport, _ in opened:
            transport.close()
        await asyncio.sleep(0.003)
        return [protocol is made for (_, protocol), made in zip(opened, factory.made, strict=True)]

    kit.equal(kit.run(main()), [True] * 3, "is the protocol what the factory made")


@case("CONN-2")
def test_no_host_is_this_machine(kit: Kit) -> None:
    """create_connection(host=None, port=...) connects to this machine, as getaddrinfo has it (uvloop#10)."""
    listener = kit.listener()

    async def main() -> Any:
        transport, _ = await kit.loop.create_connection(P, None, listener.getsockname()[1])
        peer = transport.get_extra_info("peername")
        transport.close()
        await asyncio.sleep(0.003)
        return peer

    kit.equal(kit.run(main()), listener.getsockname(), "peername")


@family("CONN-1", how=("close", "abort"))
def test_ended_in_connection_made(kit: Kit, how: str) -> None:
    """A create_connection whose connection_made ends the transport ends too"""
    log = kit.protocol(made=lambda log, _: getattr(log.transport, how)())
    listener = kit.listener()

    async def main() -> None:
        call = asyncio.ensure_future(kit.loop.create_connection(lambda: log, *listener.getsockname()))
        done, _ = await asyncio.wait({call}, timeout=2)
        kit.check(done, "it does not end")
        error = call.exception()
        if error is not None and not log.events:
            raise error
        await log.until_event("lost")

    kit.run(main())
    kit.equal(log.events, ["made", "lost"], "events")


@family("CONN-1", after=("0", "1", "2", "3"), kind=("connection", "endpoint"))
def test_cancelled_before_it_is_made(kit: Kit, after: str, kind: str) -> None:
    """An opening that is cancelled after few turns leaves no fd, and no transport that goes on"""
    listener = kit.listener()
    kit.turns(1)

    def opened() -> Awaitable[Any]:
        if kind == "connection":
            return kit.loop.create_connection(P, *listener.getsockname())
        return kit.loop.create_datagram_endpoint(D, local_addr=("127.0.0.1", 0))

    async def turns(count: int) -> int:
        call = asyncio.ensure_future(opened())
        for _ in range(count):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        if not call.cancelled():
            call.result()[0].abort()
        await asyncio.sleep(0.005)
        return len(os.listdir("/dev/fd"))

    before = kit.run(turns(100))  # what a loop opens once is open now
    kit.equal([kit.run(turns(int(after))) - before for _ in range(3)], [0] * 3, "fds left")


@case("SERVER-5")
def test_error_of_a_bind(kit: Kit) -> None:
    """A server that cannot be bound raises OSError with the kernel's number."""
    kit.turns(1)
    address = kit.listener().getsockname()
    error = kit.raises(OSError, lambda: kit.run(kit.loop.create_server(P, *address)))
    kit.equal(getattr(error, "errno", None), errno.EADDRINUSE, "errno")


class Told(asyncio.DatagramProtocol):
    """Keeps what comes, and when it is lost."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.got, self.is_lost = kit, list[tuple[bytes, Any]](), kit.loop.create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.kit.recorder.note()
        self.got.append((data, addr))

    def connection_lost(self, exc: Exception | None) -> None:
        self.kit.recorder.note()
        self.is_lost.set_result(exc)


@case("DGRAM-1")
def test_address_of_a_datagram_of_ipv6(kit: Kit) -> None:
    """The address of a datagram over IPv6 is that of the socket module, with flow and scope."""
    needs.ipv6(kit)
    peer = kit.own(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    peer.bind(("::1", 0))
    told = Told(kit)
    transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, local_addr=("::1", 0)))
    peer.sendto(b"hello", transport.get_extra_info("sockname"))
    kit.run_for(0.005)
    kit.equal(told.got, [(b"hello", peer.getsockname())], "what came")
    kit.equal(type(told.got[0][0]), bytes, "type of the data")
    transport.close()
    kit.run(told.is_lost)


@case("DGRAM-4")
def test_no_datagram_while_it_closes(kit: Kit) -> None:
    """An endpoint that is closed while datagrams of its own wait to be sent delivers none any more."""
    with tempfile.TemporaryDirectory() as folder:
        given, peer = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        for name, sock in (("own", given), ("peer", kit.own(peer))):
            sock.bind(os.path.join(folder, name))
        told = Told(kit)
        transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, sock=given))
        for _ in range(5000):
            transport.sendto(b"x", os.path.join(folder, "peer"))
        kit.check(transport.get_write_buffer_size(), "nothing waits to be sent", rule="DGRAM-3")
        transport.close()
        peer.sendto(b"late", os.path.join(folder, "own"))
        kit.run_for(0.005)
        kit.reader(peer, peer.recv, 10)
        kit.run(asyncio.wait_for(told.is_lost, 2))
        kit.remove_reader(peer)
    kit.equal(told.got, [], "datagrams after close()")


@case("UNIX-1")
def test_endpoint_over_a_stale_socket(kit: Kit) -> None:
    """An endpoint is bound to a path where the socket of another that is gone was left (asyncio#425)."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "endpoint")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
            gone.bind(path)
        told = Told(kit)
        options: dict[str, Any] = {"local_addr": path, "family": socket.AF_UNIX}
        transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, **options))
        sender = unix(kit, socket.SOCK_DGRAM)
        sender.sendto(b"hello", path)
        kit.run_for(0.005)
        kit.equal([data for data, _ in told.got], [b"hello"], "what came")
        transport.close()
        kit.run(told.is_lost)


@case("SERVER-3")
def test_lost_that_raises_frees_its_server(kit: Kit) -> None:
    """A connection whose connection_lost raises is closed, and no longer counts for its server's wait_closed."""
    kit.errors.clear()

    def lost(*_: object) -> None:
        raise ZeroDivisionError("planted")

    log = kit.protocol(lost=lost)

    async def main() -> int:
        server = await kit.loop.create_server(lambda: log, "127.0.0.1", 0)
        waiting = asyncio.ensure_future(server.wait_closed())
        client = kit.client(server.sockets[0].getsockname())
        await log.until_event("made")
        server.close()
        sock = log.transport.get_extra_info("socket")
        client.close()
        await log.until_event("lost")
        done, _ = await asyncio.wait({waiting}, timeout=2)
        kit.check(done, "wait_closed() goes on waiting")
        await asyncio.sleep(0)
        return int(sock.fileno())

    kit.equal(kit.run(main()), -1, "fileno() of the socket of the lost connection", rule="CONN-3")


class Serve(asyncio.Protocol):
    """Notes what it was given, and ends the connection."""

    def __init__(self, seen: list[bytes]) -> None:
        self.seen = seen

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)
        self.transport.close()


@family("SERVER-4", gone={"first": 1, "all": 3})
def test_client_that_is_gone_before_it_is_accepted(kit: Kit, gone: int) -> None:
    """Clients that reset before they are accepted are no error, and the next is served"""
    seen: list[bytes] = []

    async def main() -> None:
        server = await kit.loop.create_server(lambda: Serve(seen), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        clients = [socket.create_connection(address) for _ in range(3)]
        for client in clients[:gone]:
            reset(client)
        last = kit.client(address)
        kit.put(last, b"hello")
        await asyncio.wait_for(kit.loop.sock_recv(last, 10), 2)
        for client in clients:
            client.close()
        server.close()
        await asyncio.sleep(0.005)

    kit.run(main())
    kit.equal(seen, [b"hello"], "what was served")


@family("CONN-2", way=("sock", "accepted", "unix", "server"))
def test_blocking_socket_blocks_no_loop(kit: Kit, way: str) -> None:
    """A socket that was blocking when it was given does not hold the loop up when much is written"""
    ours, theirs = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0)) if way == "server" else None
    log, peer, loop = kit.protocol(), kit.own(theirs), kit.loop

    async def main() -> None:
        if listener:
            ours.close()
            server = await loop.create_server(lambda: log, sock=listener)
            kit.client(listener.getsockname())
            await log.until_event("made")
            server.close()
        elif way == "accepted":
            await loop.connect_accepted_socket(lambda: log, ours)
        else:
            await {"sock": loop.create_connection, "unix": loop.create_unix_connection}[way](lambda: log, sock=ours)  # type: ignore[operator]
        peer.setblocking(False)
        log.transport.write(bytes(1 << 24))
        await asyncio.sleep(0.003)
        kit.check(log.transport.get_write_buffer_size() > 0, "nothing waits, though nobody reads")
        log.transport.abort()
        await log.until_event("lost")

    kit.run(main())


@family("CONN-1", call=("create_connection", "create_unix_connection"), after=("1", "2", "3"))
def test_given_socket_of_a_cancelled_call(kit: Kit, call: str, after: str) -> None:
    """A socket that was given to a call that is cancelled is either closed or its owner's: no number is closed twice"""
    kit.turns(1)

    async def main() -> int:
        given, _ = kit.tcp_pair() if call == "create_connection" else kit.socketpair()
        task = asyncio.ensure_future(getattr(kit.loop, call)(P, sock=given))
        for _ in range(int(after)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()[0].abort()
        await asyncio.sleep(0.003)
        return given.fileno()

    number = kit.run(main())
    is_open = os.path.lexists(f"/dev/fd/{number}")
    kit.check(number == -1 or is_open, f"the socket believes that it has {number}, which is closed")
