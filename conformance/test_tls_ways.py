# real clock
"""Cases of every way to TLS (TLS-*): each call that takes an SSL context uses it, and obeys its name and timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log
from loopcheck.tls import NAME, PEER_S, Talk, Tls, contexts, gets, join, part

CLIENTS = ("connection", "unix", "start_tls")
SERVERS = ("accepted", "server", "unix_server", "start_tls_server")
SHORT_S = 0.02


async def served(kit: Kit, way: str, log: Log, options: dict[str, Any]) -> tuple[socket.socket, Any]:
    """A client of a server that serves `log` over TLS, and the server."""
    if way == "server":
        server: Any = await kit.loop.create_server(lambda: log, "127.0.0.1", 0, **options)
    else:
        server = await kit.loop.create_unix_server(lambda: log, f"\0loopcheck-tls-{os.getpid()}", **options)
    listener = server.sockets[0]
    peer = kit.own(socket.socket(listener.family))
    peer.settimeout(PEER_S)
    peer.connect(listener.getsockname())
    return peer, server


async def opening(
    kit: Kit, way: str, log: Log, tls: Tls, name: str, options: dict[str, Any]
) -> tuple[socket.socket, asyncio.Future[Any]]:
    """The other end of a connection that is plain so far, and the call, begun, that makes TLS of ours."""
    ours, peer = socket.socketpair() if way == "unix" else kit.tcp_pair()
    ours.setblocking(False)
    kit.own(peer).settimeout(PEER_S)
    loop, named, sided = kit.loop, {**options, "server_hostname": name}, {**options, "server_side": True}
    if way.startswith("start_tls"):
        await loop.create_connection(lambda: log, sock=ours)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "connection": lambda: loop.create_connection(lambda: log, sock=ours, ssl=tls.client, **named),
        "unix": lambda: loop.create_unix_connection(lambda: log, sock=ours, ssl=tls.client, **named),
        "accepted": lambda: loop.connect_accepted_socket(lambda: log, ours, ssl=tls.server, **options),
        "start_tls": lambda: loop.start_tls(log.transport, log, tls.client, **named),
        "start_tls_server": lambda: loop.start_tls(log.transport, log, tls.server, **sided),
    }
    call = asyncio.ensure_future(calls[way]())
    await asyncio.sleep(0)  # the peer says nothing before start_tls has begun
    return peer, call


def talks(kit: Kit, way: str, tls: Tls, peer: socket.socket, talk: Talk) -> None:
    """A blocking peer in a thread, which shakes hands and calls `talk`."""
    is_server = way in CLIENTS
    context, options = (tls.server, {}) if is_server else (tls.client, {"server_hostname": NAME})

    def run() -> None:
        with contextlib.suppress(OSError), peer:
            with context.wrap_socket(peer, server_side=is_server, **options) as wrapped:
                talk(wrapped)

    kit.thread(run)


async def connected(kit: Kit, way: str, log: Log, talk: Talk, options: dict[str, Any]) -> None:
    """Opens TLS by the way, with a blocking peer that talks."""
    tls = contexts()
    if way in ("server", "unix_server"):
        peer, server = await served(kit, way, log, {"ssl": tls.server, **options})
        talks(kit, way, tls, peer, talk)
        await log.until_event("made")
        server.close()
    else:
        peer, call = await opening(kit, way, log, tls, NAME, options)
        talks(kit, way, tls, peer, talk)
        made = await call
        log.transport = made if way.startswith("start_tls") else log.transport


@family("TLS-2", way=CLIENTS + SERVERS)
def test_data_by_every_way(kit: Kit, way: str) -> None:
    """Every call that takes an SSL context gives a connection that is encrypted, and carries bytes both ways"""
    log = kit.protocol()

    async def main() -> bytes:
        await connected(kit, way, log, lambda peer: peer.sendall(peer.recv(100).upper()), {})
        log.transport.write(b"hello")
        got = await gets(log, 5)
        log.transport.abort()
        await log.until_event("lost")
        return got

    kit.equal(kit.run(main(), 3), b"HELLO", "answer")
    kit.close_threads()


@family("TLS-6", way=CLIENTS + SERVERS)
def test_silent_at_the_handshake(kit: Kit, way: str) -> None:
    """Whoever opens TLS with a peer that says nothing gives it up after ssl_handshake_timeout"""
    kit.errors.clear()
    log, options, tls = kit.protocol(), {"ssl_handshake_timeout": SHORT_S}, contexts()

    async def main() -> None:
        if way in ("server", "unix_server"):
            peer, server = await served(kit, way, log, {"ssl": tls.server, **options})
        else:
            peer, call = await opening(kit, way, log, tls, NAME, options)
            done, _ = await asyncio.wait({call}, timeout=2)
            kit.check(done, "it is not given up")
            if isinstance(error := call.exception(), NotImplementedError):
                raise error
            kit.check(isinstance(error, (OSError, asyncio.TimeoutError)), f"it ended by {error!r}")
        peer.setblocking(False)
        with contextlib.suppress(ConnectionError):
            while await kit.loop.sock_recv(peer, 10_000):
                pass  # a client's hello, before the end
        if way in ("server", "unix_server"):
            server.close()
        await asyncio.sleep(0.005)

    kit.run(main(), 3)


@family("TLS-3", way=CLIENTS + SERVERS)
def test_silent_at_the_end(kit: Kit, way: str) -> None:
    """A peer that does not answer the close_notify holds close() up for ssl_shutdown_timeout and no longer"""
    if sys.version_info < (3, 11):
        kit.skip("this Python has no ssl_shutdown_timeout")
    kit.errors.clear()
    log, over = kit.protocol(), threading.Event()

    async def main() -> None:
        await connected(kit, way, log, lambda _: over.wait(PEER_S), {"ssl_shutdown_timeout": SHORT_S})
        log.transport.close()
        await asyncio.wait_for(log.until_event("lost"), 2)

    try:
        kit.run(main(), 3)
    finally:
        over.set()
    kit.close_threads()


@family("TLS-4", way=CLIENTS)
def test_name_by_every_way(kit: Kit, way: str) -> None:
    """A certificate for another name than server_hostname is refused, and the connection is given up"""
    kit.errors.clear()
    log, tls = kit.protocol(), contexts()

    async def main() -> None:
        peer, call = await opening(kit, way, log, tls, "another.example", {})
        talks(kit, way, tls, peer, lambda wrapped: wrapped.recv(1))
        try:
            await call
        except ssl.SSLCertVerificationError:
            await asyncio.sleep(0.005)
            return
        kit.fail("it was taken")

    kit.run(main(), 3)
    kit.close_threads()


@family("TLS-4", way=("connection", "unix", "host"))
def test_empty_name_is_not_checked(kit: Kit, way: str) -> None:
    """server_hostname='' stands for no name, where the context does not check it (docs of create_connection)"""
    log, tls = kit.protocol(), contexts()
    tls.client.check_hostname = False

    async def main() -> bytes:
        if way == "host":
            listener = kit.listener()
            options: dict[str, Any] = {"ssl": tls.client, "server_hostname": ""}
            call = asyncio.ensure_future(kit.loop.create_connection(lambda: log, *listener.getsockname(), **options))
            await asyncio.sleep(0)
            _ = call.done() and call.result()  # what the loop has not got is missing at once
            peer = kit.own((await kit.loop.sock_accept(listener))[0])
            peer.settimeout(PEER_S)
        else:
            peer, call = await opening(kit, way, log, tls, "", {})
        talks(kit, "connection", tls, peer, lambda wrapped: wrapped.sendall(b"hello"))
        await call
        return await gets(log, 5)

    kit.equal(kit.run(main(), 3), b"hello", "what arrived")
    log.transport.abort()
    kit.run(log.until_event("lost"))
    kit.close_threads()


@case("SENDFILE-2")
def test_no_fallback_over_tls(kit: Kit) -> None:
    """sendfile(fallback=False) over TLS, which the kernel cannot do, raises RuntimeError and sends nothing."""
    inside, log = kit.protocol(), kit.protocol()

    async def main() -> bytes:
        await join(kit, contexts(), inside, log)
        with tempfile.TemporaryFile() as file:
            file.write(b"a file")
            file.seek(0)
            try:
                await kit.loop.sendfile(log.transport, file, fallback=False)
            except RuntimeError:
                log.transport.write(b"refused")
        got = await gets(inside, 6)
        await part(inside, log)
        return got

    kit.equal(kit.run(main()), b"refused", "what arrived")
