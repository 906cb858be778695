# real clock
"""Cases of the sock_* calls at their edges (SOCK-*): errors, odd arguments, cancellation, several at once."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import reset
from loopcheck.resources import inode_of

PATTERN = bytes(range(256)) * 4096  # 1 MiB
Call = Callable[[Kit, socket.socket], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "recv": lambda kit, sock: kit.loop.sock_recv(sock, 10),
    "recv_into": lambda kit, sock: kit.loop.sock_recv_into(sock, bytearray(10)),
    "sendall": lambda kit, sock: kit.loop.sock_sendall(sock, PATTERN * 8),
}


async def cancelled(task: asyncio.Future[Any]) -> None:
    """Cancels a task that waits, and waits for its end."""
    await asyncio.sleep(0.003)
    task.cancel()
    await asyncio.wait({task})


@family("SOCK-1", call=CALLS, when=("before", "meanwhile"))
def test_reset_is_an_error(kit: Kit, call: Call, when: str) -> None:
    """A call on a connection that is reset, before it or while it waits, raises the error: it is no end of file"""
    given, peer = kit.tcp_pair()
    kit.own(given)

    async def main() -> BaseException | None:
        if when == "before":
            reset(peer)
        task = asyncio.ensure_future(call(kit, given))
        await asyncio.sleep(0.003)
        if when == "meanwhile":
            reset(peer)
        await asyncio.wait({task})
        return task.exception()

    error = kit.run(main())
    if isinstance(error, NotImplementedError):
        raise error
    kit.check(isinstance(error, ConnectionError), f"it ended with {error!r}")


@family("SOCK-1", call=CALLS)
def test_closed_socket(kit: Kit, call: Call) -> None:
    """A call on a socket that is closed raises OSError or ValueError, and the loop goes on"""
    left, _ = kit.socketpair()
    left.close()
    try:
        kit.run(asyncio.ensure_future(call(kit, left), loop=kit.loop))
    except (OSError, ValueError):
        kit.turns(3)
        return
    kit.fail("a closed socket was taken")


def unusable(kit: Kit) -> socket.socket:
    return kit.own(socket.socket())


FAULTS: dict[str, tuple[Callable[[Kit], Awaitable[Any]], set[int]]] = {
    "recv_unconnected": (lambda kit: kit.loop.sock_recv(unusable(kit), 10), {errno.ENOTCONN}),
    "send_unconnected": (lambda kit: kit.loop.sock_sendall(unusable(kit), b"x"), {errno.ENOTCONN, errno.EPIPE}),
    "accept_unbound": (lambda kit: kit.loop.sock_accept(unusable(kit)), {errno.EINVAL}),
    "accept_connected": (lambda kit: kit.loop.sock_accept(kit.client(kit.listener())), {errno.EINVAL}),
    "connect_twice": (
        lambda kit: kit.loop.sock_connect(kit.client(kit.listener()), ("127.0.0.1", 9)),
        {errno.EISCONN},
    ),
    "connect_unix_missing": (
        lambda kit: kit.loop.sock_connect(kit.own(socket.socket(socket.AF_UNIX)), "/nonexistent/x"),
        {errno.ENOENT},
    ),
    "connect_broadcast": (
        lambda kit: kit.loop.sock_connect(unusable(kit), ("255.255.255.255", 9)),
        {errno.ENETUNREACH, errno.EACCES, errno.EINVAL, errno.EHOSTUNREACH},
    ),
}


@family("SOCK-1", fault=FAULTS)
def test_errors_of_the_kernel(kit: Kit, fault: tuple[Callable[[Kit], Awaitable[Any]], set[int]]) -> None:
    """What the kernel refuses raises OSError with its number, twice alike, and the loop goes on"""
    call, numbers = fault
    for _ in range(2):
        error = kit.raises(OSError, lambda: kit.run(asyncio.wait_for(call(kit), 2)))
        kit.check(getattr(error, "errno", 0) in numbers, f"it raised {error!r}")
    kit.turns(3)


@family("SOCK-2", kind={"bytearray": bytearray, "memoryview": memoryview, "empty": None})
def test_kinds_of_data(kit: Kit, kind: Any) -> None:
    """sock_sendall takes a bytearray, a memoryview and nothing at all, and leaves them free to change"""
    left, right = kit.socketpair()
    data = bytearray(b"hello")

    async def main() -> bytes:
        await kit.loop.sock_sendall(left, kind(data) if kind else b"")
        await kit.loop.sock_sendall(left, b"!")
        return await kit.loop.sock_recv(right, 100)

    kit.equal(kit.run(main()), b"hello!" if kind else b"!", "what arrived")
    data.extend(b"more")


@case("SOCK-2")
def test_large_and_small_receives(kit: Kit) -> None:
    """sock_recv gives no more than was asked for and leaves the rest; a memoryview is filled in place."""
    left, right = kit.socketpair()
    space = bytearray(b"........")

    async def main() -> list[Any]:
        kit.put(right, b"abcdefgh")
        got: list[Any] = [await kit.loop.sock_recv(left, 3)]
        got.append(await kit.loop.sock_recv_into(left, memoryview(space)[2:4]))
        got.append(await kit.loop.sock_recv(left, 1 << 20))
        return [*got, bytes(space)]

    kit.equal(kit.run(main()), [b"abc", 2, b"fgh", b"..de...."], "what was received")


@case("SOCK-2")
def test_ten_exchanges_at_once(kit: Kit) -> None:
    """Ten pairs exchange 50 kB each at once, and none gets another's bytes."""

    async def one(number: int) -> bool:
        left, right = kit.socketpair()
        data = bytes([number]) * 50_000
        sender = asyncio.ensure_future(kit.loop.sock_sendall(left, data))
        got = bytearray()
        while len(got) < len(data):
            got += await kit.loop.sock_recv(right, 4096)
        await sender
        return bytes(got) == data

    async def main() -> list[bool]:
        return list(await asyncio.gather(*map(one, range(10))))

    kit.equal(kit.run(main()), [True] * 10, "exchanges that went well")


@case("SOCK-2")
def test_both_directions_of_one_socket(kit: Kit) -> None:
    """A sock_sendall that waits and a sock_recv on the same socket do not disturb each other."""
    left, right = kit.socketpair()

    async def main() -> tuple[bytes, int]:
        sender = asyncio.ensure_future(kit.loop.sock_sendall(left, PATTERN * 4))
        receiver = asyncio.ensure_future(kit.loop.sock_recv(left, 10))
        await asyncio.sleep(0.003)
        kit.put(right, b"hello")
        got = await receiver
        count = 0
        while count < 4 * len(PATTERN):
            count += len(await kit.loop.sock_recv(right, 1 << 20))
        await sender
        return got, count

    kit.equal(kit.run(main()), (b"hello", 4 * len(PATTERN)), "what each end received")


@case("SOCK-2")
def test_datagrams_into_a_buffer(kit: Kit) -> None:
    """sock_recvfrom_into fills the buffer, and tells size and sender (uvloop#561)."""
    if not hasattr(asyncio.AbstractEventLoop, "sock_recvfrom_into"):
        kit.skip("this Python has no sock_recvfrom_into")
    one, two = (kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
    for sock in (one, two):
        sock.bind(("127.0.0.1", 0))
    space = bytearray(10)

    async def main() -> tuple[int, object]:
        kit.later(0.003, one.sendto, b"hello", two.getsockname())
        return await kit.loop.sock_recvfrom_into(two, space)

    kit.equal(kit.run(main()), (5, one.getsockname()), "size and sender")
    kit.equal(bytes(space[:5]), b"hello", "buffer")


@family("SOCK-2", wrong=("tls", "text", "read_only", "number"))
def test_wrong_arguments(kit: Kit, wrong: str) -> None:
    """A TLS socket, text, a read-only buffer and a size that is no number raise TypeError (or ValueError)"""
    left, right = kit.socketpair()
    kit.put(right, b"hello")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    wrapped = context.wrap_socket(left.dup(), do_handshake_on_connect=False)
    wrapped.setblocking(False)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "tls": lambda: kit.loop.sock_recv(wrapped, 10),
        "text": lambda: kit.loop.sock_sendall(left, "text"),  # type: ignore[arg-type]
        "read_only": lambda: kit.loop.sock_recv_into(left, b"0123456789"),  # type: ignore[arg-type]
        "number": lambda: kit.loop.sock_recv(left, "10"),  # type: ignore[arg-type]
    }

    async def main() -> None:
        await asyncio.wait_for(calls[wrong](), 2)

    try:
        kit.run(main())
    except (TypeError, ValueError, BufferError):
        return
    finally:
        wrapped.close()
    kit.fail(f"{wrong} was taken")


@family("SOCK-3", call=("recv", "recv_into", "sendall", "accept", "connect"))
def test_cancelled_call_can_be_repeated(kit: Kit, call: str) -> None:
    """A call that is cancelled leaves no watcher; the socket can be closed, and its number used by another"""
    full = kit.own(socket.create_server(("127.0.0.1", 0), backlog=0))
    kit.client(full)  # the backlog is full: the next connect hangs
    left, _right = kit.socketpair()
    sock = {"accept": kit.listener, "connect": lambda: unusable(kit)}.get(call, lambda: left)()
    if call == "sendall":
        kit.fill(left)
    waits: dict[str, Call] = {
        **CALLS,
        "accept": lambda kit, sock: kit.loop.sock_accept(sock),
        "connect": lambda kit, sock: kit.loop.sock_connect(sock, full.getsockname()),
    }

    async def main() -> None:
        for _ in range(3):
            await cancelled(asyncio.ensure_future(waits[call](kit, sock)))
        kit.check(not kit.loop.remove_reader(sock.fileno()), "a reader is left")
        kit.check(not kit.loop.remove_writer(sock.fileno()), "a writer is left")
        sock.close()
        one, other = kit.socketpair()
        kit.later(0.003, kit.put, other)
        await kit.loop.sock_recv(one, 10)

    kit.run(main())


@family("SOCK-3", call=("recv", "accept"))
def test_cancelled_in_the_turn_of_its_event(kit: Kit, call: str) -> None:
    """A call cancelled in the very turn in which its event comes loses neither bytes nor client (cpython gh-153761)"""
    left, right = kit.socketpair()
    listener = kit.listener()
    taken: list[Any] = []

    async def take() -> Any:
        if call == "recv":
            return await kit.loop.sock_recv(left, 10)
        return kit.own((await kit.loop.sock_accept(listener))[0])

    async def main() -> None:
        task = asyncio.ensure_future(take())
        await asyncio.sleep(0.003)
        kit.put(right, b"x") if call == "recv" else kit.client(listener)
        kit.soon(task.cancel)
        await asyncio.wait({task})
        taken.append(await asyncio.wait_for(take(), 1) if task.cancelled() else task.result())

    kit.run(main())
    kit.equal(len(taken), 1, "what was received or accepted")


@case("SOCK-3")
def test_closed_while_it_waits(kit: Kit) -> None:
    """A socket closed under a call that waits, which is then cancelled: the next owner of its number is not touched."""
    left, right = socket.socketpair()
    left.setblocking(False)

    async def main() -> None:
        task = asyncio.ensure_future(kit.loop.sock_recv(left, 10))
        await asyncio.sleep(0.003)
        number, inode = left.fileno(), inode_of(left.fileno())
        left.close()
        right.close()
        task.cancel()
        await asyncio.wait({task})
        held = [kit.socketpair() for _ in range(3)]
        kit.check(inode_of(number) not in (-1, inode), "nobody got the number")  # the loop itself may have got it
        for one, other in held:
            kit.put(other, b"mine")
            kit.equal(await asyncio.wait_for(kit.loop.sock_recv(one, 10), 2), b"mine", "data of the next owner")
            kit.check(inode_of(one.fileno()) >= 0, "the next owner's socket was closed")

    kit.run(main())


@case("SOCK-3")
def test_hundred_cancelled_connects(kit: Kit) -> None:
    """A hundred sock_connects that are cancelled at once leave a loop that connects and sleeps (uvloop#378)."""
    full = kit.own(socket.create_server(("127.0.0.1", 0), backlog=0))
    kit.client(full)
    listener = kit.listener()

    async def main() -> None:
        connect = kit.loop.sock_connect
        tasks = [asyncio.ensure_future(connect(unusable(kit), full.getsockname())) for _ in range(100)]
        await asyncio.sleep(0.003)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await connect(unusable(kit), listener.getsockname())

    kit.run(main())


@case("SOCK-2")
def test_fd_zero(kit: Kit) -> None:
    """The descriptor 0 can be watched like any other (talyn BUG-035)."""
    read_end, write_end = kit.pipe()
    saved = os.dup(0)
    calls: list[int] = []
    try:
        os.dup2(read_end, 0)
        kit.loop.add_reader(0, lambda: (calls.append(1), kit.loop.remove_reader(0)))
        kit.put(write_end)
        kit.run_for(0.005)
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    kit.equal(calls, [1], "calls of the reader")


RECEIVE: dict[str, Callable[[Kit, socket.socket], Awaitable[Any]]] = {
    "recv": lambda kit, sock: kit.loop.sock_recv(sock, 10),
    "recv_into": lambda kit, sock: kit.loop.sock_recv_into(sock, bytearray(10)),
    "recvfrom": lambda kit, sock: kit.loop.sock_recvfrom(sock, 10),
    "recvfrom_into": lambda kit, sock: kit.loop.sock_recvfrom_into(sock, bytearray(10)),
}


@family("SOCK-1", call=RECEIVE)
def test_refusal_while_it_waits(kit: Kit, call: Callable[[Kit, socket.socket], Awaitable[Any]]) -> None:
    """A call that waits at a connected datagram socket raises the refusal (ICMP) of what is sent meanwhile"""
    if sys.version_info < (3, 11) and call not in (RECEIVE["recv"], RECEIVE["recv_into"]):
        kit.skip("this Python's loops have no sock_recvfrom")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.99.0.3", 0))
        address = unused.getsockname()
    sock = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.connect(address)

    async def main() -> None:
        task = asyncio.ensure_future(call(kit, sock))
        await asyncio.sleep(0.003)
        sock.send(b"to nobody")
        await asyncio.wait_for(task, 2)

    kit.raises(ConnectionRefusedError, lambda: kit.run(main()))


@case("SOCK-1")
def test_error_queue_of_a_datagram_socket(kit: Kit) -> None:
    """sock_recv on a connected datagram socket raises the refusal (ICMP), and later gets what comes (zuvloop#45)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.99.0.2", 0))  # where no other process takes a port by chance
        address = unused.getsockname()
    sock = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.connect(address)
    sock.send(b"to nobody")
    kit.raises(ConnectionRefusedError, lambda: kit.run(kit.loop.sock_recv(sock, 10)))
    peer = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    peer.bind(address)
    peer.sendto(b"hello", sock.getsockname())
    kit.equal(kit.run(kit.loop.sock_recv(sock, 10)), b"hello", "what came later")
