# real clock
"""Cases of what a transport says of itself (STREAM-10, FLOW-3, CONN-2) at each stage of its life."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, drain, end, reset
from loopcheck.tls import contexts, join, part

HERE = "127.0.0.1"
MUCH = bytes(4 << 20)  # more than the kernel takes


def tcp(kit: Kit, log: Log) -> socket.socket:
    given, peer = kit.tcp_pair()
    kit.run(kit.loop.create_connection(lambda: log, sock=given))
    return peer


def accepted(kit: Kit, log: Log) -> socket.socket:
    given, peer = kit.tcp_pair()
    kit.run(kit.loop.connect_accepted_socket(lambda: log, given))
    return peer


def served(kit: Kit, log: Log) -> socket.socket:
    async def main() -> socket.socket:
        server = await kit.loop.create_server(lambda: log, HERE, 0)
        peer = kit.client(server.sockets[0].getsockname())
        await log.until_event("made")
        server.close()
        return peer

    return kit.run(main())


def unix(kit: Kit, log: Log) -> socket.socket:
    given, peer = socket.socketpair()
    kit.run(kit.loop.create_unix_connection(lambda: log, sock=given))
    return kit.own(peer)


CONNECTIONS: dict[str, Callable[[Kit, Log], socket.socket]] = {
    "tcp": tcp,
    "accepted": accepted,
    "served": served,
    "unix": unix,
}
ENDS: dict[str, Callable[[Log, socket.socket], object]] = {
    "close": lambda log, peer: log.transport.close(),
    "abort": lambda log, peer: log.transport.abort(),
    "eof": lambda log, peer: peer.shutdown(socket.SHUT_WR),
    "reset": lambda log, peer: reset(peer),
}


def states(kit: Kit, kind: Any, how: Any) -> None:
    inside: list[object] = []
    log = kit.protocol(
        made=lambda log, _: inside.append((log.transport.is_closing(), log.transport.get_protocol() is log)),
        lost=lambda log, _: inside.append((log.transport.is_closing(), log.transport.get_write_buffer_size())),
    )
    peer = kind(kit, log)
    transport = log.transport
    seen = [(transport.is_closing(), transport.is_reading())]
    transport.pause_reading()
    seen.append((transport.is_closing(), transport.is_reading()))
    transport.resume_reading()
    seen.append((transport.is_closing(), transport.is_reading()))
    how(log, peer)
    end(kit, log)
    seen.append((transport.is_closing(), transport.is_reading()))
    kit.equal(seen, [(False, True), (False, False), (False, True), (True, False)], "(is_closing, is_reading)")
    kit.equal(inside, [(False, True), (True, 0)], "inside connection_made and connection_lost")


@family("STREAM-10", kind=CONNECTIONS)
def test_state_of_a_connection(kit: Kit, kind: Any) -> None:
    """is_closing, is_reading and get_protocol are right when it is open, paused, closing and lost, however it ends"""
    for how in ENDS.values():
        states(kit, kind, how)


@family("STREAM-10", kind=("tcp", "unix"), how=("close", "write_eof", "abort"))
def test_state_while_bytes_wait(kit: Kit, kind: str, how: str) -> None:
    """get_write_buffer_size is what waits, also while a transport closes, and nothing once it is lost"""
    log = kit.protocol()
    peer = CONNECTIONS[kind](kit, log)
    transport, received = log.transport, bytearray()
    sizes = [transport.get_write_buffer_size()]
    transport.write(MUCH)
    kit.turns(2)
    sizes.append(transport.get_write_buffer_size() in range(1, len(MUCH)))
    getattr(transport, how)()
    is_closing = transport.is_closing()
    sizes.append(how == "abort" or transport.get_write_buffer_size() in range(1, len(MUCH)))
    kit.thread(drain, peer, received)
    kit.run(log.until(lambda: how == "write_eof" or "lost" in log.events))
    if how == "write_eof":
        end(kit, log)
    sizes.append(transport.get_write_buffer_size())
    kit.equal(sizes, [0, True, True, 0], "bytes that wait: fresh, some do, told to end, lost")
    kit.equal(is_closing, how != "write_eof", "is_closing() at once")


@family("CONN-2", kind=CONNECTIONS)
def test_names_outlive_the_connection(kit: Kit, kind: Any) -> None:
    """sockname and peername stay what they were until after connection_lost, and a default is given for the unknown"""

    def look(log: Log, _: object) -> None:
        info = log.transport.get_extra_info
        seen.append((info("sockname"), info("peername"), info("nonsense"), info("nonsense", 7)))

    seen: list[tuple[Any, ...]] = []
    log = kit.protocol(made=look, lost=look)
    peer = kind(kit, log)
    look(log, None)
    log.transport.close()
    look(log, None)
    end(kit, log)
    look(log, None)
    is_unix = peer.family == socket.AF_UNIX
    names = (log.transport.get_extra_info("sockname") if is_unix else seen[0][0], seen[0][1], None, 7)
    kit.equal(seen, [names] * 5, "(sockname, peername, unknown, unknown with a default)")
    kit.check(is_unix or seen[0][1], "no peername in connection_made")


@family("CONN-2", kind={name: CONNECTIONS[name] for name in ("tcp", "accepted", "served")})
def test_no_delay(kit: Kit, kind: Any) -> None:
    """Small writes are not held back: TCP_NODELAY is set, whoever made the connection (cpython bpo-27456)"""
    log = kit.protocol()
    kind(kit, log)
    sock = log.transport.get_extra_info("socket")
    kit.check(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "TCP_NODELAY is off")
    log.transport.abort()
    end(kit, log)


LIMITS: tuple[tuple[dict[str, int], tuple[int, int]], ...] = (
    ({"high": 1000}, (250, 1000)),
    ({"low": 1000}, (1000, 4000)),
    ({"high": 1000, "low": 10}, (10, 1000)),
    ({"high": 1000, "low": 1000}, (1000, 1000)),
    ({"high": 0}, (0, 0)),
)


def plain(kit: Kit) -> Any:
    return kit.connection()[0].transport


def write_pipe(kit: Kit) -> Any:
    pipe = os.fdopen(os.dup(kit.pipe()[1]), "wb", 0)
    return kit.run(kit.loop.connect_write_pipe(kit.protocol, pipe))[0]


def endpoint(kit: Kit) -> Any:
    return kit.run(kit.loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(HERE, 0)))[0]


def encrypted(kit: Kit) -> Any:
    inside, log = kit.protocol(), kit.protocol(lost=lambda *_: inside.transport.abort())
    kit.run(join(kit, contexts(), inside, log))
    return log.transport


WRITERS = {"tcp": plain, "write_pipe": write_pipe, "endpoint": endpoint, "tls": encrypted}


@family("FLOW-3", kind=WRITERS)
def test_limits_are_told(kit: Kit, kind: Any) -> None:
    """set_write_buffer_limits derives the mark that is not given, whatever was set before; the getter tells both"""
    transport = kind(kit)
    if not hasattr(transport, "get_write_buffer_limits"):
        kit.skip("no get_write_buffer_limits")
    for given, expected in LIMITS:
        transport.set_write_buffer_limits(high=900_000, low=800_000)
        kit.equal(transport.get_write_buffer_limits(), (800_000, 900_000), "(low, high)")
        transport.set_write_buffer_limits(**given)
        kit.equal(transport.get_write_buffer_limits(), expected, f"(low, high) after {given}")
        kit.raises(ValueError, lambda: transport.set_write_buffer_limits(high=10, low=20))
        kit.equal(transport.get_write_buffer_limits(), expected, "(low, high) after others were refused")
    transport.abort()
    kit.run_for(0.005)


@case("FLOW-3")
def test_limits_count_at_once(kit: Kit) -> None:
    """A high-water mark set below what waits already pauses the protocol."""
    log, _ = kit.connection()
    log.transport.set_write_buffer_limits(high=1 << 30)
    log.transport.write(MUCH)
    kit.equal(log.flow, [], "calls below the mark")
    log.transport.set_write_buffer_limits(high=1000)
    kit.turns(2)
    kit.equal(log.flow, ["pause"], "calls above the new mark")
    log.transport.abort()
    end(kit, log)


MARKS = {"none": (200_000, 0), "some": (200_000, 1000), "most": (200_000, 190_000), "both_zero": (0, 0)}


@family("FLOW-3", marks=MARKS)
def test_resume_comes_at_the_low_mark(kit: Kit, marks: tuple[int, int]) -> None:
    """resume_writing comes, and no more waits then than the low-water mark allows"""
    high, low = marks
    sizes: list[int] = []
    log = kit.protocol(resume=lambda log, _: sizes.append(log.transport.get_write_buffer_size()))
    peer = tcp(kit, log)
    log.transport.set_write_buffer_limits(high=high, low=low)
    log.transport.write(MUCH)
    kit.reader(peer, peer.recv, 65536)
    kit.run(log.until_event("resume"))
    kit.equal([size for size in sizes if size > low], [], f"bytes that waited beyond {low}")
    kit.remove_reader(peer)
    kit.run(part(log))


PIECES = [b"ab", b"", b"cd", bytearray(b"ef"), memoryview(b"gh")]
LINES: dict[str, Callable[[], Iterable[Any]]] = {
    "list": lambda: list(PIECES),
    "tuple": lambda: tuple(PIECES),
    "generator": lambda: (piece for piece in PIECES),
    "iterator": lambda: iter(PIECES),
    "keys": lambda: dict.fromkeys((b"ab", b"cd", b"ef", b"gh")).keys(),
}


@family("STREAM-2", kind=("tcp", "write_pipe"))
def test_writelines_of_any_iterable(kit: Kit, kind: str) -> None:
    """writelines takes what can be gone through once, and sends each piece"""
    for name, lines in LINES.items():
        log = kit.protocol()
        read_end, write_end = kit.pipe()
        if kind == "tcp":
            peer = tcp(kit, log)
        else:
            file = os.fdopen(os.dup(write_end), "wb", 0)
            kit.run(kit.loop.connect_write_pipe(lambda log=log: log, file))  # type: ignore[misc]
        log.transport.writelines(lines())
        kit.run_for(0.002)
        got = peer.recv(100) if kind == "tcp" else os.read(read_end, 100)
        kit.equal(got, b"abcdefgh", f"bytes that arrived of a {name}")
        log.transport.abort()
        end(kit, log)


@case("TLS-2")
def test_writelines_over_tls(kit: Kit) -> None:
    """writelines over TLS takes what can be gone through once, and sends each piece."""
    log, inside = kit.protocol(), kit.protocol()
    kit.run(join(kit, contexts(), inside, log))
    for lines in LINES.values():
        log.transport.writelines(lines())
    size = 8 * len(LINES)
    kit.run(inside.until(lambda: len(inside.received) >= size))
    kit.equal(bytes(inside.received), b"abcdefgh" * len(LINES), "bytes that arrived")
    kit.run(part(log, inside))


LATE: dict[str, Callable[[Any], object]] = {
    "repr": repr,
    "write": lambda transport: [transport.write(b"x") for _ in range(7)],
    "writelines": lambda transport: transport.writelines([b"x"]),
    "write_eof": lambda transport: transport.write_eof(),
    "reading": lambda transport: (transport.pause_reading(), transport.resume_reading()),
    "close": lambda transport: transport.close(),
}


@family("STREAM-10", late=LATE, how=("close", "abort", "reset"))
def test_lost_transport_is_used(kit: Kit, late: Callable[[Any], object], how: str) -> None:
    """What is asked of a transport whose connection is lost does nothing and raises nothing (uvloop#506)"""
    log, peer = kit.connection()
    _ = reset(peer) if how == "reset" else getattr(log.transport, how)()
    end(kit, log)
    late(log.transport)
    kit.check(log.transport.is_closing(), "is_closing() is false")
    kit.turns(3)
    kit.equal(log.events, ["made", "lost"], "events")


@case("CLOSE-1")
def test_resume_of_a_closing_transport(kit: Kit) -> None:
    """resume_reading() of a transport that was paused and closed while bytes wait delivers nothing any more."""
    log, peer = kit.connection()
    log.pause_reading()
    log.transport.write(MUCH)
    log.transport.close()
    kit.put(peer, b"late")
    log.resume_reading()
    kit.run_for(0.005)
    kit.equal((log.transport.is_reading(), log.events), (False, ["made"]), "is_reading(), and events")
    log.transport.abort()
    end(kit, log)


@family("CONN-2", kind=("read_pipe", "write_pipe", "endpoint", "child"))
def test_unknown_name_of_other_transports(kit: Kit, kind: str) -> None:
    """get_extra_info of a name that is unknown gives the default"""

    class Any3(asyncio.Protocol, asyncio.DatagramProtocol, asyncio.SubprocessProtocol): ...

    async def main() -> tuple[object, object]:
        if kind == "child":
            transport, _ = await kit.loop.subprocess_exec(Any3, "true")
        elif kind == "endpoint":
            transport, _ = await kit.loop.create_datagram_endpoint(Any3, local_addr=(HERE, 0))  # type: ignore[assignment]
        else:
            number = os.dup(kit.pipe()[kind == "write_pipe"])
            connect: Any = getattr(kit.loop, f"connect_{kind}")
            transport, _ = await connect(Any3, os.fdopen(number, "rb" if kind == "read_pipe" else "wb", 0))
        seen = transport.get_extra_info("nonsense", 7), transport.get_extra_info("nonsense")
        transport.close()
        await asyncio.sleep(0.01)
        return seen

    kit.equal(kit.run(main()), (7, None), "get_extra_info with a default and without")


@family("CONN-2", kind=CONNECTIONS)
def test_socket_that_a_transport_tells(kit: Kit, kind: Callable[[Kit, Log], socket.socket]) -> None:
    """get_extra_info("socket") has the family, type and number of its connection, and sets options of it"""
    log = kit.protocol()
    peer = kind(kit, log)
    told = log.transport.get_extra_info("socket")
    kit.equal((told.family, told.type), (peer.family, socket.SOCK_STREAM), "family and type")
    for wanted in (1, 0):
        told.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, wanted)
        with socket.socket(fileno=os.dup(told.fileno())) as same:
            kit.equal(same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), wanted, "the option of its descriptor")
        kit.equal(told.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), wanted, "the option that it tells")
    log.transport.abort()
    end(kit, log)
