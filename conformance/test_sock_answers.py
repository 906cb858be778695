# real clock
"""Cases of what the sock_* calls answer (SOCK-*): the same whether the socket was ready or they had to wait."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case

WHEN = ("at_once", "after_a_wait")
WAIT_S = 0.003
Feed = Callable[[bytes], object]  # makes the other side send that
Answer = tuple[Any, Any]  # what was answered, and what has to be


async def answer(call: Awaitable[Any], feed: Callable[[], object], when: str) -> Any:
    """The call's result, its socket being fed before it or while it waits."""
    if when == "at_once":
        feed()
    task = asyncio.ensure_future(call)
    await asyncio.sleep(WAIT_S)
    if when != "at_once" and not task.done():
        feed()
    return await task


async def recv(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    got = await answer(kit.loop.sock_recv(sock, 3), lambda: feed(b"abcdef"), when)
    return (type(got), got, await kit.loop.sock_recv(sock, 100)), (bytes, b"abc", b"def")


async def recv_nothing(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    return await asyncio.wait_for(kit.loop.sock_recv(sock, 0), 1.0), b""


async def recv_into_slice(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    buffer = bytearray(b"......")
    count = await answer(kit.loop.sock_recv_into(sock, memoryview(buffer)[2:5]), lambda: feed(b"abcdef"), when)
    return (count, bytes(buffer)), (3, b"..abc.")


async def recv_into_numbers(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    numbers = array.array("H", [0, 0, 0])
    count = await answer(kit.loop.sock_recv_into(sock, numbers), lambda: feed(b"abcdef"), when)
    return (count, numbers.tobytes()), (6, b"abcdef")


async def recv_into_at_the_end(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    count = await answer(kit.loop.sock_recv_into(sock, bytearray(3)), lambda: feed(b""), when)
    return (type(count), count), (int, 0)


STREAMS = {f.__name__: f for f in (recv, recv_nothing, recv_into_slice, recv_into_numbers, recv_into_at_the_end)}


@family("SOCK-2", call=STREAMS, when=WHEN)
def test_answers_of_a_stream(kit: Kit, call: Any, when: str) -> None:
    """What is received of a stream is what was asked for, in the place that was given"""
    sock, peer = kit.socketpair()
    feed = lambda data: kit.put(peer, data) if data else peer.shutdown(socket.SHUT_WR)  # noqa: E731
    seen, wanted = kit.run(call(kit, sock, feed, when))
    kit.equal(seen, wanted, "received")


def need_datagrams(kit: Kit) -> None:
    if not hasattr(asyncio.AbstractEventLoop, "sock_recvfrom"):
        kit.skip("this Python has no sock_recvfrom")


async def recvfrom(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    return (await answer(kit.loop.sock_recvfrom(sock, 100), lambda: feed(b"abc"), when))[0], b"abc"


async def recvfrom_cut(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    first = await answer(kit.loop.sock_recvfrom(sock, 2), lambda: (feed(b"abc"), feed(b"d")), when)
    return (first[0], (await kit.loop.sock_recvfrom(sock, 100))[0]), (b"ab", b"d")


async def recvfrom_empty(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    return (await answer(kit.loop.sock_recvfrom(sock, 100), lambda: feed(b""), when))[0], b""


async def recvfrom_into_part(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    buffer = bytearray(b"....")
    count, _ = await answer(kit.loop.sock_recvfrom_into(sock, buffer, 2), lambda: feed(b"abcd"), when)
    return (count, bytes(buffer)), (2, b"ab..")


async def recvfrom_into_slice(kit: Kit, sock: socket.socket, feed: Feed, when: str) -> Answer:
    buffer = bytearray(b"....")
    count, _ = await answer(kit.loop.sock_recvfrom_into(sock, memoryview(buffer)[1:]), lambda: feed(b"ab"), when)
    return (count, bytes(buffer)), (2, b".ab.")


DATAGRAMS = {f.__name__: f for f in (recvfrom, recvfrom_cut, recvfrom_empty, recvfrom_into_part, recvfrom_into_slice)}


@family("SOCK-2", call=DATAGRAMS, when=WHEN)
def test_answers_of_datagrams(kit: Kit, call: Any, when: str) -> None:
    """What is received of a datagram is what was asked for, in the place that was given (cpython gh-148808)"""
    need_datagrams(kit)
    sock, sender = (kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
    sock.bind(("127.0.0.1", 0))
    seen, wanted = kit.run(call(kit, sock, lambda data: sender.sendto(data, sock.getsockname()), when))
    kit.equal(seen, wanted, "received")


@family("SOCK-2", data={"some": b"abc", "empty": b"", "view": memoryview(b"abc"), "bytearray": bytearray(b"abc")})
def test_sendto(kit: Kit, data: Any) -> None:
    """sock_sendto sends one datagram, also an empty one, and tells its size"""
    need_datagrams(kit)
    sock, receiver = (kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
    receiver.bind(("127.0.0.1", 0))
    count = kit.run(kit.loop.sock_sendto(sock, data, receiver.getsockname()))
    kit.equal((count, receiver.recv(100)), (len(data), bytes(data)), "size and datagram")


@family("SOCK-2", when=WHEN)
def test_sendall_tells_nothing(kit: Kit, when: str) -> None:
    """sock_sendall answers None, once all is sent"""
    sock, peer = kit.socketpair()
    if when != "at_once":
        kit.fill(sock)

    async def main() -> Any:
        call = asyncio.ensure_future(kit.loop.sock_sendall(sock, b"abc"))
        await asyncio.sleep(WAIT_S)
        while not call.done():
            with contextlib.suppress(BlockingIOError):
                peer.recv(1 << 20)
            await asyncio.sleep(0)
        return await call

    kit.equal(kit.run(main()), None, "answer")


class Fails(socket.socket):
    """A socket whose connect has to wait, and then cannot be asked how it ended."""

    def connect(self, address: Any) -> None:
        raise BlockingIOError

    def getsockopt(self, *_: Any) -> Any:
        raise OSError(9, "planted")  # EBADF


@case("SOCK-1")
def test_end_of_a_connect_that_cannot_be_asked(kit: Kit) -> None:
    """sock_connect ends when the socket fails to tell how its connect ended (zuvloop#155)."""
    sock, _peer = kit.socketpair()
    fails = kit.own(Fails(fileno=sock.detach()))

    async def main() -> bool:
        call = asyncio.ensure_future(kit.loop.sock_connect(fails, "/nonexistent/path"))
        done, _ = await asyncio.wait({call}, timeout=1)
        call.cancel()
        await asyncio.wait({call})
        return bool(done)

    kit.errors.clear()
    kit.check(kit.run(main()), "it does not end")


@family("SOCK-2", when=WHEN)
def test_accepted(kit: Kit, when: str) -> None:
    """sock_accept gives a non-blocking socket that is connected, and its client's address"""
    listener = kit.listener()
    clients: list[socket.socket] = []
    accepted, address = kit.run(
        answer(kit.loop.sock_accept(listener), lambda: clients.append(kit.client(listener)), when)
    )
    kit.own(accepted.dup())
    with accepted:
        kit.equal(accepted.getblocking(), False, "getblocking()")
        kit.equal((address, accepted.getpeername()), (clients[0].getsockname(),) * 2, "address")


def listening(kit: Kit, family_of: socket.AddressFamily, address: Any) -> socket.socket:
    if family_of == socket.AF_INET6:
        needs.ipv6(kit)
    listener = kit.own(socket.socket(family_of))
    listener.bind(address)
    listener.listen()
    return listener


V6_FORMS: dict[str, Callable[[Any], Any]] = {
    "two": lambda name: name[:2],
    "three": lambda name: name[:3],
    "four": lambda name: name[:4],
}


@family("SOCK-2", form=V6_FORMS)
def test_connect_to_ipv6(kit: Kit, form: Callable[[Any], Any]) -> None:
    """sock_connect takes an IPv6 address of two, three or four parts (uvloop#99)"""
    listener = listening(kit, socket.AF_INET6, ("::1", 0))
    sock = kit.own(socket.socket(socket.AF_INET6))
    kit.run(kit.loop.sock_connect(sock, form(listener.getsockname())))
    kit.equal(sock.getpeername(), listener.getsockname(), "peer")


@case("SOCK-2")
def test_connect_keeps_the_scope(kit: Kit) -> None:
    """sock_connect to a link-local address goes through the interface that the address names, its fourth part."""
    address = ("fe80::1", 9, 0, socket.if_nametoindex("lo"))
    needs.ipv6(kit)
    plain, given = (kit.own(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) for _ in range(2))
    expected = plain.connect_ex(address)  # without a scope EINVAL; with it 0, or no route

    async def connect() -> int | None:
        try:
            await kit.loop.sock_connect(given, address)
        except OSError as error:
            return error.errno
        return 0

    kit.equal(kit.run(connect()), expected, "errno")
    kit.equal(expected or given.getpeername(), expected or plain.getpeername(), "peer")


@case("SOCK-2")
def test_connect_to_a_name(kit: Kit) -> None:
    """sock_connect looks up the name of a host."""
    listener = listening(kit, socket.AF_INET, ("127.0.0.1", 0))
    sock = kit.own(socket.socket())
    kit.run(kit.loop.sock_connect(sock, ("localhost", listener.getsockname()[1])))
    kit.equal(sock.getpeername(), listener.getsockname(), "peer")


@family("SOCK-2", form={"text": os.fsdecode, "bytes": os.fsencode})
def test_connect_to_a_path(kit: Kit, form: Callable[[str], Any]) -> None:
    """sock_connect takes a path as text and as bytes, for streams and datagrams"""
    with tempfile.TemporaryDirectory() as folder:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            path = os.path.join(folder, str(int(kind)))
            with socket.socket(socket.AF_UNIX, kind) as owner:
                owner.bind(path)
                if kind == socket.SOCK_STREAM:
                    owner.listen()
                sock = kit.own(socket.socket(socket.AF_UNIX, kind))
                kit.run(kit.loop.sock_connect(sock, form(path)))
                kit.equal(sock.getpeername(), path, "peer")


@case("SOCK-1")
def test_connect_refused_on_every_family(kit: Kit) -> None:
    """A refused sock_connect raises what the socket raises, class and number, also for a path where nobody is."""
    for family_of, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0))):
        listener = listening(kit, family_of, address)
        nobody = listener.getsockname()
        listener.close()
        sock = kit.own(socket.socket(family_of))
        error = kit.raises(ConnectionRefusedError, lambda s=sock, a=nobody: kit.run(kit.loop.sock_connect(s, a)))
        kit.equal(getattr(error, "errno", None), 111, "errno")  # ECONNREFUSED
    sock = kit.own(socket.socket(socket.AF_UNIX))
    kit.raises(FileNotFoundError, lambda: kit.run(kit.loop.sock_connect(sock, "/nonexistent/path")))


@case("SOCK-2")
def test_sendto_waits_for_room(kit: Kit) -> None:
    """sock_sendto to a receiver that is full ends once there is room, tells the size, and arrives behind the others."""
    need_datagrams(kit)
    with tempfile.TemporaryDirectory() as directory:
        receiver, sender = (kit.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in range(2))
        receiver.bind(f"{directory}/receiver")
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += bool(sender.sendto(b"x", receiver.getsockname()))

        async def main() -> list[bytes]:
            call = asyncio.ensure_future(kit.loop.sock_sendto(sender, b"last", receiver.getsockname()))
            await asyncio.sleep(WAIT_S)
            if call.done():
                kit.fail(f"it ended with {call.result()!r} though there is no room")
            first = [receiver.recv(10) for _ in range(sent)]
            kit.equal(await call, 4, "size that it told")
            return [*first, receiver.recv(10)]

        kit.equal(kit.run(main()), [b"x"] * sent + [b"last"], "datagrams")


@family("SOCK-2", host=("127.0.0.1", "localhost"), protocol={"any": 0, "udp": socket.IPPROTO_UDP})
def test_connect_of_datagrams(kit: Kit, host: str, protocol: int) -> None:
    """sock_connect of a datagram socket resolves its address for datagrams (bpo-46827, bpo-33678)"""
    peer = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    peer.bind(("127.0.0.1", 0))
    sock = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM, protocol))
    kit.run(kit.loop.sock_connect(sock, (host, peer.getsockname()[1])))
    kit.equal(sock.getpeername(), peer.getsockname(), "peer")
