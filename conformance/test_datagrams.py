# real clock
"""Cases of datagram endpoints (DGRAM-*)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case

HERE = ("127.0.0.1", 0)
BURST = 600  # more than the queue of a UNIX datagram socket takes


class Endpoint(asyncio.DatagramProtocol):
    """Writes down what it is told; `on_data` is called with itself, the data and the address."""

    def __init__(self, kit: Kit, on_data: Callable[[Endpoint, bytes, Any], object] | None = None) -> None:
        self.kit, self.on_data = kit, on_data
        self.got: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.events: list[str] = []  # made, pause, resume, lost
        self.transport: Any = None
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._seen("made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.kit.check(self.events[:1] == ["made"] and "lost" not in self.events, "a datagram out of time")
        self.got.append((data, addr))
        self._seen()
        if self.on_data:
            self.on_data(self, data, addr)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)
        self._seen()

    def pause_writing(self) -> None:
        self._seen("pause")

    def resume_writing(self) -> None:
        self._seen("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen("lost")

    def _seen(self, *event: str) -> None:
        self.kit.recorder.note()
        self.events += event
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def close(self) -> None:
        self.transport.close()
        await self.until(lambda: "lost" in self.events)


async def endpoint(kit: Kit, on_data: Any = None, **options: Any) -> Endpoint:
    """An open endpoint; on a free port of 127.0.0.1 where nothing else is said."""
    _, protocol = await kit.loop.create_datagram_endpoint(
        lambda: Endpoint(kit, on_data), **(options or {"local_addr": HERE})
    )
    return protocol


def socket_of(kit: Kit, kind: int = socket.AF_INET, address: Any = HERE) -> socket.socket:
    """A bound datagram socket of the case's own."""
    sock = kit.own(socket.socket(kind, socket.SOCK_DGRAM))
    sock.bind(address)
    return sock


def dead_port() -> tuple[str, int]:
    """An address where no socket is bound, on a host that no other process takes a port of by chance."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.99.0.1", 0))
        address: tuple[str, int] = unused.getsockname()
    return address


def echo(one: Endpoint, data: bytes, address: Any) -> None:
    one.transport.sendto(data.upper(), address)


@case("DGRAM-1")
def test_there_and_back(kit: Kit) -> None:
    """Datagrams go both ways between two endpoints, each with its sender's address, whole and in order."""

    async def main() -> tuple[list[bytes], bool]:
        server, client = await endpoint(kit, echo), await endpoint(kit)
        address = server.transport.get_extra_info("sockname")
        for data in (b"one", bytearray(b"two"), memoryview(b"three")):
            client.transport.sendto(data, address)
        await client.until(lambda: len(client.got) == 3)
        await server.close()
        await client.close()
        return [data for data, _ in client.got], all(sender == address for _, sender in client.got)

    kit.equal(kit.run(main()), ([b"ONE", b"TWO", b"THREE"], True), "datagrams, and are the senders right")


@case("DGRAM-1")
def test_ends_of_a_socketpair(kit: Kit) -> None:
    """An endpoint on one end of a socketpair, which has no name, talks to the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    kit.own(theirs).setblocking(False)

    async def main() -> tuple[bytes, list[bytes]]:
        one = await endpoint(kit, sock=ours)
        there = asyncio.ensure_future(kit.loop.sock_recv(theirs, 100))
        there.add_done_callback(lambda _: one.changed.set())
        one.transport.sendto(b"there")
        await one.until(lambda: there.done() or "lost" in one.events)
        kit.check(there.done(), "the endpoint was lost, and nothing sent")
        theirs.send(b"back")
        await one.until(lambda: one.got)
        await one.close()
        return there.result(), [data for data, _ in one.got]

    kit.equal(kit.run(main()), (b"there", [b"back"]), "datagrams there and back")


@family("DGRAM-1", size={"one": 1, "thousand": 1000, "large": 60_000, "largest": 65_507})
def test_sizes(kit: Kit, size: int) -> None:
    """A datagram of any size that IPv4 allows arrives whole, in one piece"""
    peer = socket_of(kit)

    async def main() -> tuple[bytes, list[int]]:
        one = await endpoint(kit)
        one.transport.sendto(b"x" * size, peer.getsockname())
        data = await kit.loop.sock_recv(peer, 70_000)
        peer.sendto(data, one.transport.get_extra_info("sockname"))
        await one.until(lambda: one.got)
        await one.close()
        return data, [len(data) for data, _ in one.got]

    data, got = kit.run(main())
    kit.equal((len(data), got), (size, [size]), "sizes that arrived")


@family("DGRAM-1", way=("remote_addr", "connected_socket", "ipv6", "unix", "unix_abstract"))
def test_connected_endpoint(kit: Kit, way: str) -> None:
    """A connected endpoint knows its peer and sends without an address (uvloop#319, uvloop#196, rsloop PR#56)"""
    if way == "ipv6":
        needs.ipv6(kit)
    with tempfile.TemporaryDirectory() as directory:
        path = f"\0loopcheck-dgram-{os.getpid()}" if way == "unix_abstract" else f"{directory}/peer"
        kind = {"ipv6": socket.AF_INET6, "unix": socket.AF_UNIX, "unix_abstract": socket.AF_UNIX}.get(way, 2)
        peer = socket_of(kit, kind, {socket.AF_INET6: ("::1", 0), socket.AF_UNIX: path}.get(kind, HERE))
        options: dict[str, Any] = {"remote_addr": peer.getsockname()[:2] if kind != socket.AF_UNIX else path}
        if way != "remote_addr" and kind != socket.AF_INET6:
            options = {"sock": socket.socket(kind, socket.SOCK_DGRAM)}
            options["sock"].setblocking(False)
            options["sock"].connect(peer.getsockname())

        async def main() -> bytes:
            one = await endpoint(kit, **options)
            one.transport.sendto(b"hello")
            data = await kit.loop.sock_recv(peer, 100)
            await one.close()
            return data

        kit.equal(kit.run(main()), b"hello", "what arrived")


@case("DGRAM-1")
def test_peername_of_a_connected_endpoint(kit: Kit) -> None:
    """With remote_addr get_extra_info("peername") is the peer; without, None (rsloop PR#56)."""
    peer = socket_of(kit)

    async def main() -> list[object]:
        ends = [await endpoint(kit, remote_addr=peer.getsockname()), await endpoint(kit)]
        names = [one.transport.get_extra_info("peername") for one in ends]
        for one in ends:
            await one.close()
        return names

    kit.equal(kit.run(main()), [peer.getsockname(), None], "peernames")


@case("DGRAM-1")
def test_burst_in_order(kit: Kit) -> None:
    """A hundred datagrams that wait together are all delivered, in order, and others get their turn."""
    peer = socket_of(kit)
    turns: list[int] = []

    async def main() -> list[int]:
        one = await endpoint(kit, lambda *_: kit.loop.call_soon(turns.append, 1))
        for i in range(100):
            peer.sendto(b"%d" % i, one.transport.get_extra_info("sockname"))
        await one.until(lambda: len(one.got) == 100)
        await one.close()
        return [int(data) for data, _ in one.got]

    kit.equal(kit.run(main()), list(range(100)), "datagrams")
    kit.check(turns, "no callback ran meanwhile")


@case("DGRAM-2")
def test_refused_is_told(kit: Kit) -> None:
    """A connected endpoint is told of a refusal (ICMP), stays open, and still gets datagrams (cpython gh-156784)."""
    address = dead_port()

    async def main() -> bytes:
        one = await endpoint(kit, remote_addr=address)
        one.transport.sendto(b"to nobody")
        await one.until(lambda: one.errors)
        peer = socket_of(kit, address=address)
        peer.sendto(b"here now", one.transport.get_extra_info("sockname"))
        await one.until(lambda: one.got)
        kit.check(isinstance(one.errors[0], ConnectionRefusedError), f"error_received was given {one.errors[0]!r}")
        kit.equal(one.events, ["made"], "events")
        await one.close()
        return one.got[0][0]

    kit.equal(kit.run(main()), b"here now", "datagram after the refusal")


@family("DGRAM-2", fault=("too_large", "port_zero"))
def test_failed_send_is_told(kit: Kit, fault: str) -> None:
    """A datagram that the kernel refuses is told to error_received, and the endpoint stays open (uvloop#338)"""
    peer = socket_of(kit)

    async def main() -> tuple[int | None, bytes]:
        one = await endpoint(kit)
        if fault == "too_large":
            one.transport.sendto(bytes(70_000), peer.getsockname())
        else:
            one.transport.sendto(b"x", ("127.0.0.1", 0))
        await one.until(lambda: one.errors or "lost" in one.events)
        kit.equal(one.events, ["made"], "events")
        one.transport.sendto(b"hello", peer.getsockname())
        data = await kit.loop.sock_recv(peer, 100)
        await one.close()
        return getattr(one.errors[0], "errno", None), data

    number = errno.EMSGSIZE if fault == "too_large" else errno.EINVAL
    kit.equal(kit.run(main()), (number, b"hello"), "errno, and the next datagram")


@case("DGRAM-2")
def test_raising_datagram_received(kit: Kit) -> None:
    """An exception in datagram_received is reported, and the next datagrams are delivered."""
    peer = socket_of(kit)

    async def main() -> int:
        one = await endpoint(kit, lambda one, *_: 1 // (len(one.got) - 1))
        for _ in range(3):
            peer.sendto(b"x", one.transport.get_extra_info("sockname"))
        await one.until(lambda: len(one.got) == 3)
        await one.close()
        return len(one.got)

    kit.equal(kit.run(main()), 3, "datagrams")
    told = [context.get("exception") for context in kit.errors]
    kit.check([type(error) for error in told] == [ZeroDivisionError], f"the exception handler was told {told!r}")


async def crowd(kit: Kit, directory: str) -> tuple[Endpoint, socket.socket]:
    """An endpoint that has sent BURST datagrams to a peer which reads none."""
    peer = socket_of(kit, socket.AF_UNIX, f"{directory}/peer")
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.connect(peer.getsockname())
    one = await endpoint(kit, sock=ours)
    one.transport.set_write_buffer_limits(high=1000)
    for i in range(BURST):
        one.transport.sendto(b"%06d" % i * 10)
    return one, peer


async def numbers(kit: Kit, peer: socket.socket, count: int) -> list[int]:
    return [int((await kit.loop.sock_recv(peer, 100))[:6]) for _ in range(count)]


@case("DGRAM-3")
def test_queue_is_kept_in_order(kit: Kit) -> None:
    """What the kernel does not take waits, pauses the protocol, and is sent in order (cpython gh-135444)."""

    async def main(directory: str) -> tuple[bool, list[str], int]:
        one, peer = await crowd(kit, directory)
        kit.check("pause" in one.events, "pause_writing did not come")
        got = await numbers(kit, peer, BURST)
        await one.until(lambda: "resume" in one.events)
        left = one.transport.get_write_buffer_size()
        await one.close()
        return got == list(range(BURST)), one.events, left

    with tempfile.TemporaryDirectory() as directory:
        seen = kit.run(main(directory))
        kit.equal(seen, (True, ["made", "pause", "resume", "lost"], 0), "in order, events, bytes left")


@case("DGRAM-3")
def test_close_sends_what_waits(kit: Kit) -> None:
    """close() sends the datagrams that wait before connection_lost."""

    async def main(directory: str) -> bool:
        one, peer = await crowd(kit, directory)
        one.transport.close()
        await asyncio.sleep(0.005)
        kit.check("lost" not in one.events, "connection_lost came before the queue was sent")
        got = await numbers(kit, peer, BURST)
        await one.until(lambda: "lost" in one.events)
        return got == list(range(BURST))

    with tempfile.TemporaryDirectory() as directory:
        kit.check(kit.run(main(directory)), "other datagrams arrived")


@case("DGRAM-3")
def test_abort_drops_what_waits(kit: Kit) -> None:
    """abort() drops the datagrams that wait: connection_lost comes though the peer reads none."""

    async def main(directory: str) -> int:
        one, peer = await crowd(kit, directory)
        one.transport.abort()
        await one.until(lambda: "lost" in one.events)
        got = 0
        with contextlib.suppress(BlockingIOError):
            while peer.recv(100):
                got += 1
        return got

    with tempfile.TemporaryDirectory() as directory:
        kit.check(kit.run(main(directory)) < BURST, "everything was sent")


@family("DGRAM-4", way=("close", "abort"))
def test_end_in_own_callback(kit: Kit, way: str) -> None:
    """After close() or abort() in datagram_received none of ten that wait is delivered (zuvloop#77)"""
    peer = socket_of(kit)

    async def main() -> list[str]:
        one = await endpoint(kit, lambda one, *_: getattr(one.transport, way)())
        for _ in range(10):
            peer.sendto(b"x", one.transport.get_extra_info("sockname"))
        await one.until(lambda: "lost" in one.events)
        await asyncio.sleep(0.005)
        kit.equal(len(one.got), 1, f"datagrams delivered, with {way}() in the first")
        return one.events

    kit.equal(kit.run(main()), ["made", "lost"], "events")


@family("DGRAM-4", when=("close", "connection_lost"))
def test_send_after(kit: Kit, when: str) -> None:
    """sendto(), close() and abort() after the end raise nothing, and tell the protocol nothing (uvloop#207)"""
    peer = socket_of(kit)

    async def main() -> list[str]:
        one = await endpoint(kit)
        one.transport.close()
        kit.check(one.transport.is_closing(), "is_closing() is false after close()")
        if when == "connection_lost":
            await one.until(lambda: "lost" in one.events)
        one.transport.sendto(b"late", peer.getsockname())
        one.transport.close()
        one.transport.abort()
        await one.until(lambda: "lost" in one.events)
        await asyncio.sleep(0.005)
        return one.events

    kit.equal(kit.run(main()), ["made", "lost"], "events")


@family("DGRAM-5", port={"high": 70_000, "negative": -1, "31_bits": 2**31, "64_bits": 2**64})
def test_port_out_of_range(kit: Kit, port: int) -> None:
    """A datagram to a port that does not exist is sent to no other one (zuvloop#18)"""
    kit.errors.clear()  # it may be reported there
    try:
        peer = socket_of(kit, address=("127.0.0.1", port & 0xFFFF))
    except OSError:
        peer = socket_of(kit)  # the port is not to be had; that nothing crashes is judged all the same

    async def main() -> None:
        one = await endpoint(kit)
        with contextlib.suppress(OverflowError, OSError, ValueError):
            one.transport.sendto(b"x", ("127.0.0.1", port))
        await asyncio.sleep(0.005)
        await one.close()

    kit.run(main())
    kit.raises(BlockingIOError, peer.recv, 100)


@family("DGRAM-5", wrong=("data", "other_address", "sock_and_address", "no_address", "reuse_address"))
def test_wrong_arguments(kit: Kit, wrong: str) -> None:
    """Arguments that make no sense raise TypeError or ValueError"""
    sock = socket_of(kit)
    peer = sock.getsockname()

    async def main() -> None:
        if wrong == "sock_and_address":
            await endpoint(kit, sock=sock, local_addr=HERE)
        elif wrong == "no_address":
            await endpoint(kit, family=0)
        elif wrong == "reuse_address":
            await endpoint(kit, local_addr=HERE, reuse_address=True)
        one = await endpoint(kit, remote_addr=peer)
        try:
            one.transport.sendto("text") if wrong == "data" else one.transport.sendto(b"x", ("127.0.0.2", 9))
        finally:
            await one.close()

    try:
        kit.run(main())
    except (TypeError, ValueError):
        return
    kit.fail(f"{wrong} was accepted")


@case("DGRAM-5")
def test_options_of_the_socket(kit: Kit) -> None:
    """allow_broadcast sets SO_BROADCAST, and only it does; reuse_port lets two share an address."""

    async def main() -> list[int]:
        ends = [await endpoint(kit, local_addr=HERE, allow_broadcast=allow) for allow in (True, None)]
        option = (socket.SOL_SOCKET, socket.SO_BROADCAST)
        flags = [one.transport.get_extra_info("socket").getsockopt(*option) for one in ends]
        shared = await endpoint(kit, local_addr=HERE, reuse_port=True)
        address = shared.transport.get_extra_info("sockname")
        ends += [shared, await endpoint(kit, local_addr=address, reuse_port=True)]
        for one in ends:
            await one.close()
        return flags

    kit.equal(kit.run(main()), [1, 0], "SO_BROADCAST")


@case("DGRAM-5")
def test_address_in_use(kit: Kit) -> None:
    """A second endpoint on the same address raises OSError and leaves no fd, and the first goes on."""

    async def main() -> int | None:
        one = await endpoint(kit)
        address = one.transport.get_extra_info("sockname")
        try:
            await endpoint(kit, local_addr=address)
        except OSError as error:
            return error.errno
        finally:
            await one.close()
        return 0

    kit.equal(kit.run(main()), errno.EADDRINUSE, "errno")


@case("DGRAM-5")
def test_sendto_the_connected_peer(kit: Kit) -> None:
    """On a connected endpoint the peer's own address may be named (zuvloop#19)."""
    peer = socket_of(kit)

    async def main() -> bytes:
        one = await endpoint(kit, remote_addr=peer.getsockname())
        one.transport.sendto(b"hello", peer.getsockname())
        data = await kit.loop.sock_recv(peer, 100)
        await one.close()
        return data

    kit.equal(kit.run(main()), b"hello", "what arrived")


@family("DGRAM-1", name={"path": "", "abstract": "\0"})
def test_endpoint_of_unix_addresses(kit: Kit, name: str) -> None:
    """local_addr and remote_addr of an endpoint of AF_UNIX are names, by which datagrams go both ways (uvloop#403)"""
    with tempfile.TemporaryDirectory() as directory:
        local, remote = (f"{name}{directory}/{end}" for end in ("local", "remote"))
        peer = socket_of(kit, socket.AF_UNIX, remote)

        async def main() -> list[bytes]:
            one = await endpoint(kit, local_addr=local, remote_addr=remote, family=socket.AF_UNIX)
            one.transport.sendto(b"hello")
            data = await kit.loop.sock_recv(peer, 100)
            peer.sendto(b"answer", local)
            await one.until(lambda: one.got)
            await one.close()
            return [data, one.got[0][0]]

        kit.equal(kit.run(main()), [b"hello", b"answer"], "datagrams")
