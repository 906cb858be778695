# real clock
"""Patterns over every kind of thing that has a descriptor or calls back: numbers that are used again, exceptions."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit
from loopcheck.protocols import reset
from loopcheck.resources import inode_of
from loopcheck.tls import NAME, contexts

HERE = "127.0.0.1"
PIPES = 12  # that take the numbers which an operation has given back
Operation = Callable[[Kit], Awaitable[object]]


async def connection(kit: Kit, way: str) -> None:
    """A connection that ends by itself, by us, or by an exception."""
    given, peer = kit.tcp_pair()
    log = kit.protocol(data=lambda log, data: 1 // 0) if way == "raise" else kit.protocol()
    await kit.loop.create_connection(lambda: log, sock=given)
    if way == "reset":
        reset(peer)
    elif way == "raise":
        kit.errors.clear()
        kit.put(peer)
    else:
        getattr(log.transport, way)()
    await log.until_event("lost")
    peer.close()


async def server(kit: Kit) -> None:
    made = await kit.loop.create_server(asyncio.Protocol, HERE, 0)
    made.close()
    await asyncio.sleep(0.002)


async def accepted(kit: Kit) -> None:
    log = kit.protocol(data=lambda log, data: log.transport.close())
    made = await kit.loop.create_server(lambda: log, HERE, 0)
    with socket.create_connection(made.sockets[0].getsockname()) as client:
        client.sendall(b"x")
        await log.until_event("lost")
    made.close()


async def datagrams(kit: Kit, way: str) -> None:
    transport, _ = await kit.loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(HERE, 0))
    getattr(transport, way)()
    await asyncio.sleep(0.002)


async def pipe(kit: Kit, end: str) -> None:
    read_end, write_end = os.pipe()
    if end == "read":
        connect, file, other = kit.loop.connect_read_pipe, os.fdopen(read_end, "rb", 0), write_end
    else:
        connect, file, other = kit.loop.connect_write_pipe, os.fdopen(write_end, "wb", 0), read_end
    transport, _ = await connect(asyncio.Protocol, file)
    transport.close()
    await asyncio.sleep(0.002)
    os.close(other)


async def refused(kit: Kit) -> None:
    with socket.create_server((HERE, 0)) as listener:
        address = listener.getsockname()
    with contextlib.suppress(OSError):
        await kit.loop.create_connection(asyncio.Protocol, *address)


async def failed_handshake(kit: Kit) -> None:
    given, peer = kit.tcp_pair()
    kit.put(peer, b"this is no TLS at all")
    with contextlib.suppress(OSError):
        await kit.loop.create_connection(asyncio.Protocol, sock=given, ssl=contexts().client, server_hostname=NAME)
    peer.close()


async def cancelled(kit: Kit, call: str) -> None:
    """A sock_* call that is cancelled, and its socket closed at once."""
    if call == "accept":
        sock = socket.create_server((HERE, 0))
    else:
        sock, other = socket.socketpair()
        other.setblocking(False)
    sock.setblocking(False)
    task = asyncio.ensure_future(kit.loop.sock_accept(sock) if call == "accept" else kit.loop.sock_recv(sock, 1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    sock.close()


async def child(kit: Kit) -> None:
    pipes = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("/bin/cat", stdin=pipes, stdout=pipes)
    await process.communicate(b"x")


async def watcher(kit: Kit) -> None:
    left, right = socket.socketpair()
    kit.loop.add_reader(left.fileno(), int)
    kit.loop.add_writer(left.fileno(), int)
    await asyncio.sleep(0)
    kit.loop.remove_reader(left.fileno())
    kit.loop.remove_writer(left.fileno())
    left.close()
    right.close()


OPERATIONS: dict[str, Operation] = {
    **{f"connection_{way}": lambda kit, way=way: connection(kit, way) for way in ("close", "abort", "reset", "raise")},
    "server": server,
    "accepted": accepted,
    **{f"datagrams_{way}": lambda kit, way=way: datagrams(kit, way) for way in ("close", "abort")},
    **{f"{end}_pipe": lambda kit, end=end: pipe(kit, end) for end in ("read", "write")},
    "refused": refused,
    "failed_handshake": failed_handshake,
    **{f"cancelled_{call}": lambda kit, call=call: cancelled(kit, call) for call in ("accept", "recv")},
    "child": child,
    "watcher": watcher,
}


@contextlib.contextmanager
def new_owners(kit: Kit) -> Iterator[None]:
    """Pipes in the numbers that are free, each with a byte in it, which must be there in the end."""
    ends = [os.pipe() for _ in range(PIPES)]
    owned = {fd: inode_of(fd) for pair in ends for fd in pair}
    for _, write_end in ends:
        os.write(write_end, b"x")
        os.set_blocking(write_end, True)
    try:
        yield
        stolen = [fd for fd, inode in owned.items() if inode_of(fd) != inode]
        kit.equal(stolen, [], "descriptors that were closed under their new owner")
        for read_end, _ in ends:
            os.set_blocking(read_end, False)
            try:
                kit.equal(os.read(read_end, 10), b"x", f"what the new owner of fd {read_end} finds in its pipe")
            except BlockingIOError:
                kit.fail(f"somebody has read from fd {read_end}, which has a new owner")
    finally:
        for fd, inode in owned.items():
            if inode_of(fd) == inode:
                os.close(fd)


@family("LIFE-13", operation=OPERATIONS)
def test_next_owner_of_a_number(kit: Kit, operation: Operation) -> None:
    """When an operation is over, nobody closes, reads or watches what gets its descriptors' numbers next"""
    kit.run(operation(kit))
    with new_owners(kit):
        gc.collect()
        kit.run_for(0.004)
        gc.collect()
        kit.run(operation(kit))
        kit.run_for(0.004)


class Planted(Exception):
    """Raised on purpose by a callback."""


ERRORS: dict[str, type[BaseException]] = {"exception": Planted, "cancelled": asyncio.CancelledError}
LEAVING: dict[str, type[BaseException]] = {"exit": SystemExit, "interrupt": KeyboardInterrupt}


def raising(names: tuple[str, ...], base: type, at: str, error: type[BaseException], ran: list[str]) -> Any:
    """A protocol of this base whose method `at` raises."""

    def method(name: str) -> Callable[..., None]:
        def call(self: Any, *_: object) -> None:
            ran.append(name)
            if name == at:
                raise error("planted")

        return call

    return type("Raising", (base,), {name: method(name) for name in names})()


def provoke(kit: Kit, at: str, error: type[BaseException], ran: list[str]) -> Any:
    """Makes the loop call the method in a callback; returns what there is to close."""
    kind, _, method = at.partition("_at_")
    if kind == "datagram":
        peer = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        peer.bind((HERE, 0))
        one = raising(
            ("datagram_received", "error_received", "connection_lost"), asyncio.DatagramProtocol, method, error, ran
        )
        made = kit.loop.create_datagram_endpoint(lambda: one, local_addr=(HERE, 0))
        transport, _ = kit.run(made)
        if method == "datagram_received":
            peer.sendto(b"x", transport.get_extra_info("sockname"))
        else:
            transport.abort()
        return transport
    read_end, write_end = kit.pipe()
    one = raising(("data_received", "eof_received", "connection_lost"), asyncio.Protocol, method, error, ran)
    transport, _ = kit.run(kit.loop.connect_read_pipe(lambda: one, os.fdopen(os.dup(read_end), "rb", 0)))
    kit.put(write_end)
    if method != "data_received":
        kit.close_files()
    return transport


PLACES = (
    "datagram_at_datagram_received",
    "datagram_at_connection_lost",
    "pipe_at_data_received",
    "pipe_at_eof_received",
    "pipe_at_connection_lost",
)


@family("RAISE-1", at=PLACES, error=ERRORS)
def test_raise_in_other_protocols(kit: Kit, at: str, error: type[BaseException]) -> None:
    """What a protocol of an endpoint or of a pipe raises is told, and the loop goes on"""
    ran: list[str] = []
    kit.errors.clear()
    transport = provoke(kit, at, error, ran)
    after: list[int] = []
    kit.later(0.002, after.append, 1)
    kit.run_for(0.006)
    transport.close()
    kit.turns(4)
    kit.check(at.partition("_at_")[2] in ran, f"it was not called, but {ran}")
    told = [type(context.get("exception")) for context in kit.errors]
    kit.check(error in told, f"the exception handler was told {told}")
    kit.equal(after, [1], "calls of a timer afterwards")


@family("RAISE-3", at=PLACES, error=LEAVING)
def test_leave_from_other_protocols(kit: Kit, at: str, error: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt of such a protocol leave the run, and the loop runs again"""
    ran: list[str] = []
    kit.errors.clear()
    transport = provoke(kit, at, error, ran)
    kit.later(1.0, kit.stop)
    kit.raises(error, kit.run_forever)
    transport.close()
    kit.turns(4)
