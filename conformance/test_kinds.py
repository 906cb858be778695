# real clock
"""Cases of what holds for every kind of transport alike: how it is lost, whose callbacks come, what its marks are."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import socket
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.tls import contexts, join

HERE = "127.0.0.1"
MUCH = bytes(1 << 22)  # more than the kernel takes
TURN_MAX = 2000  # pieces that come before anybody else has a turn: any loop that is fair has far fewer


class Sees(asyncio.Protocol, asyncio.DatagramProtocol, asyncio.SubprocessProtocol):
    """A protocol of any kind, which notes the names of what is called."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.seen, self.lost = kit, list[str](), kit.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.note("data")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.note("data")

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost")
        if not self.lost.done():
            self.lost.set_result(exc)

    def note(self, name: str) -> None:
        self.kit.recorder.note()
        self.seen.append(name)


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody's")
Opened = tuple[Any, Callable[[], object], Any]  # a transport, what makes its other end speak, and where to read


async def tcp(kit: Kit, sees: Sees) -> Opened:
    given, peer = kit.tcp_pair()
    transport, _ = await kit.loop.create_connection(lambda: sees, sock=given)
    return transport, lambda: kit.put(peer), peer


async def unix(kit: Kit, sees: Sees) -> Opened:
    given, peer = socket.socketpair()
    transport, _ = await kit.loop.create_unix_connection(lambda: sees, sock=given)
    return transport, lambda: kit.put(peer), kit.own(peer)


async def tls(kit: Kit, sees: Sees) -> Opened:
    inside, log = kit.protocol(), kit.protocol()
    await join(kit, contexts(), inside, log)
    log.transport.set_protocol(sees)
    kit.check(log.transport.get_protocol() is sees, "get_protocol() is another one")
    return log.transport, lambda: inside.transport.write(b"x"), None


async def read_pipe(kit: Kit, sees: Sees) -> Opened:
    read_end, write_end = kit.pipe()
    transport, _ = await kit.loop.connect_read_pipe(lambda: sees, os.fdopen(os.dup(read_end), "rb", 0))
    return transport, lambda: kit.put(write_end), None


async def write_pipe(kit: Kit, sees: Sees) -> Opened:
    given, peer = socket.socketpair()
    transport, _ = await kit.loop.connect_write_pipe(lambda: sees, given)
    return transport, lambda: None, kit.own(peer)


async def endpoint(kit: Kit, sees: Sees) -> Opened:
    transport, _ = await kit.loop.create_datagram_endpoint(lambda: sees, local_addr=(HERE, 0))
    return transport, lambda: transport.sendto(b"x", transport.get_extra_info("sockname")), None


async def child(kit: Kit, sees: Sees) -> Opened:
    transport, _ = await kit.loop.subprocess_exec(lambda: sees, "/bin/cat")
    return transport, lambda: None, None


KINDS = {kind.__name__: kind for kind in (tcp, unix, tls, read_pipe, write_pipe, endpoint, child)}
Kind = Callable[[Kit, Sees], Any]


def gone(kit: Kit, transport: Any, *all_sees: Sees) -> None:
    """Ends the transport and waits for it, and for the other end of TLS."""
    getattr(transport, "abort", transport.close)()
    for sees in all_sees:
        kit.run(asyncio.wait_for(sees.lost, 3))
    kit.run_for(0.003)


@family("CLOSE-1", kind=KINDS, how=("close", "abort"))
def test_lost_after_the_call(kit: Kit, kind: Kind, how: str) -> None:
    """connection_lost comes once, after close() or abort() has returned, whatever the transport is"""
    sees = Sees(kit)
    transport, *_ = kit.run(kind(kit, sees))
    kit.turns(2)
    kit.check("lost" not in sees.seen, "connection_lost was called though nothing had ended")
    getattr(transport, how, transport.close)()
    kit.check("lost" not in sees.seen, "connection_lost was called within the call")
    kit.run(asyncio.wait_for(sees.lost, 3))
    kit.run_for(0.003)
    kit.equal(sees.seen.count("lost"), 1, "calls of connection_lost")


@family("STREAM-9", kind={name: KINDS[name] for name in ("tcp", "unix", "tls", "read_pipe", "endpoint")})
def test_second_protocol(kit: Kit, kind: Kind) -> None:
    """What comes after set_protocol() is given to the new protocol, and the end is told to it alone"""
    first, second = Sees(kit), Sees(kit)
    transport, speak, _ = kit.run(kind(kit, first))
    transport.set_protocol(second)
    kit.check(transport.get_protocol() is second, "get_protocol() is another one")
    speak()
    kit.run_for(0.005)
    gone(kit, transport, second)
    kit.equal([name for name in first.seen if name != "made"], [], "what the first protocol saw")
    kit.equal(second.seen, ["data", "lost"], "what the second protocol saw")


@family("STREAM-9", kind={name: KINDS[name] for name in ("tcp", "unix", "tls", "read_pipe", "write_pipe", "endpoint")})
def test_protocol_set_while_it_closes(kit: Kit, kind: Kind) -> None:
    """A protocol that is set between close() and connection_lost() is the one that is told"""
    first, second = Sees(kit), Sees(kit)
    transport, *_ = kit.run(kind(kit, first))
    transport.close()
    transport.set_protocol(second)
    kit.run(asyncio.wait_for(second.lost, 3))
    kit.run_for(0.003)
    kit.equal([name for name in first.seen if name != "made"], [], "what the first protocol saw")
    kit.equal(second.seen, ["lost"], "what the second protocol saw")


WRITING = {name: KINDS[name] for name in ("tcp", "unix", "tls", "write_pipe", "endpoint", "child")}


def writer(transport: Any) -> Any:
    """What is written to: of a child, its input."""
    return transport.get_pipe_transport(0) if hasattr(transport, "get_pipe_transport") else transport


@family("FLOW-3", kind=WRITING)
def test_marks_of_every_kind(kit: Kit, kind: Kind) -> None:
    """set_write_buffer_limits() is what get_write_buffer_limits() tells, and marks that make no sense are refused"""
    sees = Sees(kit)
    transport, *_ = kit.run(kind(kit, sees))
    target = writer(transport)
    told = []
    for options in ({"high": 1000, "low": 10}, {"high": 0}, {"low": 10}, {"high": 5000, "low": 5000}):
        target.set_write_buffer_limits(**options)
        low, high = target.get_write_buffer_limits()
        kit.check(0 <= low <= high, f"the marks are {low} and {high}")
        told.append((options.get("low", low), options.get("high", high)) == (low, high))
    for options in ({"high": 1, "low": 2}, {"high": -1}, {"low": -1}):
        with contextlib.suppress(ValueError):
            target.set_write_buffer_limits(**options)
            kit.fail(f"{options} was taken")
    kit.equal((told, target.get_write_buffer_limits()), ([True] * 4, (5000, 5000)), "are they told, and the last ones")
    gone(kit, transport, sees)


@family("FLOW-1", kind={name: KINDS[name] for name in ("tcp", "unix", "write_pipe", "child")})  # TLS: test_tls_state
def test_mark_of_zero_of_every_kind(kit: Kit, kind: Kind) -> None:
    """With a high mark of 0 a transport pauses its protocol as soon as a byte waits"""
    sees = Sees(kit)
    transport, *_ = kit.run(kind(kit, sees))
    target = writer(transport)
    target.set_write_buffer_limits(high=0)
    if hasattr(transport, "get_pipe_transport"):
        transport.get_pipe_transport(1).pause_reading()  # so that the child's output stays, and its input too
    target.write(MUCH)
    kit.turns(2)
    told = [name for name in sees.seen if name in ("pause", "resume")]
    kit.equal(told[-1:], ["pause"], "what it was told last while bytes wait")
    gone(kit, transport, sees)


@family("STREAM-9", kind={name: KINDS[name] for name in ("tcp", "unix", "write_pipe")})
def test_resume_of_the_second_protocol(kit: Kit, kind: Kind) -> None:
    """A protocol that is set while writing is paused is the one that is told to go on"""
    first, second = Sees(kit), Sees(kit)
    transport, _, peer = kit.run(kind(kit, first))
    transport.write(MUCH)
    kit.turns(2)
    transport.set_protocol(second)
    kit.equal(first.seen[-1], "pause", "last call of the first protocol")
    kit.reader(peer, peer.recv, 1 << 20)
    deadline = kit.loop.time() + 3
    while "resume" not in second.seen and kit.loop.time() < deadline:
        kit.run_for(0.001)
    kit.remove_reader(peer)
    gone(kit, transport, second)
    kit.equal((first.seen[-1], second.seen), ("pause", ["resume", "lost"]), "last of the first, all of the second")


@family("STREAM-7", kind={name: KINDS[name] for name in ("tcp", "unix")})
def test_half_closed_by_us(kit: Kit, kind: Kind) -> None:
    """After write_eof() the other side sees the end, and its answer still arrives"""
    sees = Sees(kit)
    transport, speak, peer = kit.run(kind(kit, sees))
    transport.write_eof()
    kit.run(kit.loop.sock_recv(peer, 0))
    kit.equal(peer.recv(10), b"", "what the peer reads")
    speak()
    peer.close()
    kit.run(asyncio.wait_for(sees.lost, 3))
    kit.equal(sees.seen, ["made", "data", "lost"], "what the protocol saw")


class Endless(Sees):
    """Makes its other end say something whenever it hears something, until it is heard itself."""

    speak: Callable[[], object]
    is_heard = False

    def note(self, name: str) -> None:
        super().note(name)
        if name == "data" and not self.is_heard and len(self.seen) < TURN_MAX:
            self.speak()


@family("SOON-5", kind={name: KINDS[name] for name in ("tcp", "unix", "read_pipe", "endpoint")})
def test_endless_data_lets_others_in(kit: Kit, kind: Kind) -> None:
    """A transport whose data never ends lets callbacks have their turn (libuv#1043)"""
    sees = Endless(kit)
    transport, sees.speak, _ = kit.run(kind(kit, sees))

    async def main() -> None:
        sees.speak()
        while "data" not in sees.seen:
            await asyncio.sleep(0)
        sees.is_heard = True

    kit.run(main())
    gone(kit, transport, sees)
    kit.check(len(sees.seen) < TURN_MAX, f"{TURN_MAX} pieces came before a callback")


@family("STREAM-7", answer={"one": 1, "text": "yes", "list": [0], "none": None, "zero": 0, "empty": ""})
def test_answer_of_any_type(kit: Kit, answer: Any) -> None:
    """What eof_received returns counts by its truth, whatever its type"""
    sees, (given, peer) = Sees(kit), kit.tcp_pair()
    sees.eof_received = kit.observed(lambda: answer)  # type: ignore[method-assign]
    transport, _ = kit.run(kit.loop.create_connection(lambda: sees, sock=given))
    peer.shutdown(socket.SHUT_WR)
    kit.run_for(0.004)
    kit.equal(transport.is_closing(), not answer, f"is it closing after the answer {answer!r}")
    gone(kit, transport, sees)


@case("STREAM-7")
def test_answer_of_a_buffered_protocol(kit: Kit) -> None:
    """eof_received of a BufferedProtocol decides too: after True the transport stays open, and writes."""
    given, peer = kit.tcp_pair()
    lost = kit.loop.create_future()

    class Stays(asyncio.BufferedProtocol):
        get_buffer = staticmethod(lambda hint: bytearray(10))
        buffer_updated = staticmethod(kit.observed(lambda count: None))
        eof_received = staticmethod(kit.observed(lambda: True))
        connection_lost = staticmethod(kit.observed(lost.set_result))

    transport, _ = kit.run(kit.loop.create_connection(Stays, sock=given))
    peer.shutdown(socket.SHUT_WR)
    kit.run_for(0.005)
    kit.check(not transport.is_closing(), "it is closing")
    transport.write(b"answer")
    transport.close()
    kit.run(asyncio.wait_for(lost, 3))
    kit.equal(peer.recv(10), b"answer", "what the peer reads")


@family("CTX-4", kind={name: KINDS[name] for name in ("tcp", "unix", "read_pipe", "endpoint")})
def test_context_of_what_comes(kit: Kit, kind: Kind) -> None:
    """What comes is given to the protocol in the context of whoever made the transport"""
    seen: list[str] = []

    class Looks(Sees):
        def note(self, name: str) -> None:
            super().note(name)
            if name in ("made", "data"):
                seen.append(VARIABLE.get())

    sees = Looks(kit)

    async def maker() -> Any:
        VARIABLE.set("maker's")
        return await kind(kit, sees)

    transport, speak, _ = kit.run(maker())
    speak()
    kit.run_for(0.005)
    gone(kit, transport, sees)
    kit.equal(seen, ["maker's"] * 2, "the variable in connection_made and when something came")


TYPES = {"text": "abc", "number": 1, "none": None, "list": [1, 2]}


@family("STREAM-2", kind={name: KINDS[name] for name in ("tcp", "unix", "tls", "write_pipe", "endpoint")}, wrong=TYPES)
def test_what_is_no_bytes(kit: Kit, kind: Kind, wrong: Any) -> None:
    """What is neither bytes nor a buffer is refused with TypeError, and the transport goes on"""
    sees = Sees(kit)
    transport, *_ = kit.run(kind(kit, sees))
    is_endpoint = hasattr(transport, "sendto")
    address = [transport.get_extra_info("sockname")] if is_endpoint else []
    try:
        (transport.sendto if is_endpoint else transport.write)(wrong, *address)
        kit.fail("it was taken")
    except (TypeError, AssertionError):  # asyncio's pipes assert
        pass
    kit.run_for(0.002)
    kit.equal(sees.seen[1:], [], "what the protocol saw")
    (transport.sendto if is_endpoint else transport.write)(b"abc", *address)
    gone(kit, transport, sees)
