# real clock
"""Cases of TLS: how connections end, and whom a side trusts (TLS-3, TLS-4)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
import threading

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, end
from loopcheck.tls import NAME, PEER_S, VERSIONS, Tls, contexts, join, part, server_peer

PATTERN = bytes(range(256)) * 4096  # 1 MiB


@family("TLS-3", version=VERSIONS.keys())
def test_close_sends_all(kit: Kit, version: str) -> None:
    """What was written before close() arrives, then a close_notify, and connection_lost(None) comes"""
    tls = contexts(version)
    got = bytearray()
    ended: list[str] = []

    def take(peer: ssl.SSLSocket) -> None:
        while data := peer.recv(65536):  # a bare end of file would raise SSLEOFError
            got.extend(data)
        ended.append("close_notify")

    address = server_peer(kit, tls, take)
    log = kit.protocol()
    kit.run(kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME))
    log.transport.write(PATTERN)
    log.transport.write(b"end")
    log.transport.close()
    end(kit, log)
    kit.close_threads()
    kit.check(bytes(got) == PATTERN + b"end", f"{len(got)} bytes arrived, or other ones")
    kit.equal((ended, log.error), (["close_notify"], None), "end seen by the peer and error")


@family("TLS-3", version=VERSIONS.keys())
def test_peer_sends_and_closes(kit: Kit, version: str) -> None:
    """What the peer sent before its close_notify is delivered, then eof, then connection_lost (uvloop@6476aad)"""
    tls = contexts(version)

    def talk(peer: ssl.SSLSocket) -> None:
        peer.sendall(PATTERN[:300_000])
        with contextlib.suppress(OSError):
            peer.unwrap()

    address = server_peer(kit, tls, talk)
    log = kit.protocol()
    kit.run(kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME))
    end(kit, log)
    kit.check(bytes(log.received) == PATTERN[:300_000], f"{len(log.received)} bytes arrived, or other ones")
    kit.equal((log.events, log.error), (["made", "data", "eof", "lost"], None), "events and error")


@family("TLS-3", version=VERSIONS.keys())
def test_cut_off_inside_a_record(kit: Kit, version: str) -> None:
    """A connection that ends inside a record is lost once, and no part of that record is delivered"""
    tls = contexts(version)

    def talk(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"whole")
        with socket.socket(fileno=os.dup(peer.fileno())) as plain:
            plain.sendall(b"\x17\x03\x03\x00\x50" + b"half of a record")
            plain.shutdown(socket.SHUT_RDWR)

    address = server_peer(kit, tls, talk)
    log = kit.protocol()
    kit.errors.clear()
    kit.run(kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME))
    end(kit, log)
    kit.equal((bytes(log.received), log.events.count("lost")), (b"whole", 1), "data and calls of connection_lost")


@case("TLS-3")
def test_abort_sends_no_more(kit: Kit) -> None:
    """abort() over TLS drops what waits: connection_lost(None) comes though the peer reads nothing."""
    tls = contexts()

    async def main() -> tuple[Log, Log]:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        inside.pause_reading()
        log.transport.write(PATTERN * 8)
        log.transport.abort()
        await log.until_event("lost")
        kit.check(len(inside.received) < len(PATTERN) * 8, "everything was sent")
        inside.resume_reading()
        await part(inside)
        return log, inside

    log, _ = kit.run(main())
    kit.check(log.error is None, f"connection_lost got {log.error!r}")


@case("TLS-3")
def test_no_half_close(kit: Kit) -> None:
    """TLS transports cannot write_eof(), say so, and drop what is written after close()."""
    tls = contexts()

    async def main() -> bytes:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        kit.check(not log.transport.can_write_eof(), "can_write_eof() is true")
        kit.raises(NotImplementedError, log.transport.write_eof)
        log.transport.write(b"before")
        log.transport.close()
        with contextlib.suppress(RuntimeError):
            log.transport.write(b"after")
        await inside.until_event("lost")
        await log.until_event("lost")
        return bytes(inside.received)

    kit.equal(kit.run(main()), b"before", "what arrived")


@case("TLS-3")
def test_close_of_a_peer_that_is_silent(kit: Kit) -> None:
    """A peer that never answers the close_notify holds close() up for ssl_shutdown_timeout and no longer."""
    if sys.version_info < (3, 11):
        kit.skip("this Python has no ssl_shutdown_timeout")
    tls = contexts()
    over = kit.loop.create_future()
    address = server_peer(kit, tls, lambda _: asyncio.run_coroutine_threadsafe(waits(), kit.loop).result(3))
    log = kit.protocol()
    options = {"ssl_shutdown_timeout": 0.05}

    async def waits() -> None:
        await over

    async def main() -> None:
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME, **options)
        log.transport.close()
        await log.until_event("lost")
        over.set_result(None)

    kit.errors.clear()
    kit.run(main(), 2.5)
    kit.close_threads()


async def refusal(kit: Kit, tls: Tls, inside: Log, log: Log, name: str) -> BaseException | None:
    """The error of a client that connects, or of the connection that is lost at once."""
    server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
    address = server.sockets[0].getsockname()
    try:
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=name)
        await log.until_event("lost")
    except OSError as error:
        return error
    finally:
        server.close()
        await asyncio.sleep(0.01)
    return log.error


@family("TLS-4", version=VERSIONS.keys(), fault=("untrusted", "other_name", "no_client_certificate"))
def test_certificate_is_refused(kit: Kit, version: str, fault: str) -> None:
    """A certificate that is missing, not trusted or of another name is refused, and no byte is delivered"""
    tls = contexts(version)
    if fault == "untrusted":
        tls = Tls(tls.server, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    elif fault == "no_client_certificate":
        tls.server.verify_mode = ssl.CERT_REQUIRED
    kit.errors.clear()  # either side may tell its handler
    inside, log = kit.protocol(), kit.protocol(made=lambda log, transport: transport.write(b"secret"))

    name = "elsewhere" if fault == "other_name" else NAME
    error = kit.run(refusal(kit, tls, inside, log, name))
    if fault != "no_client_certificate":  # then it is the server that refuses, after the client is done
        kit.check(isinstance(error, ssl.SSLCertVerificationError), f"the client got {error!r}")
    kit.equal(bytes(inside.received), b"", "what the server's protocol was given")


@case("TLS-4")
def test_unverified_when_asked(kit: Kit) -> None:
    """With verify_mode CERT_NONE any certificate will do; with ssl=True one that is not trusted does not."""
    tls = contexts()
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
    kit.errors.clear()

    async def main() -> None:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, Tls(tls.server, lax), inside, log)
        await part(log, inside)
        server = await kit.loop.create_server(kit.protocol, "127.0.0.1", 0, ssl=tls.server)
        try:
            await kit.loop.create_connection(
                kit.protocol, *server.sockets[0].getsockname(), ssl=True, server_hostname=NAME
            )
        except ssl.SSLCertVerificationError:
            return
        finally:
            server.close()
            await asyncio.sleep(0.01)
        kit.fail("ssl=True trusted a certificate that nobody signed")

    kit.run(main())


@family("TLS-3", turns={"at_once": 0, "a_turn_later": 1, "three_turns_later": 3})
def test_abort_of_a_close_that_waits(kit: Kit, turns: int) -> None:
    """abort() ends a close() that waits for a silent peer's close_notify, without its timeout (anyio#1250)"""
    tls, over = contexts(), threading.Event()
    address, log = server_peer(kit, tls, lambda _: over.wait(PEER_S)), kit.protocol()

    async def main() -> bool:
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)
        log.transport.close()
        for _ in range(turns):
            await asyncio.sleep(0)
        log.transport.abort()
        lost = asyncio.ensure_future(log.until_event("lost"))
        await asyncio.wait({lost}, timeout=1)
        return lost.done()

    is_lost = kit.run(main())
    over.set()
    kit.close_threads()
    kit.check(is_lost, "connection_lost did not come")
    kit.check(log.error is None, f"connection_lost got {log.error!r}")


@family("TLS-3", version=VERSIONS.keys())
def test_close_notify_is_answered(kit: Kit, version: str) -> None:
    """A peer that ends TLS by its close_notify gets one back, before the end of the connection (bpo-30698)"""
    tls, ended = contexts(version), list[str]()

    def talk(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"bye")
        try:
            peer.unwrap()
            ended.append("close_notify")
        except OSError as error:
            ended.append(repr(error))

    address, log = server_peer(kit, tls, talk), kit.protocol()
    kit.run(kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME))
    end(kit, log)
    kit.close_threads()
    kit.equal((bytes(log.received), ended), (b"bye", ["close_notify"]), "received, and what the peer saw")


@family("CLOSE-2", version=VERSIONS.keys())
def test_reset_over_tls(kit: Kit, version: str) -> None:
    """A TLS connection that is reset ends with the error, after the bytes that came before"""
    tls = contexts(version)

    def talk(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"hello")
        peer.recv(10)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    address, log = server_peer(kit, tls, talk), kit.protocol(data=lambda log, _: log.transport.write(b"x"))
    kit.run(kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME))
    end(kit, log)
    kit.close_threads()
    kit.equal(bytes(log.received), b"hello", "received")
    kit.check(isinstance(log.error, ConnectionResetError), f"connection_lost got {log.error!r}")


@family("TLS-3", version=VERSIONS.keys())
def test_close_while_paused(kit: Kit, version: str) -> None:
    """close() of a TLS connection that has paused reading ends as soon as the peer has answered its close_notify"""
    tls = contexts(version)

    def talk(peer: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            while peer.recv(100):
                pass
            peer.unwrap()

    address, log = server_peer(kit, tls, talk), kit.protocol()

    async def main() -> bool:
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)
        await asyncio.sleep(0.003)
        log.pause_reading()
        log.transport.write(b"last")
        log.transport.close()
        lost = asyncio.ensure_future(log.until_event("lost"))
        await asyncio.wait({lost}, timeout=2)
        return lost.done()

    kit.check(kit.run(main()), "connection_lost did not come")
    kit.close_threads()
    kit.check(log.error is None, f"connection_lost got {log.error!r}")


@case("SERVER-3")
def test_server_waits_for_its_tls_connections(kit: Kit) -> None:
    """Who waits for a server's end waits for that of its TLS connections."""
    tls = contexts()

    async def main() -> list[bool]:
        inside, log = kit.protocol(), kit.protocol()
        server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
        waiting = asyncio.ensure_future(server.wait_closed())
        address = server.sockets[0].getsockname()
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)
        await inside.until_event("made")
        server.close()
        await asyncio.sleep(0.005)
        seen = [waiting.done()]
        await part(inside, log)
        await asyncio.wait({waiting}, timeout=2)
        return [*seen, waiting.done()]

    kit.equal(kit.run(main()), [False, True], "had wait_closed() ended with the connection, and after it")
