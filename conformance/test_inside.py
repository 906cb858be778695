# real clock
"""Cases of callbacks that turn on their own loop (INSIDE-*): they stop it, close their own transport, and code that
runs where nobody expects any - finalisers, iterators, __buffer__, __index__ - does the same."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log

PATTERN = bytes(1 << 20)
EVENTS = ("made", "data", "eof", "pause", "resume", "lost")
ACTIONS: dict[str, Callable[[Kit, Log], object]] = {
    "close": lambda kit, log: log.transport.close(),
    "abort": lambda kit, log: log.transport.abort(),
    "stop": lambda kit, log: kit.loop.stop(),
    "write": lambda kit, log: log.transport.write(b"x"),
    "pause_reading": lambda kit, log: log.transport.pause_reading(),
    "set_protocol": lambda kit, log: log.transport.set_protocol(log),
}


def read_all(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while peer.recv(1 << 20):
            pass


def provoke(kit: Kit, log: Log, peer: socket.socket, event: str) -> None:
    """Sends data, fills the write buffer where that is wanted, empties it, and ends the connection."""
    if "lost" not in log.events and log.transport is not None:
        kit.put(peer, b"hello")
        if event in ("pause", "resume"):
            log.transport.write(PATTERN)
    kit.run_for(0.003)
    for _ in range(30):
        read_all(peer)
        kit.turns(2)
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_WR)
    kit.run_for(0.003)


@family("INSIDE-1", event=EVENTS, action=ACTIONS)
def test_transport_in_its_own_callback(kit: Kit, event: str, action: Callable[[Kit, Log], object]) -> None:
    """A protocol's method may do anything to its own transport and loop: the others come in order, lost once"""
    given, peer = kit.tcp_pair()

    def act(log: Log, _: object) -> None:
        log.hooks.clear()
        with contextlib.suppress(RuntimeError):  # write() after the end may say so
            action(kit, log)

    log = kit.protocol(**{event: act})
    opening = asyncio.ensure_future(kit.loop.create_connection(lambda: log, sock=given), loop=kit.loop)
    kit.turns(4)
    provoke(kit, log, peer, event)
    log.transport.abort()
    kit.run_for(0.003)
    with contextlib.suppress(OSError):
        kit.run(opening)
    kit.equal(log.events.count("lost"), 1, f"calls of connection_lost (events: {log.events})")


PLAIN = ("soon", "timer", "threadsafe", "reader", "writer", "signal")


def ask(kit: Kit, kind: str, callback: Callable[[], object]) -> Callable[[], object]:
    """Asks for one callback of the kind; returns what takes it back."""
    if kind in ("reader", "writer"):
        read_end, write_end = kit.pipe()
        kit.put(write_end)
        fd, add, remove = (read_end, kit.reader, kit.remove_reader)
        if kind == "writer":
            fd, add, remove = (write_end, kit.writer, kit.remove_writer)
        add(fd, callback)
        return lambda: remove(fd)
    if kind == "signal":
        kit.loop.add_signal_handler(signal.SIGUSR1, callback)
        kit.soon(os.kill, os.getpid(), signal.SIGUSR1)
        return lambda: kit.loop.remove_signal_handler(signal.SIGUSR1)
    asked = {"soon": kit.soon, "threadsafe": kit.threadsafe}
    handle = kit.later(0.001, callback) if kind == "timer" else asked[kind](callback)
    return lambda: kit.cancel(handle)


@family("INSIDE-1", kind=PLAIN, action=("take_back", "stop", "ask_again", "run_refused"))
def test_callback_that_acts(kit: Kit, kind: str, action: str) -> None:
    """Any plain callback may take itself back, stop the loop, ask anew, or be refused a nested run"""
    calls: list[int] = []
    take_back: list[Callable[[], object]] = []

    def callback() -> None:
        calls.append(1)
        if action == "stop":
            kit.stop()
        elif action == "ask_again":
            kit.soon(calls.append, 2)
        elif action == "run_refused":
            kit.raises(RuntimeError, kit.loop.run_forever)
        take_back[0]()

    kit.turns(1)
    take_back.append(ask(kit, kind, callback))
    kit.run_for(0.01)
    kit.run_for(0.003)
    kit.equal(calls, [1, 2] if action == "ask_again" else [1], "calls")


class Bomb:
    """Does something when it is collected, and can be called."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work

    def __call__(self, *_: object) -> None: ...

    def __del__(self) -> None:
        self.work()


WORKS: dict[str, Callable[[Kit, list[int]], Callable[[], object]]] = {
    "soon": lambda kit, ran: lambda: kit.loop.call_soon(ran.append, 1),
    "timer": lambda kit, ran: lambda: kit.loop.call_later(0.001, ran.append, 1),
    "threadsafe": lambda kit, ran: lambda: kit.loop.call_soon_threadsafe(ran.append, 1),
}


@family("INSIDE-2", held=("soon", "timer", "cancelled_timer", "threadsafe", "reader"), work=WORKS)
def test_finaliser_asks_for_callbacks(kit: Kit, held: str, work: Any) -> None:
    """Callbacks whose finalisers ask the loop for others, by the hundred, upset nothing (zuvloop#15c)"""
    ran: list[int] = []
    ends = kit.pipe()
    kit.put(ends[1])
    kit.turns(1)
    for i in range(100):
        bomb = Bomb(work(kit, ran))
        if held in ("soon", "threadsafe"):
            handle = getattr(kit.loop, f"call_{held}" if held == "soon" else "call_soon_threadsafe")(bomb, bomb)
        elif held == "reader":
            handle = kit.loop.add_reader(ends[0], bomb)
        else:
            handle = kit.loop.call_later(0.0001 * (i % 7), bomb, bomb)
        del bomb
        if held == "cancelled_timer":
            handle.cancel()
        del handle
    kit.run_for(0.01)
    kit.loop.remove_reader(ends[0])
    gc.collect()
    kit.run_for(0.02)
    kit.equal(len(ran), 100, "callbacks of finalisers that ran")


@family("INSIDE-2", kind=("soon", "timer", "reader"))
def test_weak_reference_calls_back(kit: Kit, kind: str) -> None:
    """A weak reference to a callback may call the loop when the callback is collected"""
    ran: list[int] = []

    class Thing:
        def __call__(self) -> None:
            take_back[0]()

    thing = Thing()
    reference = weakref.ref(thing, lambda _: kit.loop.call_soon(ran.append, 1))
    take_back = [ask(kit, kind, thing)]
    del thing
    kit.run_for(0.01)
    take_back.clear()
    kit.recorder._wide.clear()  # the kit keeps handles, and they their callbacks
    gc.collect()
    kit.turns(3)
    kit.check(ran == [1] or reference() is not None, "the call of the weak reference was lost")


def connection(kit: Kit) -> tuple[Log, socket.socket]:
    log, peer = kit.connection()
    kit.turns(2)
    return log, peer


@family("INSIDE-3", action=("write", "close", "abort", "write_eof", "raise"))
def test_iterator_of_writelines(kit: Kit, action: str) -> None:
    """The iterator that writelines() consumes may write, close, or raise: no crash, and no byte twice (zuvloop#67)"""
    log, peer = connection(kit)

    def pieces() -> Iterator[bytes]:
        yield b"one "
        if action == "raise":
            raise ZeroDivisionError("planted")
        getattr(log.transport, action)(*([b"between "] if action == "write" else []))
        yield b"two "

    def act() -> None:
        with contextlib.suppress(RuntimeError, ZeroDivisionError):
            log.transport.writelines(pieces())

    kit.soon(act)
    kit.run_for(0.005)
    log.transport.close()
    kit.run(log.until_event("lost"))
    kit.turns(2)
    got = peer.recv(1000) if select.select([peer], [], [], 0)[0] else b""
    twice = [word for word in (b"one ", b"two ", b"between ") if got.count(word) > 1]
    kit.equal(twice, [], f"words that arrived twice in {got!r}")


@case("INSIDE-3")
def test_buffer_that_closes_the_transport(kit: Kit) -> None:
    """An object whose __buffer__ closes or writes to the transport may be written (zuvloop#67)."""
    if sys.version_info < (3, 12):
        kit.skip("this Python has no __buffer__")

    class Evil:
        def __init__(self, work: Callable[[], object]) -> None:
            self.work = work

        def __buffer__(self, flags: int) -> memoryview:
            self.work()
            return memoryview(b"evil")

    for name in ("close", "abort", "write_eof"):
        log, _peer = connection(kit)
        with contextlib.suppress(RuntimeError, TypeError):
            log.transport.write(Evil(getattr(log.transport, name)))
        with contextlib.suppress(RuntimeError, TypeError):
            log.transport.writelines([b"a", Evil(getattr(log.transport, name)), b"b"])
        kit.run_for(0.002)
        log.transport.abort()
        kit.run(log.until_event("lost"))


@family("INSIDE-3", method=("__float__", "__index__"), work=("soon", "cancel", "stop"))
def test_number_that_calls_the_loop(kit: Kit, method: str, work: str) -> None:
    """A delay whose conversion to a number calls the loop, or raises, upsets nothing"""
    ran: list[int] = []
    kit.turns(1)
    first = kit.loop.call_later(0.002, ran.append, 1)
    works = {"soon": lambda: kit.loop.call_soon(ran.append, 2), "cancel": first.cancel, "stop": kit.loop.stop}

    def convert(self: object) -> float:
        works[work]()
        return 0

    number: Any = type("Number", (), {method: convert})()
    with contextlib.suppress(TypeError):
        kit.loop.call_later(number, ran.append, 3)
    kit.run_for(0.01)
    kit.soon(ran.append, 9)
    kit.turns(3)
    kit.equal(ran[-1], 9, "last callback")


@case("INSIDE-3")
def test_callbacks_with_odd_equality(kit: Kit) -> None:
    """remove_done_callback with callbacks whose __eq__ changes the list removes none twice (cpython gh-97592)."""
    future = kit.loop.create_future()
    inside: list[int] = []

    class Odd:
        def __call__(self, _: object) -> None: ...

        def __eq__(self, other: object) -> bool:
            if not inside:
                inside.append(1)
                future.remove_done_callback(print)
                inside.clear()
            return False

        __hash__ = None  # type: ignore[assignment]

    for _ in range(5):
        future.add_done_callback(Odd())
        future.add_done_callback(print)
    kit.check(future.remove_done_callback(Odd()) <= 5, "more were removed than there are")
    kit.loop.call_soon(future.set_result, None)
    kit.run(asyncio.wait_for(asyncio.shield(future), 3))


@case("INSIDE-2")
def test_buffers_of_a_failed_writelines(kit: Kit) -> None:
    """writelines() that fails at one piece lets go of the buffers of the others (zuvloop@135bd89)."""
    log, _ = connection(kit)
    space = bytearray(b"data")
    with contextlib.suppress(TypeError):
        log.transport.writelines([space, object()])
    kit.run_for(0.002)
    gc.collect()
    try:
        space.extend(b"more")
    except BufferError:
        kit.fail("a buffer is still exported")
    finally:
        log.transport.abort()
        kit.run(log.until_event("lost"))


class Cycle:
    """Garbage that only the collector frees, and that then calls the loop."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.me, self.work = self, work

    def __del__(self) -> None:
        self.work()


@case("INSIDE-2")
def test_post_inside_a_post(kit: Kit) -> None:
    """call_soon_threadsafe may be called by a finaliser that runs inside it, wherever memory is collected there."""
    ran: list[str] = []
    kit.turns(1)
    thresholds = gc.get_threshold()
    try:
        for count in range(1, 25):
            gc.collect(0)
            Cycle(lambda: kit.loop.call_soon_threadsafe(ran.append, "inside"))
            gc.set_threshold(count)
            kit.loop.call_soon_threadsafe(ran.append, "outside")
            gc.set_threshold(*thresholds)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    kit.turns(3)
    kit.equal((ran.count("inside"), ran.count("outside")), (24, 24), "callbacks that ran, of either kind")


@case("INSIDE-2")
def test_post_in_a_signal_inside_a_post(kit: Kit) -> None:
    """call_soon_threadsafe may be called by a signal handler of Python that interrupts it (asyncio docs)."""
    ran: list[str] = []
    signals: list[int] = []

    def handler(*_: object) -> None:
        kit.loop.call_soon_threadsafe(ran.append, "inside")
        signals.append(1)

    kit.turns(1)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for count in range(5):
            signal.setitimer(signal.ITIMER_REAL, 0.0003)
            while len(signals) == count:
                kit.loop.call_soon_threadsafe(int)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    kit.turns(3)
    kit.equal(ran, ["inside"] * 5, "callbacks that the handler asked for")
