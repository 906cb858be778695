# real clock
"""Cases of what a loop lets go (HOLD-*): protocols, transports, handlers and arguments, however they ended."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import fcntl
import gc
import os
import signal
import socket
import sys
import weakref
from collections.abc import Callable
from typing import Any

from loopcheck import needs
from loopcheck.children import Child
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import reset

ROUNDS = 1000
BLOCKS_MAX = ROUNDS // 2  # that ROUNDS of something may leave
HIGH, UNUSED = 300, 900  # an fd whose number is no object that Python keeps; one that is not open


class Kept(asyncio.Protocol):
    """Something to be weakly referenced."""

    def __init__(self, kit: Kit, action: str = "") -> None:
        self.kit, self.action = kit, action
        self.lost = kit.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.kit.recorder.note()
        self.transport = transport  # a cycle, as in most protocols

    def data_received(self, data: bytes) -> None:
        if self.action == "raise":
            raise ZeroDivisionError("planted")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


def references(*things: object) -> list[weakref.ref[Any]]:
    """Weak ones, of what has them: not every loop's transports and servers do."""
    found: list[weakref.ref[Any]] = []
    for thing in things:
        with contextlib.suppress(TypeError):
            found.append(weakref.ref(thing))
    return found


def freed(kit: Kit, *references: weakref.ref[Any]) -> None:
    kit.turns(3)
    kit.errors.clear()
    gc.collect()
    kit.equal([one() is None for one in references], [True] * len(references), "are they freed")


ENDS = ("close", "abort", "eof", "reset", "raise", "close_with_data")


@family("HOLD-1", end=ENDS)
def test_connection(kit: Kit, end: str) -> None:
    """A protocol and its transport are freed after connection_lost, however that came about (talyn BUG-110)"""

    async def main() -> list[weakref.ref[Any]]:
        given, peer = kit.tcp_pair()
        protocol = Kept(kit, end)
        transport, _ = await kit.loop.create_connection(lambda: protocol, sock=given)
        if end in ("close", "abort"):
            getattr(transport, end)()
        elif end == "close_with_data":
            transport.write(bytes(1 << 16))
            transport.close()
        elif end == "raise":
            kit.put(peer, b"x")
        else:
            reset(peer) if end == "reset" else peer.shutdown(socket.SHUT_WR)
        await protocol.lost
        return references(protocol, transport)

    freed(kit, *kit.run(main()))


@case("HOLD-1")
def test_server_and_its_clients(kit: Kit) -> None:
    """A server that was closed, its factory and its clients' protocols are freed."""

    async def main() -> list[weakref.ref[Any]]:
        protocol = Kept(kit)
        server = await kit.loop.create_server(lambda: protocol, "127.0.0.1", 0)
        client = kit.client(server.sockets[0].getsockname())
        await asyncio.sleep(0.003)
        client.close()
        await protocol.lost
        server.close()
        await server.wait_closed()
        return references(protocol, server)

    freed(kit, *kit.run(main()))


@case("HOLD-1")
def test_datagram_endpoint(kit: Kit) -> None:
    """A datagram endpoint and its protocol are freed after connection_lost."""

    class Endpoint(asyncio.DatagramProtocol):
        """Something to be weakly referenced."""

    async def main() -> list[weakref.ref[Any]]:
        create = kit.loop.create_datagram_endpoint
        transport, protocol = await create(Endpoint, local_addr=("127.0.0.1", 0))
        transport.close()
        await asyncio.sleep(0.003)
        return references(transport, protocol)

    freed(kit, *kit.run(main()))


@case("HOLD-1")
def test_subprocess(kit: Kit) -> None:
    """A subprocess's transport and protocol are freed after connection_lost."""

    async def main() -> list[weakref.ref[Any]]:
        protocol = Child(kit)
        await kit.loop.subprocess_exec(lambda: protocol, "true")
        await protocol.lost
        await asyncio.sleep(0.01)
        protocol.transport = None
        return references(protocol)

    freed(kit, *kit.run(main()))


@case("HOLD-2")
def test_signal_handler(kit: Kit) -> None:
    """The callback and arguments of a signal handler are freed when it is replaced and when it is removed."""

    class Thing:
        def __call__(self, *_: object) -> None: ...

    def add() -> weakref.ref[Thing]:
        thing = Thing()
        kit.loop.add_signal_handler(signal.SIGUSR1, thing, thing)
        return weakref.ref(thing)

    first, second = add(), add()
    freed(kit, first)
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    freed(kit, second)


@case("HOLD-2")
def test_raising_callback(kit: Kit) -> None:
    """A callback that raised, and its arguments, are freed once the exception handler has returned."""

    class Thing:
        def __call__(self, *_: object) -> None:
            raise ZeroDivisionError("planted")

    thing = Thing()
    reference = weakref.ref(thing)
    kit.loop.call_soon(thing, thing)
    kit.loop.call_later(0.001, thing, thing)
    kit.loop.call_soon_threadsafe(thing, thing)
    del thing
    kit.run_for(0.005)
    freed(kit, reference)


@case("HOLD-2")
def test_executor_job(kit: Kit) -> None:
    """The function, arguments and result of an executor's job are freed when it is done and awaited."""

    class Thing:
        """Something to be weakly referenced."""

    async def main() -> list[weakref.ref[Any]]:
        thing = Thing()
        reference: weakref.ref[Any] = weakref.ref(thing)
        await kit.loop.run_in_executor(None, [thing].count, thing)
        result = await kit.loop.run_in_executor(None, Thing)
        return [reference, weakref.ref(result)]

    references = kit.run(main())
    kit.run(kit.loop.shutdown_default_executor())
    freed(kit, *references)


def timers(kit: Kit) -> None:
    kit.loop.call_later(3600, print).cancel()


def cancelled_task(kit: Kit) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(asyncio.sleep(3600))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    kit.loop.run_until_complete(main())


def watcher(kit: Kit) -> None:
    left, right = socket.socketpair()
    with left, right:
        kit.loop.add_reader(left.fileno(), print)
        kit.loop.remove_reader(left.fileno())


def post(kit: Kit) -> None:
    kit.loop.call_soon_threadsafe(int)
    kit.loop.call_soon(kit.loop.stop)
    kit.loop.run_forever()


def called_timer(kit: Kit) -> None:
    kit.loop.call_later(0, int)
    kit.loop.call_soon(kit.loop.stop)
    kit.loop.run_forever()


def high_watcher(kit: Kit) -> None:
    needs.fds(kit, HIGH)
    left, right = socket.socketpair()
    with left, right:
        fd = fcntl.fcntl(left, fcntl.F_DUPFD_CLOEXEC, HIGH)
        kit.loop.add_writer(fd, print)
        kit.loop.remove_writer(fd)
        os.close(fd)


def refused_watcher(kit: Kit) -> None:
    with contextlib.suppress(OSError, ValueError):
        kit.loop.add_reader(UNUSED, print)


def waited_receive(kit: Kit) -> None:
    left, right = socket.socketpair()
    left.setblocking(False)
    with left, right:
        kit.loop.call_soon(kit.loop.call_soon, right.send, b"x")  # behind the receive
        kit.loop.run_until_complete(kit.loop.sock_recv(left, 10))


def debugged(kit: Kit) -> None:
    kit.loop.set_debug(True)
    kit.loop.call_soon(int)
    kit.loop.call_soon(kit.loop.stop)
    kit.loop.run_forever()


GROWING: dict[str, tuple[Callable[[Kit], None], int]] = {  # what is done, and how often
    "cancelled_timers": (timers, ROUNDS),
    "cancelled_tasks": (cancelled_task, 200),
    "watchers": (watcher, 200),
    "posts": (post, ROUNDS),
    "called_timers": (called_timer, ROUNDS),
    "watchers_of_high_fds": (high_watcher, ROUNDS),
    "refused_watchers": (refused_watcher, ROUNDS),
    "calls_in_debug_mode": (debugged, ROUNDS),
    "waited_receives": (waited_receive, 600),
}


@family("HOLD-3", what=GROWING)
def test_growth(kit: Kit, what: tuple[Callable[[Kit], None], int]) -> None:
    """A thousand timers, watchers, posts, tasks, or refusals of a watcher leave no more memory in use than before"""
    work, rounds = what
    kit.loop.call_later(1800, print)  # one that lives, before those that are cancelled

    def many() -> int:
        for _ in range(rounds):
            work(kit)
        kit.turns(2)
        gc.collect()
        return sys.getallocatedblocks()

    many()
    before = many()
    grown = many() - before
    kit.check(grown < BLOCKS_MAX, f"{rounds} of them left {grown} blocks of memory")


@case("HOLD-3")
def test_connections_leave_nothing(kit: Kit) -> None:
    """Connections that come and go leave neither fds nor memory behind."""

    async def one() -> None:
        given, peer = kit.tcp_pair()
        protocol = Kept(kit)
        transport, _ = await kit.loop.create_connection(lambda: protocol, sock=given)
        transport.abort()
        await protocol.lost
        peer.close()

    def many() -> tuple[int, int]:
        for _ in range(20):
            kit.run(one())
        kit._sockets.clear()
        kit.turns(2)
        gc.collect()
        return sys.getallocatedblocks(), len(os.listdir("/proc/self/fd"))

    many()
    before, after = many(), many()
    kit.check(after[0] - before[0] < 20 * 5, f"20 connections left {after[0] - before[0]} blocks of memory")
    kit.equal(after[1], before[1], "open fds")


KEPT: contextvars.ContextVar[object] = contextvars.ContextVar("KEPT")


@family("HOLD-4", kind=("soon", "threadsafe", "timer"), through=("callback", "argument", "context"))
def test_what_never_ran_goes_with_the_loop(kit: Kit, kind: str, through: str) -> None:
    """What a callback that did not run refers to is let go when the loop is closed, though it refers to its handle."""

    class Given:
        """Something to be weakly referenced."""

        def run(self) -> None:
            """Is not run."""

    kit.turns(1)
    given, context = Given(), contextvars.copy_context()
    if through == "context":
        context.run(KEPT.set, given)
    callback = [given.run] if through == "callback" else [id, given] if through == "argument" else [id]
    ask: Any = {"soon": kit.loop.call_soon, "threadsafe": kit.loop.call_soon_threadsafe, "timer": kit.loop.call_later}[
        kind
    ]
    given.handle = ask(*([3600] if kind == "timer" else []), *callback, context=context)  # type: ignore[attr-defined]
    reference = weakref.ref(given)
    del given, context, callback
    kit.loop.close()
    gc.collect()
    kit.check(reference() is None, f"the closed loop holds the {through} of what {kind} asked for")


@family("HOLD-1", end=("read", "write"))
def test_pipe(kit: Kit, end: str) -> None:
    """The transport of a pipe and its protocol are freed after connection_lost"""

    async def main() -> list[weakref.ref[Any]]:
        number = os.dup(kit.pipe()[end == "write"])
        connect: Any = getattr(kit.loop, f"connect_{end}_pipe")
        transport, protocol = await connect(lambda: Kept(kit), os.fdopen(number, "rb" if end == "read" else "wb", 0))
        transport.close()
        await protocol.lost
        return references(transport, protocol)

    freed(kit, *kit.run(main()))
