# real clock
"""Cases of every sock_* call (SOCK-2, SOCK-3): cancelled, asked again at once, and given what it has to refuse."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case

WAIT_S = 0.003
RECEIVING = ("recv", "recv_into", "recvfrom", "recvfrom_into")
SENDING = ("sendall", "sendto")
CALLS = (*RECEIVING, *SENDING, "accept", "connect")
ADDED = ("recvfrom", "recvfrom_into", "sendto")  # to Python 3.11


@dataclass
class Scene:
    """A call that has to wait, how to end its wait, and what shows afterwards that a cancelled one did nothing."""

    sock: socket.socket
    ask: Callable[[], Awaitable[Any]]
    feed: Callable[[], object]
    look: Callable[[], bool]


def taken(sock: socket.socket) -> bytes:
    """What a socket has to give now."""
    with contextlib.suppress(BlockingIOError):
        return sock.recv(1 << 20)
    return b""


def empty(sock: socket.socket) -> None:
    while taken(sock):
        pass


def pair(kit: Kit, call: str) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets: of datagrams, with addresses, for the calls that need them."""
    if call not in ADDED:
        return kit.socketpair()
    one, two = (kit.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in range(2))
    one.bind(f"\0{os.urandom(8).hex()}")  # abstract names
    two.bind(f"\0{os.urandom(8).hex()}")
    two.connect(one.getsockname())
    one.connect(two.getsockname())
    return one, two


def scene(kit: Kit, call: str) -> Scene:
    """The scene of one call. Skips on a Python whose loops do not have it."""
    if call in ADDED and not hasattr(asyncio.AbstractEventLoop, f"sock_{call}"):
        kit.skip(f"this Python has no sock_{call}")
    loop = kit.loop
    if call == "accept":
        listener = kit.listener()
        return Scene(listener, lambda: loop.sock_accept(listener), lambda: kit.client(listener), lambda: True)
    if call == "connect":
        client, listener = kit.own(socket.socket()), kit.listener()
        address = listener.getsockname()
        return Scene(client, lambda: loop.sock_connect(client, address), lambda: None, lambda: True)
    sock, peer = pair(kit, call)
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "recv": lambda: loop.sock_recv(sock, 100),
        "recv_into": lambda: loop.sock_recv_into(sock, bytearray(100)),
        "recvfrom": lambda: loop.sock_recvfrom(sock, 100),
        "recvfrom_into": lambda: loop.sock_recvfrom_into(sock, bytearray(100)),
        "sendall": lambda: loop.sock_sendall(sock, b"late"),
        "sendto": lambda: loop.sock_sendto(sock, b"late", peer.getsockname()),
    }
    if call in RECEIVING:
        return Scene(sock, asked[call], lambda: kit.put(peer, b"precious"), lambda: taken(sock) == b"precious")
    with contextlib.suppress(BlockingIOError):
        while sock.send(b"x" * (1 << 16 if call == "sendall" else 1)):
            pass
    return Scene(sock, asked[call], lambda: empty(peer), lambda: taken(peer) == b"")


@family("SOCK-3", call=[call for call in CALLS if call != "accept"])  # test_sock_edges.py has that
def test_cancelled_in_the_turn_of_its_event(kit: Kit, call: str) -> None:
    """A call cancelled in the turn in which it could go on takes nothing, sends nothing, and leaves no watcher"""
    it = scene(kit, call)

    async def main() -> bool:
        task = asyncio.ensure_future(it.ask())
        await asyncio.sleep(0 if call == "connect" else WAIT_S)
        it.feed()
        kit.soon(task.cancel)
        await asyncio.wait({task})
        await asyncio.sleep(WAIT_S)
        return task.cancelled()

    if kit.run(main()):
        kit.check(it.look(), "the cancelled call has taken or sent something")
    kit.check(not kit.loop.remove_reader(it.sock.fileno()), "a reader is left")
    kit.check(not kit.loop.remove_writer(it.sock.fileno()), "a writer is left")


@family("SOCK-3", call=[call for call in CALLS if call != "connect"], when=("before", "after"))
def test_cancelled_and_asked_again(kit: Kit, call: str, when: str) -> None:
    """A call that is cancelled before or after its turn leaves no watcher, and the same call, made at once, ends"""
    it = scene(kit, call)

    async def main() -> None:
        for _ in range(2):
            task = asyncio.ensure_future(it.ask())
            await asyncio.sleep(WAIT_S)
            task.cancel()
            if when == "after":
                await asyncio.wait({task})
                kit.check(not kit.loop.remove_reader(it.sock.fileno()), "a reader is left")
                kit.check(not kit.loop.remove_writer(it.sock.fileno()), "a writer is left")
        kit.later(WAIT_S, it.feed)
        result = await it.ask()  # in the same step as the cancel
        if call == "accept":
            kit.own(result[0])

    kit.run(main())


@family("SOCK-2", call=CALLS)
def test_tls_socket_is_refused(kit: Kit, call: str) -> None:
    """A TLS socket is refused with TypeError, by every call"""
    it = scene(kit, call)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    kit.turns(1)
    with context.wrap_socket(socket.socket(), do_handshake_on_connect=False) as wrapped:
        wrapped.setblocking(False)
        options: dict[str, tuple[Any, ...]] = {
            "recv": (10,),
            "recvfrom": (10,),
            "recv_into": (bytearray(10),),
            "recvfrom_into": (bytearray(10),),
            "sendall": (b"x",),
            "sendto": (b"x", ("127.0.0.1", 9)),
            "connect": (("127.0.0.1", 9),),
        }
        asked = getattr(kit.loop, f"sock_{call}")
        kit.raises(TypeError, lambda: kit.run(asyncio.wait_for(asked(wrapped, *options.get(call, ())), 2)))
    del it


@family("DEBUG-1", call=CALLS)
def test_blocking_socket_in_debug_mode(kit: Kit, call: str) -> None:
    """In debug mode every call refuses a blocking socket with ValueError"""
    it = scene(kit, call)
    kit.loop.set_debug(True)
    it.sock.setblocking(True)
    kit.raises(ValueError, lambda: kit.run(asyncio.wait_for(it.ask(), 2)))


@family("FD-11", call=("recv", "recv_into", "sendall"))
def test_descriptor_of_a_transport(kit: Kit, call: str) -> None:
    """A call that has to wait on the socket of a transport raises RuntimeError, and the transport works on"""
    log, peer = kit.connection()
    sock = socket.socket(fileno=log.transport.get_extra_info("socket").fileno())
    try:
        with contextlib.suppress(BlockingIOError):
            while call == "sendall" and sock.send(b"x" * 4096):
                pass
        asked = {
            "recv": lambda: kit.loop.sock_recv(sock, 1),
            "recv_into": lambda: kit.loop.sock_recv_into(sock, bytearray(1)),
            "sendall": lambda: kit.loop.sock_sendall(sock, b"x"),
        }[call]
        kit.raises(RuntimeError, lambda: kit.run(asyncio.wait_for(asked(), 1)))
    finally:
        sock.detach()
    kit.put(peer, b"hello")
    kit.run(log.until(lambda: bytes(log.received) == b"hello"))
    log.transport.abort()
    kit.run(log.until_event("lost"))


@case("SOCK-2")
def test_sendall_of_nothing_to_a_full_socket(kit: Kit) -> None:
    """sock_sendall of no bytes ends at once, also where there is no room."""
    left, _right = kit.socketpair()
    kit.fill(left)
    kit.run(asyncio.wait_for(kit.loop.sock_sendall(left, b""), 2))


@family("LIFE-11", call=CALLS)
def test_socket_is_let_go(kit: Kit, call: str) -> None:
    """The socket of a call that has ended is let go"""

    async def main() -> weakref.ref[socket.socket]:
        it = scene(kit, call)
        asked = asyncio.ensure_future(it.ask())
        await asyncio.sleep(WAIT_S)
        it.feed()
        result = await asyncio.wait_for(asked, 2)
        if call == "accept":
            result[0].close()
        return weakref.ref(it.sock)

    kept = kit.run(main())
    kit.turns(2)
    kit.close_files()
    gc.collect()
    kit.check(kept() is None, "the socket is still held")
