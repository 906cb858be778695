# real clock
"""Cases of numbers at and beyond their edges (NUM-1), wherever a loop takes a number."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit

NUMBERS: dict[str, Any] = {
    "nan": float("nan"),
    "inf": float("inf"),
    "minus_inf": float("-inf"),
    "minus_1": -1,
    "minus_2_63": -(2**63),
    "tiny": 1e-10,
    "almost_1": 0.9999999999,
    "2_31": 2**31,
    "2_32": 2**32,
    "2_63": 2**63,
    "2_64": 2**64,
    "huge": 1e300,
    "text": "10",  # not 1: the signal that nohup ignores
    "none": None,
}
REFUSALS = (ValueError, OverflowError, TypeError, OSError, RuntimeError)  # RuntimeError: no such signal
Take = Callable[[Kit, Any], object]


async def within(call: Any) -> None:
    """Awaits for 5 ms; what is refused is refused at once."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(call, 0.005)


def limits(kit: Kit, number: Any) -> None:
    log, _ = kit.connection()
    try:
        log.transport.set_write_buffer_limits(high=number)
        log.transport.set_write_buffer_limits(low=number)
        log.transport.write(b"x" * 100)
    finally:
        log.transport.abort()
        kit.run(log.until_event("lost"))


def serve(kit: Kit, number: Any, **options: Any) -> None:
    async def main() -> None:
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", **{"port": 0, **options})
        server.close()
        await asyncio.sleep(0)

    kit.run(main())


def connect(kit: Kit, number: Any) -> None:
    async def main() -> None:
        transport, _ = await kit.loop.create_connection(asyncio.Protocol, "127.0.0.1", number)
        transport.abort()
        await asyncio.sleep(0.002)

    kit.run(within(main()))


def receive(kit: Kit, number: Any) -> None:
    left, right = kit.socketpair()
    kit.put(right, b"hello")
    if number not in (2**31, 2**32):  # that much memory could be had
        kit.run(within(kit.loop.sock_recv(left, number)))


PLACES: dict[str, Take] = {
    "call_later": lambda kit, number: kit.loop.call_later(number, int).cancel(),
    "call_at": lambda kit, number: kit.loop.call_at(kit.loop.time() + number, int).cancel(),
    "reader": lambda kit, number: kit.loop.add_reader(number, int),
    "writer": lambda kit, number: kit.loop.add_writer(number, int),
    "remove_reader": lambda kit, number: kit.loop.remove_reader(number),
    "signal": lambda kit, number: kit.loop.add_signal_handler(number, int),
    "remove_signal": lambda kit, number: kit.loop.remove_signal_handler(number),
    "limits": limits,
    "server_port": lambda kit, number: serve(kit, number, port=number),
    "backlog": lambda kit, number: serve(kit, number, backlog=number),
    "connect_port": connect,
    "sock_recv": receive,
    "sock_sendall": lambda kit, number: kit.run(within(kit.loop.sock_sendall(kit.socketpair()[0], number))),
    "getaddrinfo": lambda kit, number: kit.run(within(kit.loop.getaddrinfo("127.0.0.1", number))),
    "sleep": lambda kit, number: kit.run(within(asyncio.sleep(number))),
}


@family("NUM-1", place=PLACES, number=NUMBERS)
def test_number(kit: Kit, place: Take, number: Any) -> None:
    """A number is taken or refused with an exception, never a crash or a hang, and the loop goes on"""
    kit.turns(1)
    kit.errors.clear()  # a server may tell of what it could not do
    try:
        place(kit, number)
    except REFUSALS:
        pass
    except AttributeError as error:  # of a number that has no fileno()
        kit.check(error.obj is number, f"it raised {error!r}")
    gc.collect()  # of a socket that a traceback held
    ran: list[int] = []
    kit.soon(ran.append, 1)
    kit.later(0.002, ran.append, 2)
    kit.run_for(0.004)
    kit.equal(sorted(ran), [1, 2], "callbacks afterwards")


@family("NUM-2", limits={"low_above_high": (1, 2), "negative_high": (-1, None), "negative_low": (None, -1)})
def test_write_buffer_limits(kit: Kit, limits: tuple[int | None, int | None]) -> None:
    """Limits of the write buffer that contradict each other raise an exception and change nothing (zuvloop#79)"""
    log, _ = kit.connection()
    high, low = limits
    log.transport.set_write_buffer_limits(high=1000, low=10)
    try:
        log.transport.set_write_buffer_limits(high=high, low=low)
        kit.fail("they were accepted")
    except (ValueError, OverflowError):
        pass
    if hasattr(log.transport, "get_write_buffer_limits"):
        kit.equal(log.transport.get_write_buffer_limits(), (10, 1000), "limits (low, high)")
    log.transport.abort()
    kit.run(log.until_event("lost"))


@family("NUM-2", what=("fd_closed", "fd_of_a_socket_object", "fd_of_a_transport", "text"))
def test_what_is_watched(kit: Kit, what: str) -> None:
    """add_reader refuses what is no open fd, takes an object with fileno(), and keeps off a transport's own fd"""
    log, _ = kit.connection()
    left, _right = kit.socketpair()
    gone = socket.socket()
    number = gone.fileno()
    gone.close()
    own = log.transport.get_extra_info("socket").fileno()
    given: Any = {"fd_closed": number, "fd_of_a_socket_object": left, "fd_of_a_transport": own, "text": "x"}[what]
    try:
        kit.loop.add_reader(given, print)
        refused = False
    except (ValueError, OSError, RuntimeError, AttributeError, TypeError):  # the last two of what has no fileno()
        refused = True
    if not refused:
        kit.loop.remove_reader(given)
    log.transport.abort()
    kit.run(log.until_event("lost"))
    kit.equal(refused, what != "fd_of_a_socket_object", f"is {what} refused")
