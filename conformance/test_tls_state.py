# real clock
"""Cases of what a TLS transport says and takes (TLS-*): state, protocols one after the other, late writes, names."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log
from loopcheck.tls import NAME, PEM, VERSIONS, Tls, contexts, gets, join, part

MUCH = bytes(range(256)) * 1024  # 256 KiB: several records, and more than small buffers take


def pair(kit: Kit, tls: Tls | None = None) -> tuple[Log, Log]:
    """A server's and a client's protocol, connected."""
    inside, log = kit.protocol(), kit.protocol()
    kit.run(join(kit, tls or contexts(), inside, log))
    return inside, log


@family("TLS-1", how=("close", "abort"))
def test_state_of_a_tls_transport(kit: Kit, how: str) -> None:
    """is_closing, get_protocol and the size of the buffer are right while it is open, closing and lost"""
    inside, log = pair(kit)
    transport = log.transport
    seen = [transport.is_closing(), transport.get_protocol() is log, transport.get_write_buffer_size()]
    getattr(transport, how)()
    seen.append(transport.is_closing())
    kit.run(log.until_event("lost"))
    seen.append(transport.is_closing())
    kit.run(inside.until_event("lost"))
    kit.equal(seen, [False, True, 0, True, True], "is_closing, get_protocol, size, and is_closing twice")


@case("TLS-1")
def test_reading_of_a_tls_transport(kit: Kit) -> None:
    """is_reading of a TLS transport tells whether it is paused, and get_extra_info knows its socket."""
    inside, log = pair(kit)
    transport = log.transport
    seen = [transport.is_reading()]
    for change in (transport.pause_reading, transport.pause_reading, transport.resume_reading):
        change()
        seen.append(transport.is_reading())
    kit.equal(seen, [True, False, False, True], "is_reading() at first, paused twice and resumed once")
    inside.transport.write(b"x")
    kit.run(log.until(lambda: log.received))
    sock = transport.get_extra_info("socket")
    kit.equal(sock and sock.getsockname(), transport.get_extra_info("sockname"), "the name that the socket tells")
    kit.run(part(inside, log))


@case("TLS-1")
def test_limits_of_a_tls_transport(kit: Kit) -> None:
    """set_write_buffer_limits of a TLS transport is what get_write_buffer_limits tells (cpython gh-90645)."""
    inside, log = pair(kit)
    transport = log.transport
    low, high = transport.get_write_buffer_limits()
    kit.check(0 <= low <= high, f"limits ({low}, {high}) to begin with")
    transport.set_write_buffer_limits(high=4000, low=1000)
    kit.equal(transport.get_write_buffer_limits(), (1000, 4000), "limits")
    kit.raises(ValueError, lambda: transport.set_write_buffer_limits(high=1, low=2))
    kit.run(part(inside, log))


@family("TLS-1", version=VERSIONS.keys())
def test_each_connection_has_its_own_session(kit: Kit, version: str) -> None:
    """Two connections of one context each know their own SSL object, cipher, certificate and names"""
    tls = contexts(version)
    first, second = pair(kit, tls), pair(kit, tls)
    seen: list[object] = []
    for _, log in (first, second):
        info = log.transport.get_extra_info
        seen.append(info("ssl_object"))
        kit.check(isinstance(seen[-1], (ssl.SSLObject, ssl.SSLSocket)), "there is no ssl_object")
        kit.equal(info("ssl_object").version(), f"TLSv{version.replace('_', '.')}", "version")
        kit.check(
            info("cipher") and info("peercert") and info("sslcontext"), "cipher, peercert or sslcontext is missing"
        )
        kit.equal((info("peername")[0], info("nonsense", 7)), ("127.0.0.1", 7), "peername, and an unknown name")
    kit.check(seen[0] is not seen[1], "both have the same ssl_object")
    kit.run(part(*first, *second))


class Buffered(asyncio.BufferedProtocol):
    received = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        self.buffer = bytearray(100)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += bytes(self.buffer[:nbytes])


class Plain(asyncio.Protocol):
    received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


@case("TLS-2")
def test_protocols_one_after_the_other(kit: Kit) -> None:
    """Each protocol that set_protocol gives a TLS transport, plain or buffered, gets what comes from then on."""
    inside, log = pair(kit)
    made = [Buffered(), Plain(), Buffered(), Plain()]

    async def main() -> None:
        for number, protocol in enumerate(made):
            log.transport.set_protocol(protocol)
            kit.check(log.transport.get_protocol() is protocol, "get_protocol() is another one")
            inside.transport.write(b"to %d" % number)
            for _ in range(1000):
                if protocol.received:
                    break
                await asyncio.sleep(0.001)
        log.transport.set_protocol(log)

    kit.run(main())
    kit.equal([protocol.received for protocol in made], [b"to 0", b"to 1", b"to 2", b"to 3"], "received by each")
    kit.run(part(inside, log))


@case("TLS-2")
def test_protocol_set_in_data_received(kit: Kit) -> None:
    """A protocol that data_received sets over TLS, as an upgrade does, gets what comes next, and the end."""
    inside, log = pair(kit)
    second = kit.protocol()
    second.events, second.transport = ["made"], log.transport
    log.hooks["data"] = lambda log, _: log.transport.set_protocol(second)

    async def main() -> None:
        inside.transport.write(b"one")
        await log.until(lambda: log.received)
        inside.transport.write(b"two")
        await second.until(lambda: second.received)
        inside.transport.close()
        await second.until_event("lost")
        await inside.until_event("lost")

    kit.run(asyncio.wait_for(main(), 3))
    kit.equal((bytes(log.received), bytes(second.received)), (b"one", b"two"), "received by each")
    kit.check("lost" not in log.events, "the first one was told of the end")


@family("CONN-1", how=("close", "abort"))
def test_ended_in_connection_made_over_tls(kit: Kit, how: str) -> None:
    """A create_connection over TLS whose connection_made ends the transport ends too, and its protocol is told"""
    tls, inside = contexts(), kit.protocol()
    log = kit.protocol(made=lambda log, _: getattr(log.transport, how)())
    kit.errors.clear()  # the server may tell of the abort

    async def main() -> None:
        server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
        address = server.sockets[0].getsockname()
        call = kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)
        done, _ = await asyncio.wait({asyncio.ensure_future(call)}, timeout=2)
        kit.check(done, "it does not end")
        _ = [one.exception() for one in done]
        await log.until_event("lost")
        server.close()
        await asyncio.sleep(0.005)

    kit.run(main())
    kit.equal([event for event in log.events if event != "eof"], ["made", "lost"], "events")


@case("TLS-1")
def test_certificate_of_a_client(kit: Kit) -> None:
    """A server that asks for a certificate is told by get_extra_info which one the client has."""
    tls, inside, log = contexts(), kit.protocol(), kit.protocol()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(PEM)
        file.flush()
        tls.client.load_cert_chain(file.name)
        tls.server.load_verify_locations(file.name)
    tls.server.verify_mode = ssl.CERT_REQUIRED
    kit.run(join(kit, tls, inside, log))
    told = inside.transport.get_extra_info("peercert")
    kit.equal(told and told["subject"], ((("commonName", NAME),),), "subject of the client's certificate")
    kit.run(part(inside, log))


@family("TLS-3", how=("close", "abort"))
def test_late_writes(kit: Kit, how: str) -> None:
    """What is written after close(), abort() or connection_lost is dropped without an exception"""
    inside, log = pair(kit)
    transport = log.transport
    transport.write(b"early")
    getattr(transport, how)()
    transport.write(b"late")
    transport.writelines([b"late"])
    kit.run(log.until_event("lost"))
    transport.write(b"too late")
    transport.close()
    transport.abort()
    kit.run(inside.until_event("lost"))
    kit.check(bytes(inside.received) in (b"early", b"") or how == "close", f"received {bytes(inside.received)!r}")
    kit.check(how == "abort" or bytes(inside.received) == b"early", f"received {bytes(inside.received)!r}")


ASKED: dict[str, dict[str, Any]] = {
    "host": {"host": NAME},
    "name": {"host": "127.0.0.1", "server_hostname": NAME},
    "number": {"host": "127.0.0.1"},
    "empty": {"host": "127.0.0.1", "server_hostname": ""},
}


@family("TLS-4", asked=ASKED)
def test_name_that_is_checked(kit: Kit, asked: dict[str, Any]) -> None:
    """The name in the certificate is checked against server_hostname, else against the host, be it a number"""
    tls = contexts()
    kit.errors.clear()  # the server may tell of what was refused
    tls.client.check_hostname = asked.get("server_hostname") != ""

    async def main() -> BaseException | None:
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=tls.server)
        port = server.sockets[0].getsockname()[1]
        log = kit.protocol()
        try:
            await kit.loop.create_connection(lambda: log, port=port, ssl=tls.client, **asked)
            await part(log)
        except ssl.SSLCertVerificationError as error:
            return error
        finally:
            server.close()
            await asyncio.sleep(0.005)
        return None

    kit.equal(kit.run(main()) is not None, asked is ASKED["number"], "was the connection refused")


@family("TLS-1", checked={"checked": True, "unchecked": False})
def test_server_is_told_the_name(kit: Kit, checked: bool) -> None:
    """server_hostname is sent to the server whether the client checks it or not"""
    tls, asked = contexts(), list[object]()
    tls.server.sni_callback = lambda _, name, __: asked.append(name)
    tls.client.check_hostname = checked
    inside, log = kit.protocol(), kit.protocol()
    kit.run(join(kit, tls, inside, log))
    kit.run(part(log, inside))
    kit.equal(asked, [NAME], "names that the server was asked for")


@family("STREAM-6", version=VERSIONS.keys())
def test_paused_inside_data_received(kit: Kit, version: str) -> None:
    """Reading that is paused in data_received gives no more, though more was decrypted, before it is resumed"""
    tls = contexts(version)
    inside, log = kit.protocol(data=lambda log, _: log.pause_reading()), kit.protocol()
    kit.run(join(kit, tls, inside, log))
    log.transport.write(MUCH)
    while len(inside.received) < len(MUCH):
        kit.run_for(0.001)
        inside.resume_reading()
    kit.run(part(log, inside))
    kit.check(bytes(inside.received) == MUCH, "other bytes arrived")


@family("TLS-3", version=VERSIONS.keys())
def test_close_while_the_socket_is_full(kit: Kit, version: str) -> None:
    """close() when the socket takes no more sends all that waits, then a close_notify"""
    tls, got, go, ended = contexts(version), bytearray(), threading.Event(), list[str]()
    given, peer = kit.tcp_pair()

    def read() -> None:
        peer.setblocking(True)
        with contextlib.suppress(OSError), tls.server.wrap_socket(peer, True, suppress_ragged_eofs=False) as wrapped:
            go.wait()
            while data := wrapped.recv(65536):  # a bare end of file would raise SSLEOFError
                got.extend(data)
            ended.append("close_notify")

    kit.thread(read)
    log = kit.protocol()
    kit.run(kit.loop.create_connection(lambda: log, sock=given, ssl=tls.client, server_hostname=NAME))
    log.transport.write(MUCH * 4)
    log.transport.close()
    kit.turns(3)
    go.set()
    kit.run(log.until_event("lost"))
    kit.close_threads()
    kit.check(bytes(got) == MUCH * 4, f"{len(got)} bytes arrived, or other ones")
    kit.equal((ended, log.error), (["close_notify"], None), "end seen by the peer and error")


LAST_WORD = {"client": "1_3", "server": "1_2"}  # in which version the handshake ends with a flight of this side
SHAKING_S = 0.3  # in which a loop that sends it has done so


def shakes(peer: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, sock: socket.socket) -> bool:
    """One step of the handshake of a peer that does not block: is it over?"""
    with contextlib.suppress(BlockingIOError):
        incoming.write(sock.recv(65536))
    with contextlib.suppress(ssl.SSLWantReadError):
        peer.do_handshake()
        return True
    sock.sendall(outgoing.read())
    return False


async def begin(kit: Kit, tls: Tls, side: str, log: Log) -> tuple[Any, ssl.SSLContext, socket.socket]:
    """`log` gets a connection of this side: who makes it, and the context and the socket of its peer."""
    if side == "server":
        server = await kit.loop.create_server(lambda: log, "127.0.0.1", 0, ssl=tls.server)
        return asyncio.ensure_future(asyncio.sleep(0)), tls.client, kit.client(server.sockets[0].getsockname())
    given, peer = kit.tcp_pair()
    connection = kit.loop.create_connection(lambda: log, sock=given, ssl=tls.client, server_hostname=NAME)
    return asyncio.ensure_future(connection), tls.server, peer


@family("TLS-1", side=LAST_WORD.keys())
def test_reading_paused_in_connection_made(kit: Kit, side: str) -> None:
    """A protocol that pauses reading in connection_made does not keep its peer from the end of the handshake"""
    tls, log = contexts(LAST_WORD[side]), kit.protocol(made=lambda log, _: log.pause_reading())
    opening, context, sock = kit.run(begin(kit, tls, side, log))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = NAME if side == "server" else None
    peer = context.wrap_bio(incoming, outgoing, server_side=side == "client", server_hostname=name)
    made, is_shaken = float("inf"), False
    while not is_shaken and time.monotonic() < made + SHAKING_S:
        kit.run_for(0.001)
        if opening.done():
            opening.result()  # of one that fails nobody shakes hands
        is_shaken = shakes(peer, incoming, outgoing, sock)
        made = min(made, time.monotonic()) if log.events else made
    kit.check(is_shaken, "its last flight was not sent: the peer waits for it")
    kit.run(part(log))


@case("FLOW-1")
def test_mark_of_zero(kit: Kit) -> None:
    """Over TLS a high-water mark of 0 pauses no protocol of which nothing waits, or resumes it at once"""
    inside, log = pair(kit)
    log.transport.set_write_buffer_limits(high=0)
    waits = []
    for count in range(1, 6):
        log.transport.write(b"hello")
        kit.run(gets(inside, 5 * count))
        waits.append((log.flow or ["resume"])[-1] == "pause" and log.transport.get_write_buffer_size() == 0)
    kit.run(part(log, inside))
    kit.equal(waits, [False] * 5, "is it paused though all was sent")


@case("FLOW-1")
def test_one_write_of_much(kit: Kit) -> None:
    """A protocol over TLS that at once writes more than the kernel takes is told to pause, and to resume at the end."""
    inside, log = pair(kit)
    for end, name in ((log, socket.SO_SNDBUF), (inside, socket.SO_RCVBUF)):
        end.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, name, 1 << 16)
    inside.pause_reading()
    log.transport.write(MUCH * 32)
    kit.later(0.005, inside.resume_reading)
    kit.run(inside.until(lambda: len(inside.received) >= len(MUCH) * 32))
    kit.run(asyncio.sleep(0.01))
    kit.equal(log.flow, ["pause", "resume"], "what it was told")
    kit.run(part(inside, log))


LINES: dict[str, Callable[[], Iterable[bytes]]] = {
    "list": lambda: [b"a", b"", b"bc"],
    "tuple": lambda: (b"a", b"bc"),
    "generator": lambda: (piece for piece in (b"a", b"bc")),
    "iterator": lambda: iter([b"a", b"bc", b""]),
    "values": lambda: {1: b"a", 2: b"bc"}.values(),
}


@family("TLS-2", lines=LINES)
def test_writelines_of_any_iterable(kit: Kit, lines: Callable[[], Iterable[bytes]]) -> None:
    """writelines() over TLS takes what can be gone through once, and sends every piece"""
    inside, log = pair(kit)
    log.transport.write(b"(")
    log.transport.writelines(lines())
    log.transport.write(b")")
    kit.equal(kit.run(gets(inside, 5)), b"(abc)", "what arrived")
    kit.run(part(log, inside))


@family("TLS-1", side={"client": "1_2", "server": "1_3"})  # in which the other side has the last word
def test_paused_from_the_beginning(kit: Kit, side: str) -> None:
    """A TLS connection that is paused in connection_made delivers nothing that comes later, until it is resumed"""
    tls = contexts(side)
    paused = kit.protocol(made=lambda log, _: log.pause_reading())
    other = kit.protocol()
    kit.run(join(kit, tls, *((paused, other) if side == "1_3" else (other, paused))))
    other.transport.write(b"hello")
    kit.run_for(0.005)
    kit.equal(bytes(paused.received), b"", "what came while it was paused")
    paused.resume_reading()
    kit.equal(kit.run(gets(paused, 5)), b"hello", "what came then")
    kit.run(part(paused, other))


@case("FLOW-2")
def test_write_inside_resume_writing_over_tls(kit: Kit) -> None:
    """What resume_writing of a TLS transport writes is sent like the rest, without another event (picows#40)."""
    inside, log = pair(kit)
    log.hooks["resume"] = lambda log, _: (log.hooks.pop("resume", None), log.transport.write(b"the last"))
    inside.pause_reading()
    for _ in range(2):
        log.transport.write(bytes(5_000_000))
    kit.run(log.until_event("pause"))
    inside.resume_reading()
    kit.run(asyncio.wait_for(inside.until(lambda: len(inside.received) >= 10_000_008), 3))
    kit.equal(bytes(inside.received[-8:]), b"the last", "the last bytes")
    kit.run(part(inside, log))


@case("FLOW-2")
def test_small_marks_of_a_tls_transport(kit: Kit) -> None:
    """A protocol over TLS that is paused by small marks of its own, far below the usual ones, is told to go on."""
    inside, log = pair(kit)
    for end, name in ((log, socket.SO_SNDBUF), (inside, socket.SO_RCVBUF)):
        end.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, name, 1 << 15)
    log.transport.set_write_buffer_limits(1000)
    inside.pause_reading()
    written = 0

    async def fill() -> None:
        nonlocal written
        while not log.flow and written < 1 << 24:
            log.transport.write(bytes(4096))
            written += 4096
            await asyncio.sleep(0)

    kit.run(fill())
    inside.resume_reading()
    kit.run(inside.until(lambda: len(inside.received) >= written))
    kit.run(asyncio.sleep(0.01))
    kit.equal(log.flow, ["pause", "resume"], "what it was told")
    kit.run(part(inside, log))
