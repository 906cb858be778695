# real clock
"""Cases of datagrams that wait, and of endpoints on UNIX sockets (DGRAM-*)."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

Receiver = tuple[socket.socket, str]
TURN_MAX = 5000  # datagrams that come before anybody else has a turn: any loop that is fair has far fewer


class Told(asyncio.DatagramProtocol):
    """Counts what it is told."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.got: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.lost = kit.loop.create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.kit.recorder.note()
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.kit.recorder.note()
        self.lost.set_result(exc)


class Raises:
    """An error_received that raises."""

    def __init__(self, told: Told) -> None:
        self.told, self.calls = told, 0

    def __call__(self, exc: Exception) -> None:
        self.calls += 1
        raise ValueError("planted")


@contextmanager
def folder_of(kit: Kit, *names: str) -> Iterator[list[Receiver]]:
    """UNIX datagram sockets of the case's own, each bound to a path."""
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for name in names:
            sock = kit.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            sock.bind(os.path.join(folder, name))
            made.append((sock, os.path.join(folder, name)))
        yield made


def endpoint(kit: Kit, sock: socket.socket | None = None) -> tuple[Any, Told]:
    own = sock or socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told = Told(kit)
    transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, sock=own))
    return transport, told


def until_it_waits(kit: Kit, transport: Any, path: str) -> int:
    """Sends until datagrams wait in the loop; returns how many the kernel took."""
    for count in range(5000):
        transport.sendto(b"filler", path)
        if transport.get_write_buffer_size() > 0:
            return count
    kit.fail("nothing ever waited")


def take(sock: socket.socket, count: int) -> list[bytes]:
    taken = []
    for _ in range(count):
        try:
            taken.append(sock.recv(100))
        except BlockingIOError:
            break
    return taken


def end(kit: Kit, transport: Any, told: Told) -> None:
    transport.close()
    kit.run(asyncio.wait_for(told.lost, 3))
    kit.turns(2)


@case("DGRAM-1")
def test_paths_as_addresses(kit: Kit) -> None:
    """An endpoint on a UNIX socket sends to a path, and knows the path of who sends to it (uvloop#196)."""
    with folder_of(kit, "other") as [(other, path)]:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(path + ".own")
        transport, told = endpoint(kit, sock)
        transport.sendto(b"there", path)
        kit.turns(2)
        kit.equal(other.recvfrom(100), (b"there", path + ".own"), "datagram and sender")
        other.sendto(b"back", path + ".own")
        kit.run_for(0.003)
        kit.equal(told.got, [(b"back", path)], "datagram and sender")
        end(kit, transport, told)


@family("DGRAM-3", how=("one_by_one", "all_at_once"))
def test_size_of_what_waits(kit: Kit, how: str) -> None:
    """get_write_buffer_size counts the bytes of the datagrams that wait, and is nothing once they are sent"""
    with folder_of(kit, "slow") as [(slow, path)]:
        transport, told = endpoint(kit)
        sizes = [transport.get_write_buffer_size()]
        count = until_it_waits(kit, transport, path)
        for data in (b"a" * 1000, b"b" * 2000):
            transport.sendto(data, path)
        size = transport.get_write_buffer_size()
        kit.check(size >= 3006, f"get_write_buffer_size() is {size} where 3006 bytes wait")
        for _ in range(count + 10):
            take(slow, 1 if how == "one_by_one" else 100)
            kit.turns(2)
        sizes.append(transport.get_write_buffer_size() // 100)  # CPython 3.13 forgets a few bytes of each
        kit.equal(sizes, [0, 0], "bytes, and hundreds of bytes, that wait at first and at last")
        end(kit, transport, told)


@case("DGRAM-3")
def test_waiting_datagram_may_change(kit: Kit) -> None:
    """A bytearray that waits may be changed by its owner: what was sent arrives."""
    with folder_of(kit, "slow") as [(slow, path)]:
        transport, told = endpoint(kit)
        count = until_it_waits(kit, transport, path)
        data = bytearray(b"before")
        transport.sendto(data, path)
        data[:] = b"after!"
        take(slow, count)
        kit.run_for(0.003)
        kit.equal(take(slow, 5), [b"filler", b"before"], "datagrams that waited")
        end(kit, transport, told)


@case("DGRAM-2")
def test_error_in_the_queue(kit: Kit) -> None:
    """A waiting datagram that cannot be sent is told to error_received, once, and those behind it are sent."""
    with folder_of(kit, "slow", "other") as [(slow, path), (other, elsewhere)]:
        transport, told = endpoint(kit)
        count = until_it_waits(kit, transport, path)
        transport.sendto(b"nowhere", path + ".gone")
        transport.sendto(b"behind", path)
        transport.sendto(b"elsewhere", elsewhere)
        take(slow, count)
        kit.run_for(0.003)
        kit.equal((take(slow, 5), take(other, 5)), ([b"filler", b"behind"], [b"elsewhere"]), "datagrams that waited")
        kit.equal([type(error) for error in told.errors], [FileNotFoundError], "errors told")
        end(kit, transport, told)


@case("DGRAM-5")
def test_broadcast_by_its_name(kit: Kit) -> None:
    """sendto() knows the address "<broadcast>" of the socket module: here the kernel refuses it (uvloop#540)."""
    told = Told(kit)

    async def main() -> None:
        transport, _ = await kit.loop.create_datagram_endpoint(lambda: told, local_addr=("127.0.0.1", 0))
        transport.sendto(b"x", ("<broadcast>", 9))  # without allow_broadcast nothing leaves this machine
        await asyncio.sleep(0.005)
        transport.close()
        await told.lost

    kit.run(main())
    kit.equal([type(error) for error in told.errors], [PermissionError], "errors that were told")


class Chatter(Told):
    """Answers itself without an end, until it is told to stop or has done so more often than any loop may."""

    transport: Any = None
    is_heard = False

    def datagram_received(self, data: bytes, addr: Any) -> None:
        super().datagram_received(data, addr)
        if not self.is_heard and len(self.got) < TURN_MAX:
            self.transport.sendto(b"x", addr)


@case("DGRAM-1")
def test_endless_datagrams_let_others_in(kit: Kit) -> None:
    """An endpoint whose datagrams never end lets callbacks have their turn (libuv reads 32 a turn)."""
    told = Chatter(kit)

    async def main() -> None:
        told.transport, _ = await kit.loop.create_datagram_endpoint(lambda: told, local_addr=("127.0.0.1", 0))
        told.transport.sendto(b"x", told.transport.get_extra_info("sockname"))
        while not told.got:
            await asyncio.sleep(0)
        told.is_heard = True
        await asyncio.sleep(0)
        told.transport.close()
        await told.lost

    kit.run(main())
    kit.check(len(told.got) < TURN_MAX, f"{TURN_MAX} datagrams came before a callback")


@case("DGRAM-2")
def test_received_after_an_error(kit: Kit) -> None:
    """After each of three refusals (ICMP) that are told the next datagram that comes is delivered."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    address = peer.getsockname()
    told = Told(kit)
    transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, remote_addr=address))
    own = transport.get_extra_info("sockname")
    kit.equal(own[0], "127.0.0.1", "sockname of a connected endpoint")
    for number in range(3):
        peer.close()
        transport.sendto(b"into nothing")
        kit.run_for(0.003)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(address)
        peer.sendto(b"%d" % number, own)
        kit.run_for(0.003)
    peer.close()
    kit.equal([data for data, _ in told.got], [b"0", b"1", b"2"], "datagrams delivered")
    kit.equal({type(error) for error in told.errors}, {ConnectionRefusedError}, "errors told")
    end(kit, transport, told)


@family("DGRAM-6", how=("close", "abort"))
def test_state_of_an_endpoint(kit: Kit, how: str) -> None:
    """is_closing and get_protocol of an endpoint are right while it is open, closing and lost; its names stay"""
    told = Told(kit)
    transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, local_addr=("127.0.0.1", 0)))
    name = transport.get_extra_info("sockname")
    seen = [transport.is_closing(), transport.get_protocol() is told]
    getattr(transport, how)()
    seen.append(transport.is_closing())
    kit.run(asyncio.wait_for(told.lost, 3))
    seen.append(transport.is_closing())
    kit.equal(seen, [False, True, True, True], "is_closing, get_protocol, and is_closing twice")
    kit.equal((transport.get_extra_info("sockname"), transport.get_extra_info("x", 7)), (name, 7), "extra info")


@case("DGRAM-5")
def test_answers_to_a_broadcast(kit: Kit) -> None:
    """remote_addr with allow_broadcast is where datagrams go, and answers come from anybody (bpo-31922)."""
    peer, other = (kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
    peer.bind(("127.0.0.1", 0))
    told = Told(kit)
    options: dict[str, Any] = {"local_addr": ("127.0.0.1", 0), "remote_addr": peer.getsockname()}
    create = kit.loop.create_datagram_endpoint
    transport, _ = kit.run(create(lambda: told, allow_broadcast=True, **options))
    transport.sendto(b"who is there?")
    kit.run_for(0.003)
    data, address = peer.recvfrom(100)
    other.sendto(b"me", address)
    kit.run_for(0.003)
    kit.equal((data, [data for data, _ in told.got]), (b"who is there?", [b"me"]), "question and answers")
    end(kit, transport, told)


@case("DGRAM-2")
def test_path_where_nobody_is(kit: Kit) -> None:
    """sendto() to a UNIX path where nobody is, or is no more, tells error_received, and the next one arrives."""
    with folder_of(kit, "peer", "gone") as [(peer, path), (gone, left)]:
        gone.close()
        told = Told(kit)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, sock=sock))
        for address in (f"{path}-none", left, path):
            transport.sendto(b"x", address)
            kit.run_for(0.002)
        kit.equal([type(error) for error in told.errors], [FileNotFoundError, ConnectionRefusedError], "errors told")
        kit.equal(peer.recv(10), b"x", "what arrived")
        end(kit, transport, told)


@case("RAISE-1")
def test_received_after_error_received_raised(kit: Kit) -> None:
    """An endpoint whose error_received raises is told of the next error, and delivers the next datagram."""
    kit.errors.clear()
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    address, told = peer.getsockname(), Told(kit)
    told.error_received = raises = Raises(told)  # type: ignore[method-assign]
    transport, _ = kit.run(kit.loop.create_datagram_endpoint(lambda: told, remote_addr=address))
    for number in range(2):
        peer.close()
        transport.sendto(b"into nothing")
        kit.run_for(0.003)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(address)
        peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
        kit.run_for(0.003)
    peer.close()
    kit.equal(([data for data, _ in told.got], raises.calls), ([b"0", b"1"], 2), "datagrams, and errors told")
    kit.check(len(kit.errors) <= 2, f"the handler was told {len(kit.errors)} times")
    end(kit, transport, told)


@case("DGRAM-1")
def test_both_addresses_of_an_endpoint(kit: Kit) -> None:
    """local_addr and remote_addr of one endpoint both hold, each where it was given (uvloop#276, uvloop#46)."""
    peer, probe = (kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
    peer.bind(("127.0.0.1", 0))
    probe.bind(("127.0.0.1", 0))
    own = probe.getsockname()
    probe.close()
    told = Told(kit)
    create = kit.loop.create_datagram_endpoint
    transport, _ = kit.run(create(lambda: told, local_addr=own, remote_addr=peer.getsockname()))
    names = [transport.get_extra_info(name) for name in ("sockname", "peername")]
    transport.sendto(b"x")
    kit.run_for(0.003)
    kit.equal((names, peer.recvfrom(10)), ([own, peer.getsockname()], (b"x", own)), "names, and what came from where")
    end(kit, transport, told)
