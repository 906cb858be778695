# real clock
"""Cases of TLS: start_tls, and handshakes that do not succeed (TLS-5, TLS-6)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import sys

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, reset
from loopcheck.tls import NAME, VERSIONS, Tls, client_peer, contexts, gets, part

PATTERN = bytes(range(256)) * 4096  # 1 MiB


async def plain(kit: Kit) -> tuple[Log, Log]:
    """Both ends of a plain connection, to be upgraded."""
    given, peer = kit.tcp_pair()
    log, inside = kit.protocol(), kit.protocol()
    await kit.loop.create_connection(lambda: log, sock=given)
    await kit.loop.create_connection(lambda: inside, sock=peer.dup())
    peer.close()
    return log, inside


async def upgrade(kit: Kit, tls: Tls, log: Log, inside: Log) -> None:
    """start_tls on both ends; the protocols get their new transports."""
    start = kit.loop.start_tls
    log.transport, inside.transport = await asyncio.gather(
        start(log.transport, log, tls.client, server_hostname=NAME),
        start(inside.transport, inside, tls.server, server_side=True),
    )


@family("TLS-5", version=VERSIONS.keys())
def test_start_tls(kit: Kit, version: str) -> None:
    """start_tls gives a transport that carries a megabyte each way, and knows of TLS"""
    tls = contexts(version)

    async def main() -> None:
        log, inside = await plain(kit)
        before = log.transport
        await upgrade(kit, tls, log, inside)
        kit.check(log.transport is not before, "start_tls returned the old transport")
        info, names = log.transport.get_extra_info, ("sockname", "peername", "socket")
        kit.check(info("ssl_object"), "the transport has no ssl_object")
        kit.equal([info(name) for name in names], [before.get_extra_info(name) for name in names], "what it knows")
        for one in (log, inside):
            one.transport.write(PATTERN)
        for one in (log, inside):
            kit.check(await gets(one, len(PATTERN)) == PATTERN, "other bytes arrived")
        await part(log, inside)

    kit.run(main())


@case("TLS-5")
def test_start_tls_after_plain_data(kit: Kit) -> None:
    """What was written before start_tls arrives plain, what is written after it encrypted, in order."""
    tls = contexts()

    async def main() -> bytes:
        log, inside = await plain(kit)
        log.transport.write(b"plain ")
        await gets(inside, 6)
        await upgrade(kit, tls, log, inside)
        log.transport.write(b"secret")
        got = await gets(inside, 12)
        await part(log, inside)
        return got

    kit.equal(kit.run(main()), b"plain secret", "data")


@case("TLS-5")
def test_start_tls_tells_no_second_beginning(kit: Kit) -> None:
    """start_tls does not call connection_made again, and connection_lost comes once, with the close_notify."""
    tls = contexts()

    async def main() -> list[list[str]]:
        log, inside = await plain(kit)
        await upgrade(kit, tls, log, inside)
        log.transport.write(b"hello")
        await gets(inside, 5)
        log.transport.close()
        await log.until_event("lost")
        await inside.until_event("lost")
        await asyncio.sleep(0.005)
        return [log.events, inside.events]

    log, inside = kit.run(main())
    kit.equal([e for e in log if e != "eof"], ["made", "lost"], "events of the side that closed")
    kit.equal(inside, ["made", "data", "eof", "lost"], "events of the other side")


def hello_of(tls: Tls) -> bytes:
    """The first bytes of a client's handshake."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls.client.wrap_bio(into, out, server_hostname=NAME)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


@case("TLS-5")
def test_stream_start_tls_with_a_waiting_hello(kit: Kit) -> None:
    """A ClientHello that was read ahead with the last plain line is not lost by start_tls (uvloop#707)."""
    if sys.version_info < (3, 11):
        kit.skip("this Python has no StreamWriter.start_tls")
    tls, served = contexts(), kit.loop.create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        upgraded = await asyncio.gather(writer.start_tls(tls.server, ssl_handshake_timeout=5), return_exceptions=True)
        served.set_result(upgraded + [writer.close()])

    async def main() -> bytes:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        sock, answer = kit.client(server.sockets[0].getsockname()), b"nothing"
        await kit.loop.sock_sendall(sock, b"a plain line\n" + hello_of(tls))
        with contextlib.suppress(asyncio.TimeoutError):
            answer = await asyncio.wait_for(kit.loop.sock_recv(sock, 1), 1.5)
        for end in (sock, server):
            end.close()
        if isinstance((await served)[0], NotImplementedError):
            raise NotImplementedError
        return answer

    kit.equal(kit.run(main()), b"\x16", "first byte of the answer (a handshake record)")


class Buffered(asyncio.BufferedProtocol):
    """Tells of the first bytes that it gets."""

    def __init__(self, arrived: asyncio.Future[bytes]) -> None:
        self.space, self.arrived = bytearray(100), arrived

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.space)

    def buffer_updated(self, nbytes: int) -> None:
        if not self.arrived.done():
            self.arrived.set_result(bytes(self.space[:nbytes]))


@case("TLS-5")
def test_start_tls_for_a_buffered_protocol(kit: Kit) -> None:
    """A protocol that is buffered only after start_tls gets its bytes (zuvloop@a4dc223)."""
    tls = contexts()
    arrived = kit.loop.create_future()
    protocol = Buffered(arrived)

    async def main() -> bytes:
        log, inside = await plain(kit)
        start = kit.loop.start_tls
        new, log.transport = await asyncio.gather(
            start(inside.transport, protocol, tls.server, server_side=True),
            start(log.transport, log, tls.client, server_hostname=NAME),
        )
        log.transport.write(b"hello")
        await arrived
        new.abort()
        await part(log)
        return await arrived

    kit.equal(kit.run(main()), b"hello", "data")


@case("TLS-5")
def test_start_tls_while_writing_is_paused(kit: Kit) -> None:
    """start_tls on a connection whose writing is paused does not break flow control (uvloop#564)."""
    tls = contexts()

    async def main() -> bytes:
        log, inside = await plain(kit)
        inside.pause_reading()
        written = 0
        while "pause" not in log.flow:
            log.transport.write(PATTERN)
            written += len(PATTERN)
        upgrading = asyncio.ensure_future(kit.loop.start_tls(log.transport, log, tls.client, server_hostname=NAME))
        await asyncio.sleep(0)
        if upgrading.done():
            upgrading.result()
        inside.resume_reading()
        got = await gets(inside, written + 1)
        await asyncio.sleep(0.005)
        inside.transport.abort()
        await asyncio.wait({upgrading})
        kit.check(upgrading.cancelled() or upgrading.exception(), "the handshake succeeded")
        return got[written : written + 1]

    kit.equal(kit.run(main()), b"\x16", "first byte after the plain ones (a handshake record)")
    kit.equal(kit.errors, [], "what the exception handler was told")


@family("TLS-5", wrong=("context", "true", "transport"))
def test_start_tls_arguments(kit: Kit, wrong: str) -> None:
    """start_tls of what is no context, or of a transport that cannot be upgraded, raises TypeError"""
    tls = contexts()

    async def main() -> None:
        log, inside = await plain(kit)
        try:
            if wrong != "transport":
                await kit.loop.start_tls(log.transport, log, wrong == "true" or "no context")  # type: ignore[arg-type]
            else:
                await kit.loop.start_tls(asyncio.Transport(), log, tls.client)
        except TypeError:
            return
        finally:
            await part(log, inside)
        kit.fail(f"a wrong {wrong} was accepted")

    kit.run(main())


async def fails(kit: Kit, connect: object) -> BaseException:
    """What awaiting `connect` raises."""
    try:
        await connect  # type: ignore[misc]
    except NotImplementedError:
        raise
    except Exception as error:
        return error
    kit.fail("the handshake succeeded")


@family("TLS-6", peer=("closes", "resets", "garbage"), how=("connect", "start_tls"))
def test_peer_that_does_not_shake_hands(kit: Kit, peer: str, how: str) -> None:
    """A peer that closes, resets or talks nonsense makes the handshake fail with an OSError (bpo-28990)"""
    tls, log = contexts(), kit.protocol()
    kit.errors.clear()

    async def main() -> BaseException:
        given, other = kit.tcp_pair()
        if how == "start_tls":
            transport, _ = await kit.loop.create_connection(lambda: log, sock=given)
            connecting = kit.loop.start_tls(transport, log, tls.client, server_hostname=NAME)
        else:
            connecting = kit.loop.create_connection(lambda: log, sock=given, ssl=tls.client, server_hostname=NAME)
        task = asyncio.ensure_future(connecting)
        hello = asyncio.ensure_future(kit.loop.sock_recv(other, 10_000))
        await asyncio.wait({task, hello}, return_when=asyncio.FIRST_COMPLETED)
        hello.cancel()
        if peer == "garbage":
            await kit.loop.sock_sendall(other, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        reset(other) if peer == "resets" else other.shutdown(socket.SHUT_WR)
        return await fails(kit, task)

    error = kit.run(main())
    kit.check(isinstance(error, OSError), f"it raised {error!r}")
    kit.turns(3)
    kit.check("data" not in log.events, "the protocol was given data")


@family("TLS-6", side=("client", "server"))
def test_handshake_timeout(kit: Kit, side: str) -> None:
    """A peer that says nothing is given up after ssl_handshake_timeout"""
    tls = contexts()
    kit.errors.clear()

    async def client() -> None:
        listener = kit.listener()
        connect = kit.loop.create_connection
        options = {"ssl": tls.client, "server_hostname": NAME, "ssl_handshake_timeout": 0.05}
        error = await fails(kit, connect(asyncio.Protocol, *listener.getsockname(), **options))
        kit.check(isinstance(error, (ConnectionError, TimeoutError, asyncio.TimeoutError)), f"it raised {error!r}")

    async def server() -> None:
        create = kit.loop.create_server
        made = await create(asyncio.Protocol, "127.0.0.1", 0, ssl=tls.server, ssl_handshake_timeout=0.05)
        silent = kit.client(made.sockets[0].getsockname())
        try:
            kit.equal(await kit.loop.sock_recv(silent, 10), b"", "what a silent client got")
        except ConnectionError:
            pass
        made.close()

    kit.run({"client": client, "server": server}[side](), 2.5)
    kit.run(asyncio.sleep(0.005))


@family("TLS-6", timeout={"zero": 0, "negative": -1.0}, side=("client", "server"))
def test_timeout_must_be_positive(kit: Kit, timeout: float, side: str) -> None:
    """A handshake timeout of zero or less is refused with ValueError"""
    tls = contexts()
    listener = kit.listener()
    kit.errors.clear()

    async def main() -> None:
        options = {"ssl_handshake_timeout": timeout}
        if side == "client":
            options |= {"ssl": tls.client, "server_hostname": NAME}
            await kit.loop.create_connection(asyncio.Protocol, *listener.getsockname(), **options)
        else:
            await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=tls.server, **options)
            await kit.loop.connect_accepted_socket(asyncio.Protocol, kit.client(listener), ssl=tls.server, **options)

    kit.raises(ValueError, lambda: kit.run(main()))
    gc.collect()  # of the socket, which a traceback may hold


async def visit(kit: Kit, address: tuple[str, int], visitor: str) -> socket.socket:
    """A client that connects and then does what the name says."""
    bad = kit.client(address)
    await asyncio.sleep(0.005)
    if visitor == "garbage":
        kit.put(bad, b"GET / HTTP/1.0\r\n\r\n")
    elif visitor != "silent":
        reset(bad) if visitor == "resets" else bad.close()
    await asyncio.sleep(0.005)
    return bad


@family("TLS-6", visitor=("closes", "resets", "garbage", "silent"))
def test_server_survives_a_bad_visitor(kit: Kit, visitor: str) -> None:
    """A client that spoils its handshake is told to no exception handler as an OSError and harms no other client"""
    tls = contexts()
    log = kit.protocol()
    inside = kit.protocol(data=lambda log, data: log.transport.write(data))
    kit.errors.clear()

    protocols = [inside, kit.protocol()]

    async def main() -> bytes:
        server = await kit.loop.create_server(protocols.pop, "127.0.0.1", 0, ssl=tls.server)
        address = server.sockets[0].getsockname()
        bad = await visit(kit, address, visitor)
        await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)
        log.transport.write(b"hello")
        got = await gets(log, 5)
        bad.close()
        server.close()
        await part(log, inside)
        await asyncio.sleep(0.01)
        return got

    kit.equal(kit.run(main()), b"hello", "answer to the next client")
    told = [c["exception"] for c in kit.errors if isinstance(c.get("exception"), ConnectionError)]
    kit.equal(told, [], "connection errors of a handshake given to the exception handler (zuvloop#174)")


@case("TLS-6")
def test_cancelled_handshake(kit: Kit) -> None:
    """A create_connection cancelled in its handshake closes the connection, and the protocol hears of nothing."""
    tls = contexts()
    given, other = kit.tcp_pair()
    log = kit.protocol()

    async def main() -> bytes:
        connecting = kit.loop.create_connection(lambda: log, sock=given, ssl=tls.client, server_hostname=NAME)
        task = asyncio.ensure_future(connecting)
        hello = asyncio.ensure_future(kit.loop.sock_recv(other, 10_000))
        await asyncio.wait({task, hello}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            hello.cancel()
            task.result()
        task.cancel()
        await asyncio.wait({task})
        kit.check(task.cancelled(), "the task was not cancelled")
        try:
            return await kit.loop.sock_recv(other, 10_000)
        except ConnectionError:
            return b""

    kit.errors.clear()
    kit.equal(kit.run(main(), 2.5), b"", "what the peer read after the cancellation")
    kit.check("made" not in log.events, "connection_made was called")


@case("TLS-6")
def test_abort_in_connection_made(kit: Kit) -> None:
    """A protocol that aborts in connection_made is told that it is lost, once, and its server goes on."""
    tls = contexts()
    inside = kit.protocol(made=lambda log, transport: transport.abort())
    kit.errors.clear()

    async def main() -> None:
        server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
        client_peer(kit, tls, server.sockets[0].getsockname(), lambda peer: peer.recv(1))
        await inside.until_event("lost")
        server.close()
        await asyncio.sleep(0.005)

    kit.run(main())
    kit.close_threads()
    kit.equal(inside.events, ["made", "lost"], "events")


@case("TLS-6")
def test_server_closed_in_a_handshake(kit: Kit) -> None:
    """A server can be closed, and the loop with it, while a client is silent in its handshake (rsloop)."""
    tls = contexts()
    kit.errors.clear()

    async def main() -> None:
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=tls.server)
        silent = kit.client(server.sockets[0].getsockname())
        await asyncio.sleep(0.01)
        server.close()
        silent.close()
        await asyncio.sleep(0.01)
        await server.wait_closed()

    kit.run(main(), 2.5)


@family("TLS-5", version=VERSIONS.keys())
def test_tls_inside_tls(kit: Kit, version: str) -> None:
    """start_tls on a transport that is TLS already puts the one into the other, bytes arrive both ways (bpo-37179)"""
    if sys.version_info < (3, 11):
        kit.skip("this Python has no TLS in TLS")
    tls = contexts(version)

    async def main() -> tuple[bytes, bytes]:
        log, inside = await plain(kit)
        await upgrade(kit, tls, log, inside)
        await upgrade(kit, tls, log, inside)
        log.transport.write(b"hello")
        first = await gets(inside, 5)
        inside.transport.write(b"world")
        second = await gets(log, 5)
        await part(log, inside)
        return first, second

    kit.equal(kit.run(main()), (b"hello", b"world"), "what arrived")


@family("TLS-5", side=("client", "server", "both"))
def test_start_tls_while_reading_is_paused(kit: Kit, side: str) -> None:
    """start_tls on a connection whose reading is paused makes the handshake, and what comes then is delivered"""
    tls = contexts()

    async def main() -> tuple[bytes, bytes]:
        log, inside = await plain(kit)
        for one, name in ((log, "client"), (inside, "server")):
            if side in (name, "both"):
                one.transport.pause_reading()
        await upgrade(kit, tls, log, inside)
        log.transport.write(b"hello")
        inside.transport.write(b"world")
        got = await gets(inside, 5), await gets(log, 5)
        await part(log, inside)
        return got

    kit.equal(kit.run(main()), (b"hello", b"world"), "data")
