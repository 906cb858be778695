# real clock
"""Cases of context variables (CTX-*): in which context each kind of callback runs."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import socket
import sys
import weakref
from collections.abc import Callable
from typing import Any

from loopcheck.children import Child
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, reset
from loopcheck.tls import NAME, contexts, server_peer

Note = Callable[..., None]
Ask = Callable[[Kit, Note], object]
VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("loopcheck", default="nothing")


def ask_reader(kit: Kit, note: Note) -> None:
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    kit.loop.add_reader(read_end, lambda: (note(), kit.loop.remove_reader(read_end)))


def ask_writer(kit: Kit, note: Note) -> None:
    write_end = kit.pipe()[1]
    kit.loop.add_writer(write_end, lambda: (note(), kit.loop.remove_writer(write_end)))


def ask_in_place(kit: Kit, note: Note) -> None:
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    contextvars.Context().run(kit.loop.add_reader, read_end, note)  # which is replaced
    kit.loop.add_reader(read_end, lambda: (note(), kit.loop.remove_reader(read_end)))


def ask_signal(kit: Kit, note: Note) -> None:
    kit.loop.add_signal_handler(signal.SIGUSR1, lambda: (note(), kit.loop.remove_signal_handler(signal.SIGUSR1)))
    kit.loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)


def ask_future(kit: Kit, note: Note) -> None:
    future = kit.loop.create_future()
    future.add_done_callback(note)
    kit.loop.call_soon(future.set_result, None)


def ask_task(kit: Kit, note: Note) -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        note()

    kit.tasks = [kit.loop.create_task(body())]  # type: ignore[attr-defined]


def ask_thread(kit: Kit, note: Note) -> None:
    async def body() -> None:
        await asyncio.to_thread(note)
        await kit.loop.shutdown_default_executor()

    kit.tasks = [kit.loop.create_task(body())]  # type: ignore[attr-defined]


KINDS: dict[str, Ask] = {
    "soon": lambda kit, note: kit.loop.call_soon(note),
    "threadsafe": lambda kit, note: kit.loop.call_soon_threadsafe(note),
    "timer": lambda kit, note: kit.loop.call_later(0.001, note),
    "at": lambda kit, note: kit.loop.call_at(kit.loop.time(), note),
    "reader": ask_reader,
    "writer": ask_writer,
    "reader_in_place_of_another": ask_in_place,
    "signal": ask_signal,
    "done_callback": ask_future,
    "task": ask_task,
    "to_thread": ask_thread,
}


@family("CTX-1", kind=KINDS)
def test_context_of_asking(kit: Kit, kind: Ask) -> None:
    """A callback sees the variables of the place where it was asked for, as they were then"""
    seen: list[object] = []

    def ask() -> None:
        VARIABLE.set("then")
        kind(kit, lambda *_: seen.append(VARIABLE.get()))
        VARIABLE.set("later")

    kit.turns(1)
    contextvars.copy_context().run(ask)
    VARIABLE.set("outside")
    kit.run_for(0.02)
    kit.equal(seen, ["then"], "the variable in the callback")


LATER = ("reader", "writer", "reader_in_place_of_another", "signal", "to_thread")  # than the next turn


@family("CTX-1", kind=[kind for kind in KINDS if kind not in LATER])
def test_no_change_comes_out(kit: Kit, kind: str) -> None:
    """What a callback sets is seen neither by its neighbours nor outside"""
    seen: list[object] = []
    VARIABLE.set("outside")
    KINDS[kind](kit, lambda *_: VARIABLE.set("inside"))
    kit.turns(2)
    kit.later(0.002, lambda: seen.append(VARIABLE.get()))
    kit.soon(lambda: seen.append(VARIABLE.get()))
    kit.run_for(0.01)
    seen.append(VARIABLE.get())
    kit.equal(seen, ["outside"] * 3, "the variable in two callbacks and outside")


def future_of(kit: Kit, note: Note, context: contextvars.Context) -> None:
    future = kit.loop.create_future()
    future.add_done_callback(note, context=context)
    kit.loop.call_soon(future.set_result, None)


GIVEN: dict[str, Callable[[Kit, Note, contextvars.Context], object]] = {
    "soon": lambda kit, note, context: kit.loop.call_soon(note, context=context),
    "threadsafe": lambda kit, note, context: kit.loop.call_soon_threadsafe(note, context=context),
    "timer": lambda kit, note, context: kit.loop.call_later(0.001, note, context=context),
    "at": lambda kit, note, context: kit.loop.call_at(kit.loop.time(), note, context=context),
    "done_callback": future_of,
}


@family("CTX-2", kind=GIVEN)
def test_given_context(kit: Kit, kind: Any) -> None:
    """context= is the very context: what one callback sets there the next one sees, also if the first raised"""
    context = contextvars.Context()
    seen: list[object] = []

    def note(*_: object) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("set before")
        raise ZeroDivisionError("planted")

    VARIABLE.set("outside")
    for _ in range(2):
        kind(kit, note, context)
        kit.run_for(0.004)
    kit.equal(seen, ["nothing", "set before"], "the variable in two callbacks (talyn BUG-091)")
    kit.equal((context.run(VARIABLE.get), len(kit.errors)), ("set before", 2), "the variable in it, errors told")


@family("CTX-3", kind=GIVEN)
def test_context_is_let_go(kit: Kit, kind: Any) -> None:
    """A context and what it holds are freed when the callback has run (uvloop#191)"""

    class Thing:
        """Something to be weakly referenced."""

    def ask() -> weakref.ref[Thing]:
        context, thing = contextvars.Context(), Thing()
        context.run(VARIABLE.set, thing)
        kind(kit, lambda *_: None, context)
        return weakref.ref(thing)

    kit.turns(1)
    reference = ask()
    kit.run_for(0.004)
    kit.turns(2)
    gc.collect()
    kit.check(reference() is None, "the context is still held")


async def opened(kit: Kit, log: Log) -> socket.socket:
    """Opens a connection in a context of its own; returns the peer."""
    VARIABLE.set("opener")
    given, peer = kit.tcp_pair()
    await kit.loop.create_connection(lambda: log, sock=given)
    return peer


@family("CTX-4", end=("eof", "reset", "close", "abort"))
def test_protocol_of_a_client(kit: Kit, end: str) -> None:
    """All methods of a client's protocol see the variables of whoever opened the connection (uvloop PR#348)"""
    seen: dict[str, object] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda *_: seen.update({name: VARIABLE.get()})

    log = kit.protocol(**{name: note(name) for name in ("made", "data", "eof", "lost")})

    async def main() -> None:
        peer = await kit.loop.create_task(opened(kit, log))
        VARIABLE.set("another")
        kit.put(peer, b"hello")
        await log.until_event("data")
        if end in ("close", "abort"):
            getattr(log.transport, end)()
        else:
            reset(peer) if end == "reset" else peer.shutdown(socket.SHUT_WR)
        await log.until_event("lost")

    kit.run(main())
    seen.pop("lost") if end in ("close", "abort") else None  # called by whoever closed
    kit.equal(set(seen.values()), {"opener"}, f"the variable in {', '.join(seen)}")


@case("CTX-4")
def test_protocol_above_tls(kit: Kit) -> None:
    """All methods of a protocol above TLS see the variables of whoever opened the connection (uvloop PR#348)."""
    seen: dict[str, object] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda *_: seen.update({name: VARIABLE.get()})

    log = kit.protocol(**{name: note(name) for name in ("made", "data", "eof", "lost")})
    tls = contexts()
    address = server_peer(kit, tls, lambda peer: (peer.sendall(b"hello"), peer.unwrap()))

    async def opener() -> None:
        VARIABLE.set("opener")
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)

    async def main() -> None:
        await kit.loop.create_task(opener())
        VARIABLE.set("another")
        await log.until_event("lost")

    kit.run(main())
    kit.equal(set(seen.values()), {"opener"}, f"the variable in {', '.join(seen)}")


async def server_of(kit: Kit, factory: Callable[[], asyncio.Protocol]) -> Any:
    """Makes a server in a context of its own."""
    VARIABLE.set("maker")
    return await kit.loop.create_server(factory, "127.0.0.1", 0)


@case("CTX-4")
def test_factory_of_a_server(kit: Kit) -> None:
    """A server's factory sees the variables of whoever made the server, and none of another client's (uvicorn#2167)."""
    seen: list[object] = []

    def factory() -> Log:
        seen.append(VARIABLE.get())
        VARIABLE.set("another client's")
        return log

    async def main() -> None:
        nonlocal log
        server = await kit.loop.create_task(server_of(kit, factory))
        for _ in range(2):
            log = kit.protocol()
            client = kit.client(server.sockets[0].getsockname())
            await log.until_event("made")
            client.close()
            await log.until_event("lost")
        server.close()

    log = kit.protocol()
    kit.run(main())
    kit.equal(seen, ["maker", "maker"], "the variable in the factory for two clients")


@case("CTX-4")
def test_protocols_of_a_server(kit: Kit) -> None:
    """The protocols of a server's clients see the variables of whoever made the server, and no other client's."""
    made, seen = list[object](), list[object]()

    def note(log: Log, data: object) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("another client's")

    logs: list[Log] = []

    async def main() -> None:
        server = await kit.loop.create_task(server_of(kit, lambda: logs[-1]))
        for _ in range(2):
            logs.append(log := kit.protocol(made=lambda *_: made.append(VARIABLE.get()), data=note))
            client = kit.client(server.sockets[0].getsockname())
            kit.put(client, b"hello")
            await log.until_event("data")
            client.close()
            await log.until_event("lost")
        server.close()

    kit.run(main())
    kit.equal(made + seen, ["maker"] * 4, "the variable in connection_made and data_received of two clients")


@case("CTX-4")
def test_protocol_of_a_datagram_endpoint(kit: Kit) -> None:
    """datagram_received sees the variables of whoever made the endpoint."""
    seen: list[object] = []
    arrived = kit.loop.create_future()

    class Endpoint(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            seen.append(VARIABLE.get())
            arrived.set_result(None)

    async def maker() -> Any:
        VARIABLE.set("maker")
        return (await kit.loop.create_datagram_endpoint(Endpoint, local_addr=("127.0.0.1", 0)))[0]

    async def main() -> None:
        transport = await kit.loop.create_task(maker())
        VARIABLE.set("another")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"x", transport.get_extra_info("sockname"))
        await arrived
        transport.close()
        await asyncio.sleep(0.002)

    kit.run(main())
    kit.equal(seen, ["maker"], "the variable")


@case("CTX-4")
def test_error_of_a_datagram_endpoint(kit: Kit) -> None:
    """error_received of a refusal sees the variables of whoever made the endpoint (uvloop PR#601)."""
    told = kit.loop.create_future()

    class Endpoint(asyncio.DatagramProtocol):
        def error_received(self, exc: Exception) -> None:
            told.set_result(VARIABLE.get())

    async def maker() -> Any:
        VARIABLE.set("maker")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.99.0.1", 0))
            address = nobody.getsockname()
        return (await kit.loop.create_datagram_endpoint(Endpoint, remote_addr=address))[0]

    async def main() -> object:
        transport = await kit.loop.create_task(maker())
        VARIABLE.set("another")
        transport.sendto(b"to nobody")
        seen: object = await asyncio.wait_for(told, 2)
        transport.close()
        await asyncio.sleep(0.002)
        return seen

    kit.equal(kit.run(main()), "maker", "the variable")


@case("CTX-4")
def test_protocol_of_a_child(kit: Kit) -> None:
    """The methods of a subprocess protocol see the variables of whoever started the child."""
    seen: list[object] = []

    class Noting(Child):
        def _seen(self, event: str, is_in_order: bool) -> None:
            super()._seen(event, is_in_order)
            if event in ("made", "data 1"):
                seen.append(VARIABLE.get())

    protocol = Noting(kit)

    async def starter() -> None:
        VARIABLE.set("starter")
        await kit.loop.subprocess_exec(lambda: protocol, "/bin/echo", "hello")

    async def main() -> None:
        await kit.loop.create_task(starter())
        await protocol.lost

    kit.run(main())
    kit.equal(seen, ["starter"] * 2, "the variable in connection_made and pipe_data_received")


@case("CTX-2")
def test_context_that_is_entered(kit: Kit) -> None:
    """A callback for a context that is just entered does not run, and the loop goes on."""
    context = contextvars.Context()
    ran: list[int] = []

    def inside() -> None:
        kit.loop.call_soon(ran.append, 1, context=context)
        kit.turns(3)

    context.run(inside)
    kit.soon(ran.append, 2)
    kit.turns(2)
    kit.equal(ran, [2], "callbacks that ran")
    kit.errors.clear()  # whether the handler can be told depends on its own context


@case("CTX-2")
def test_context_of_a_runner(kit: Kit) -> None:
    """asyncio.Runner runs its main task in the context it is given (talyn BUG-215)."""
    if sys.version_info < (3, 11):
        kit.skip("this Python has no asyncio.Runner")
    kit.turns(1)
    context = contextvars.Context()

    async def main() -> object:
        before = VARIABLE.get()
        VARIABLE.set("set by the task")
        await asyncio.sleep(0)
        return before

    with asyncio.Runner(loop_factory=kit.factory) as runner:
        seen = runner.run(main(), context=context)
    kit.equal(
        (seen, context.run(VARIABLE.get)), ("nothing", "set by the task"), "the variable in the task, and after it"
    )


@case("CTX-1")
def test_both_watchers_of_one_descriptor(kit: Kit) -> None:
    """Reader and writer of one descriptor each run in a copy of their own context, whichever came first."""
    for order in (("reader", "writer"), ("writer", "reader")):
        left, right = kit.socketpair()
        kit.put(right)
        seen: dict[str, object] = {}

        def ask(side: str, fd: int = left.fileno(), seen: dict[str, object] = seen) -> None:
            def callback() -> None:
                seen[side] = VARIABLE.get()
                getattr(kit.loop, f"remove_{side}")(fd)

            VARIABLE.set(side)
            getattr(kit.loop, f"add_{side}")(fd, callback)

        for side in order:
            contextvars.copy_context().run(ask, side)
        kit.run_for(0.01)  # a loop that is busy may look at new watchers less often
        kit.equal(seen, {"reader": "reader", "writer": "writer"}, f"the variable in each, {order[0]} first")
