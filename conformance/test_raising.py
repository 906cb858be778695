# real clock
"""Cases of exceptions in every callback of a protocol, of every class (RAISE-*). Plain callbacks: test_errors.py."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from loopcheck.children import Child, no_zombie
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log

PATTERN = bytes(1 << 20)


class Planted(Exception):
    """Raised on purpose by a callback."""


class Exits(BaseException):
    """A BaseException that is none of the known ones."""


ERRORS: dict[str, type[BaseException]] = {"exception": Planted, "cancelled": asyncio.CancelledError}
LEAVING: dict[str, type[BaseException]] = {"exit": SystemExit, "interrupt": KeyboardInterrupt}


def raiser(error: type[BaseException]) -> Callable[..., Any]:
    def hook(*_: object) -> None:
        raise error("planted")

    return hook


def provoke(kit: Kit, event: str, log: Log, peer: socket.socket) -> None:
    """Makes the loop call the protocol's method of this name, in a callback of the loop."""
    if event == "data":
        kit.put(peer, b"hello")
    elif event == "eof":
        peer.shutdown(socket.SHUT_WR)
    elif event == "lost":
        log.transport.abort()
    elif event in ("pause", "resume"):
        log.transport.write(PATTERN)
        with contextlib.suppress(BlockingIOError):
            while event == "resume" and peer.recv(1 << 20):
                pass


def connected(kit: Kit, event: str, error: type[BaseException]) -> tuple[Log, socket.socket, list[int]]:
    """A connection whose protocol raises at one event, and the neighbours that ran beside it."""
    given, peer = kit.tcp_pair()
    log = kit.protocol(**{event: raiser(error)})
    kit.run(kit.loop.create_connection(lambda: log, sock=given))
    return log, peer, []


def serve_it(kit: Kit, log: Log, event: str, peer: socket.socket, ran: list[int]) -> None:
    """Provokes the event and lets the loop run for a while; neighbours note that they ran."""
    kit.soon(provoke, kit, event, log, peer)
    kit.soon(ran.append, 1)
    kit.later(0.01, ran.append, 2)
    kit.run_for(0.015)
    if event == "resume":
        with contextlib.suppress(BlockingIOError):
            while peer.recv(1 << 20):
                kit.turns(2)
        kit.run_for(0.005)


@family("RAISE-1", event=("data", "eof", "pause", "resume", "lost"), error=ERRORS)
def test_raise(kit: Kit, event: str, error: type[BaseException]) -> None:
    """An exception in a protocol's method is told to the handler, once, and harms no neighbour"""
    log, peer, ran = connected(kit, event, error)
    serve_it(kit, log, event, peer, ran)
    kit.equal(sorted(ran), [1, 2], "neighbours that ran")
    told = [c.get("exception") for c in kit.errors]
    kit.equal([type(one) for one in told], [error], "exceptions that the handler was told of")
    log.transport.abort()
    kit.run_for(0.005)
    kit.equal(log.events[-1], "lost", "last event")


@family("RAISE-2", event=("data", "eof"), error={**ERRORS, "oserror": OSError})
def test_raise_ends_the_connection(kit: Kit, event: str, error: type[BaseException]) -> None:
    """An exception in data_received or eof_received ends the connection with that very exception (zuvloop#23)"""
    log, peer, ran = connected(kit, event, error)
    serve_it(kit, log, event, peer, ran)
    kit.errors.clear()
    kit.check(log.transport.is_closing(), "the transport stays open")
    kit.equal(log.events, ["made", event, "lost"], "events")
    kit.check(isinstance(log.error, error), f"connection_lost was given {log.error!r}")


@family("RAISE-3", event=("data", "eof", "pause", "resume", "lost"), error=LEAVING)
def test_leave(kit: Kit, event: str, error: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt in a protocol's method leave the run, and the loop runs again (zuvloop#23b)"""
    log, peer, ran = connected(kit, event, error)
    kit.raises(error, lambda: serve_it(kit, log, event, peer, ran))
    kit.errors.clear()
    kit.check(not kit.loop.is_running(), "the loop says that it is running")
    log.hooks.clear()
    log.transport.abort()
    kit.run_for(0.015)
    kit.check(ran.count(1) == 1, "the neighbour was dropped", rule="ERR-3")


@family("RAISE-1", error=ERRORS)
def test_raise_in_connection_made(kit: Kit, error: type[BaseException]) -> None:
    """An exception in connection_made is told at most once, and its server serves the next client"""
    good = kit.protocol(data=lambda log, data: log.transport.write(data))
    bad = kit.protocol(made=raiser(error))
    protocols = [good, bad]

    async def main() -> bytes:
        server = await kit.loop.create_server(protocols.pop, "127.0.0.1", 0)
        kit.client(server.sockets[0].getsockname())
        await asyncio.sleep(0.01)
        client = kit.client(server.sockets[0].getsockname())
        kit.put(client, b"hello")
        answer = await kit.loop.sock_recv(client, 10)
        server.close()
        bad.transport.abort()
        good.transport.abort()
        await good.until_event("lost")
        return answer

    kit.equal(kit.run(main()), b"hello", "answer to the next client")
    kit.check(len(kit.errors) <= 1, f"the handler was told {len(kit.errors)} times of one exception")


@family("RAISE-1", error=ERRORS)
def test_raise_in_connection_made_of_a_client(kit: Kit, error: type[BaseException]) -> None:
    """A client whose connection_made raises: create_connection raises that, or returns and the handler is told"""
    given, peer = kit.tcp_pair()
    log = kit.protocol(made=raiser(error))
    raised = 0
    try:
        kit.run(kit.loop.create_connection(lambda: log, sock=given))
    except error:
        raised = 1
    log.transport.abort()
    kit.run_for(0.005)
    kit.equal(raised + len(kit.errors), 1, "how often the exception was told")
    kit.equal(peer.recv(10), b"", "what the peer reads")


async def raises_nothing(kit: Kit, factory: Callable[[], Any], how: str) -> None:
    """Uses a raising protocol factory in one of the ways; what it raises comes out."""
    loop = kit.loop
    if how == "create_connection":
        await loop.create_connection(factory, *kit.listener().getsockname())
    elif how == "datagram_endpoint":
        await loop.create_datagram_endpoint(factory, local_addr=("127.0.0.1", 0))
    elif how == "unix_connection":
        await loop.create_unix_connection(factory, sock=kit.socketpair()[0].dup())
    elif how == "accepted_socket":
        await loop.connect_accepted_socket(factory, kit.tcp_pair()[0])
    elif how == "subprocess":
        await loop.subprocess_exec(factory, "true")
    else:
        await loop.connect_read_pipe(factory, os.fdopen(kit.pipe()[0], "rb", 0, closefd=False))


WAYS = ("create_connection", "datagram_endpoint", "unix_connection", "accepted_socket", "subprocess", "read_pipe")


@family("RAISE-4", how=WAYS, error={"exception": Planted, "leaving": Exits})
def test_raising_factory(kit: Kit, how: str, error: type[BaseException]) -> None:
    """What a protocol factory raises comes out of the call, and no fd is left (zuvloop@131bb3a)"""
    kit.errors.clear()
    for _ in range(3):
        try:
            kit.run(raises_nothing(kit, raiser(error), how))
        except error:
            continue
        kit.fail(f"{how} swallowed what the factory raised")
    gc.collect()
    kit.turns(3)


@case("RAISE-4")
def test_raising_factory_of_a_server(kit: Kit) -> None:
    """A factory that raises for one client is told at most once; that client is closed, and the next is served."""
    good = kit.protocol(data=lambda log, data: log.transport.write(data))
    protocols: list[Log] = []

    def factory() -> Log:
        protocols.append(good)
        if len(protocols) == 1:
            raise Planted("planted")
        return good

    async def main() -> tuple[bytes, bytes]:
        server = await kit.loop.create_server(factory, "127.0.0.1", 0)
        clients = [kit.client(server.sockets[0].getsockname()) for _ in range(2)]
        kit.put(clients[1], b"hello")
        answers = await kit.loop.sock_recv(clients[1], 10), await kit.loop.sock_recv(clients[0], 10)
        clients[1].close()
        await good.until_event("lost")
        server.close()
        return answers

    kit.equal(kit.run(main()), (b"hello", b""), "what the two clients got")
    kit.check(len(kit.errors) <= 1, f"the handler was told {len(kit.errors)} times of one exception")


@family("RAISE-1", event=("made", "data 1", "pipe 1 lost", "exited", "lost"))
def test_raise_in_a_subprocess_protocol(kit: Kit, event: str) -> None:
    """An exception in a method of a subprocess protocol leaves no zombie and no fd (talyn BUG-196)"""

    class Raising(Child):
        def _seen(self, name: str, is_in_order: bool) -> None:
            super()._seen(name, is_in_order)
            if name == event:
                raise Planted("planted")

    protocol = Raising(kit)
    kit.errors.clear()

    async def main() -> None:
        with contextlib.suppress(Planted):
            await kit.loop.subprocess_exec(lambda: protocol, "/bin/echo", "hello")
        await asyncio.wait({protocol.lost}, timeout=0.2)  # the exception may take the rest with it
        protocol.transport.close()
        await asyncio.sleep(0.01)

    kit.run(main())
    no_zombie(kit)


@family("RAISE-1", error=ERRORS)
def test_raise_in_a_signal_handler(kit: Kit, error: type[BaseException]) -> None:
    """An exception in a handler of add_signal_handler is told once; the handler stays and is called again"""
    calls: list[int] = []

    def handler() -> None:
        calls.append(1)
        raise error("planted")

    kit.loop.add_signal_handler(signal.SIGUSR1, handler)
    for _ in range(2):
        kit.soon(os.kill, os.getpid(), signal.SIGUSR1)
        kit.run_for(0.01)
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    kit.turns(3)
    kit.equal((len(calls), [type(c.get("exception")) for c in kit.errors]), (2, [error] * 2), "calls, exceptions told")


@family("RAISE-1", where=("done_callback", "task_step", "executor_done"), error=ERRORS)
def test_raise_in_a_future(kit: Kit, where: str, error: type[BaseException]) -> None:
    """A done callback that raises is told to the handler; the other done callbacks of the future run"""
    ran: list[str] = []

    async def main() -> None:
        if where == "done_callback":
            future: Any = kit.loop.create_future()
            kit.loop.call_soon(future.set_result, None)
        elif where == "task_step":
            future = kit.loop.create_task(asyncio.sleep(0))
        else:
            future = kit.loop.run_in_executor(None, int)
        future.add_done_callback(raiser(error))
        future.add_done_callback(lambda _: ran.append("second"))
        await future
        await asyncio.sleep(0)

    kit.run(main())
    kit.turns(3)
    kit.equal(
        (ran, [type(c.get("exception")) for c in kit.errors]), (["second"], [error]), "neighbours, exceptions told"
    )
    kit.run(kit.loop.shutdown_default_executor())


@family("RAISE-1", event=("pause", "resume"))
def test_writing_goes_on_after(kit: Kit, event: str) -> None:
    """pause_writing or resume_writing that raises is told, and what is written then is sent like all else"""
    kit.errors.clear()

    def fails(log: Log, _: object) -> None:
        raise ValueError("planted")

    given, peer = kit.tcp_pair()
    log = kit.protocol(**{event: fails})
    kit.run(kit.loop.create_connection(lambda: log, sock=given))
    received, much = bytearray(), bytes(4 << 20)
    log.transport.write(much)
    kit.reader(peer, lambda: received.extend(peer.recv(1 << 20)))
    kit.run(log.until_event("resume"))
    log.transport.write(b"after")
    log.transport.write(much)
    log.transport.close()
    kit.run(log.until_event("lost"))
    kit.run_for(0.005)
    while len(received) < 2 * len(much) + 5 and (data := peer.recv(1 << 20)):
        received += data
    kit.remove_reader(peer)
    kit.equal(len(received), 2 * len(much) + 5, "bytes that arrived")


@family("RAISE-3", event=("data 1", "pipe 1 lost", "exited"), error=LEAVING)
def test_leave_from_a_subprocess_protocol(kit: Kit, event: str, error: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt of a subprocess protocol leave the run, and the child is told to the end"""

    class Leaving(Child):
        def _seen(self, name: str, is_in_order: bool) -> None:
            super()._seen(name, is_in_order)
            if name == event:
                raise error("planted")

    protocol = Leaving(kit)
    kit.errors.clear()
    kit.run(kit.loop.subprocess_exec(lambda: protocol, "/bin/sh", "-c", "read x; echo hello"))
    protocol.transport.get_pipe_transport(0).write(b"\n")
    kit.later(3.0, kit.stop)
    kit.raises(error, kit.run_forever)
    kit.run(asyncio.wait_for(protocol.lost, 2))
    no_zombie(kit)
