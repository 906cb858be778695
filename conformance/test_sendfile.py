# real clock
"""Cases of sendfile and sock_sendfile (SENDFILE-*)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import reset
from loopcheck.tls import contexts, join, part

PATTERN = bytes(range(256)) * 2048  # half a MiB
SIZE = len(PATTERN)
PARTS: dict[str, tuple[int, int | None]] = {
    "all": (0, None),
    "from_the_middle": (SIZE // 2, None),
    "odd_part": (777, 300_001),
    "one_byte": (5, 1),
    "more_than_there_is": (SIZE - 10, 1000),
    "behind_the_end": (SIZE + 10, None),
}
WRONG: dict[str, dict[str, Any]] = {
    "count_zero": {"count": 0},
    "count_negative": {"count": -1},
    "count_text": {"count": "1"},
    "offset_negative": {"offset": -1},
    "offset_text": {"offset": "1"},
}


async def collect(kit: Kit, peer: Any, into: bytearray) -> None:
    """Reads the peer's end to the end of file."""
    with contextlib.suppress(ConnectionError):
        while data := await kit.loop.sock_recv(peer, 65536):
            into += data


def real_file() -> Any:
    file = tempfile.TemporaryFile(buffering=0)  # what was read ahead would not count
    file.write(PATTERN)
    file.seek(0)
    return file


async def send(kit: Kit, how: str, file: Any, **options: Any) -> tuple[Any, bytes]:
    """Sends by one of the four ways; returns the result and what arrived."""
    given, peer = kit.tcp_pair()
    got = bytearray()
    reading = asyncio.ensure_future(collect(kit, peer, got))
    try:
        if how.startswith("sock"):
            with given:
                result = await kit.loop.sock_sendfile(given, file, **options)
        else:
            transport, _ = await kit.loop.create_connection(asyncio.Protocol, sock=given)
            try:
                result = await kit.loop.sendfile(transport, file, **options)
            finally:
                transport.close()
    except BaseException:
        reading.cancel()
        raise
    await reading
    return result, bytes(got)


@family("SENDFILE-1", how=("transport", "sock"), source={"file": real_file, "memory": None}, part=PARTS)
def test_part(kit: Kit, how: str, source: Callable[[], Any] | None, part: tuple[int, int | None]) -> None:
    """Exactly the part between offset and offset + count arrives, from a file and, by the fallback, from memory"""
    offset, count = part
    expected = PATTERN[offset:] if count is None else PATTERN[offset : offset + count]
    with source() if source else io.BytesIO(PATTERN) as file:
        result, got = kit.run(send(kit, how, file, offset=offset, count=count))
    kit.equal((result, len(got)), (len(expected), len(expected)), "result and bytes that arrived")
    kit.check(got == expected, "other bytes arrived")


@family("SENDFILE-1", how=("transport", "sock"), source={"file": real_file, "memory": None})
def test_position(kit: Kit, how: str, source: Callable[[], Any] | None) -> None:
    """offset 0 is the begin, wherever the file stands, and afterwards it stands behind what was sent (gh-150107)"""
    with source() if source else io.BytesIO(PATTERN) as file:
        file.read(100)
        result, got = kit.run(send(kit, how, file, offset=0, count=1000))
        kit.equal((result, got == PATTERN[:1000]), (1000, True), "result, and are the bytes right")
        kit.equal(file.tell(), 1000, "position of the file")


class Reads:
    """A file that can be read and nothing else."""

    def __init__(self, file: io.BytesIO) -> None:
        self.readinto = file.readinto


@family("SENDFILE-1", how=("transport", "sock"))
def test_file_that_only_reads(kit: Kit, how: str) -> None:
    """A file without seek() is sent from where it stands"""
    kit.equal(kit.run(send(kit, how, Reads(io.BytesIO(PATTERN)))), (SIZE, PATTERN), "result and bytes")


@case("SENDFILE-1")
def test_between_writes(kit: Kit) -> None:
    """The file goes out behind what was written before it, and before what is written after it."""

    async def main() -> bytes:
        given, peer = kit.tcp_pair()
        got = bytearray()
        reading = asyncio.ensure_future(collect(kit, peer, got))
        transport, _ = await kit.loop.create_connection(asyncio.Protocol, sock=given)
        transport.write(PATTERN[::-1])
        with real_file() as file:
            await kit.loop.sendfile(transport, file)
        transport.write(b"the end")
        transport.close()
        await reading
        return bytes(got)

    kit.check(kit.run(main()) == PATTERN[::-1] + PATTERN + b"the end", "other bytes arrived, or in another order")


@family("SENDFILE-1", count={"all": None, "odd": 100_001})
def test_over_tls(kit: Kit, count: int | None) -> None:
    """Over TLS the fallback sends the part, from offset 0 though the file stands elsewhere"""
    tls = contexts()

    async def main() -> tuple[int, bytes]:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        with real_file() as file:
            result = await kit.loop.sendfile(log.transport, file, 0, count)
        log.transport.close()
        await inside.until_event("lost")
        await log.until_event("lost")
        return result, bytes(inside.received)

    expected = PATTERN[:count]
    kit.equal(kit.run(main()), (len(expected), expected), "result and bytes")


@case("SENDFILE-2")
def test_no_fallback_wanted(kit: Kit) -> None:
    """With fallback=False what the kernel cannot send raises SendfileNotAvailableError."""

    async def main(how: str) -> None:
        try:
            await send(kit, how, io.BytesIO(PATTERN), fallback=False)
        except asyncio.SendfileNotAvailableError:
            return
        kit.fail("it was sent by the fallback")

    for how in ("transport", "sock"):
        kit.run(main(how))


@family("SENDFILE-2", how=("transport", "sock"), wrong=WRONG)
def test_wrong_numbers(kit: Kit, how: str, wrong: dict[str, Any]) -> None:
    """A count or an offset that makes no sense raises ValueError or TypeError, and nothing is sent"""
    try:
        with real_file() as file:
            kit.run(send(kit, how, file, **wrong))
    except (ValueError, TypeError):
        return
    kit.fail(f"{wrong} was accepted")


@family("SENDFILE-2", how=("transport", "sock"))
def test_text_file(kit: Kit, how: str) -> None:
    """A file opened for text is refused with ValueError"""
    try:
        with tempfile.TemporaryFile("w+", encoding="ascii") as file:
            kit.run(send(kit, how, file))
    except ValueError:
        return
    kit.fail("a text file was accepted")


@case("SENDFILE-2")
def test_closing_transport(kit: Kit) -> None:
    """sendfile on a transport that is closing raises RuntimeError."""

    async def main() -> None:
        given, _peer = kit.tcp_pair()
        log = kit.protocol()
        await kit.loop.create_connection(lambda: log, sock=given)
        log.transport.close()
        try:
            with real_file() as file:
                await kit.loop.sendfile(log.transport, file)
        except RuntimeError as error:
            await log.until_event("lost")
            if isinstance(error, NotImplementedError):
                raise
            return
        kit.fail("it was accepted")

    kit.run(main())


@family("SENDFILE-2", how=("transport", "sock"), source={"file": real_file, "memory": None})
def test_peer_goes(kit: Kit, how: str, source: Callable[[], Any] | None) -> None:
    """A connection that is reset while the file is sent ends sendfile with an OSError; the file says how far it came"""

    async def main(file: Any) -> BaseException | None:
        given, peer = kit.tcp_pair()
        log = kit.protocol()
        if how == "sock":
            sending = asyncio.ensure_future(kit.loop.sock_sendfile(kit.own(given), file))
        else:
            await kit.loop.create_connection(lambda: log, sock=given)
            sending = asyncio.ensure_future(kit.loop.sendfile(log.transport, file))
        await asyncio.sleep(0.005)
        if sending.done():
            kit.fail(f"it is done though nobody reads, with the result {sending.result()}")
        reset(peer)
        await asyncio.wait({sending})
        return sending.exception()

    with source() if source else io.BytesIO(PATTERN) as file:
        file.seek(0, 2)
        file.write(PATTERN * 8)  # more than the kernel buffers
        file.seek(0)
        error, place = kit.run(main(file)), file.tell()
    kit.check(isinstance(error, OSError), f"it ended with {error!r}")
    kit.check(not source or 0 < place < 9 * SIZE, f"the file is at {place} of {9 * SIZE}")


@family("SENDFILE-1", reads={"reading": False, "paused": True})
def test_transport_after_sendfile(kit: Kit, reads: bool) -> None:
    """After each of three sendfiles a transport that read reads on, one that was paused stays so, and both write"""
    log, peer = kit.connection()
    if reads:
        log.pause_reading()

    async def main() -> bytes:
        for _ in range(3):
            kit.equal(await kit.loop.sendfile(log.transport, io.BytesIO(b"abc")), 3, "sendfile() said")
            with real_file() as file:
                await kit.loop.sendfile(log.transport, file, 0, 3)
            log.transport.write(b".")
        return await kit.loop.sock_recv(peer, 100)

    kit.equal(kit.run(main()), b"abc\0\1\2." * 3, "bytes that arrived")
    kit.put(peer, b"hello")
    kit.run_for(0.005)
    kit.equal(bytes(log.received), b"" if reads else b"hello", "received afterwards")
    if reads:
        log.resume_reading()
    kit.run(log.until(lambda: bytes(log.received) == b"hello"))
    log.transport.abort()
    kit.run(log.until_event("lost"))


@family("SENDFILE-1", kind={"file": real_file, "memory": lambda: io.BytesIO(PATTERN)})
def test_place_in_the_file_afterwards(kit: Kit, kind: Callable[[], Any]) -> None:
    """sock_sendfile leaves the file behind what it sent"""
    for offset, count in PARTS.values():
        with kind() as file:
            sent, _ = kit.run(send(kit, "sock", file, offset=offset, count=count))
            kit.check(not sent or file.tell() == offset + sent, f"the file is at {file.tell()}, not {offset + sent}")


@family("SENDFILE-2", source={"file": real_file, "memory": None})
def test_transport_after_a_cancelled_sendfile(kit: Kit, source: Callable[[], Any] | None) -> None:
    """A sendfile that is cancelled while the peer reads nothing leaves a transport that writes, reads and closes"""
    log, peer = kit.connection()
    got = bytearray()

    async def main(file: Any) -> None:
        sending = asyncio.ensure_future(kit.loop.sendfile(log.transport, file))
        await asyncio.sleep(0.003)
        sending.cancel()
        await asyncio.wait({sending})
        if not sending.cancelled():
            kit.fail(f"it ended with the result {sending.result()} though the peer read nothing")
        log.transport.write(b"the end")
        kit.put(peer, b"hello")
        await log.until(lambda: bytes(log.received) == b"hello")
        log.transport.close()
        await collect(kit, peer, got)

    with source() if source else io.BytesIO() as file:
        _ = file.write(PATTERN * 8), file.seek(0)
        kit.run(main(file))
    kit.run(log.until_event("lost"))
    kit.check(bytes(got) == (PATTERN * 8)[: len(got) - 7] + b"the end", "other bytes arrived than some, and the end")


@case("SENDFILE-2")
def test_sock_sendfile_of_datagrams(kit: Kit) -> None:
    """sock_sendfile refuses a datagram socket with ValueError."""
    kit.turns(1)
    sock, _peer = (kit.own(one) for one in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
    with real_file() as file:
        kit.raises(ValueError, lambda: kit.run(kit.loop.sock_sendfile(sock, file, 0, 10)))


async def paused_over_tls(kit: Kit) -> tuple[Any, Any]:
    """A TLS connection, for which there is only the fallback, whose protocol was told to pause, and its other end."""
    inside, log = kit.protocol(), kit.protocol()
    await join(kit, contexts(), inside, log)
    inside.pause_reading()
    for _ in range(32):  # until the kernel takes no more, so that it stays so
        if log.flow[-1:] == ["pause"]:
            return log, inside
        log.transport.write(PATTERN * 4)
        await asyncio.sleep(0.005)
    kit.fail("nobody was told to pause by 64 MiB that nobody reads")


@case("SENDFILE-1")
def test_fallback_of_a_paused_protocol(kit: Kit) -> None:
    """A protocol that was paused before a sendfile by the fallback is told to resume once all is sent."""

    async def main() -> None:
        log, inside = await paused_over_tls(kit)
        kit.later(0.003, inside.resume_reading)
        kit.equal(await asyncio.wait_for(kit.loop.sendfile(log.transport, io.BytesIO(b"abc")), 3), 3, "sendfile()")
        await asyncio.wait_for(log.until_event("resume"), 3)
        await part(inside, log)

    kit.run(main())


@family("SENDFILE-2", over=("tls", "tcp"))
def test_fallback_that_waits_when_the_peer_goes(kit: Kit, over: str) -> None:
    """A sendfile by the fallback that waits for room ends with an OSError when the connection is aborted"""
    plain, peer = kit.connection() if over == "tcp" else (None, None)

    async def main() -> BaseException | None:
        log, inside = (plain, None) if plain else await paused_over_tls(kit)
        much = io.BytesIO(PATTERN * 64)  # more than a kernel takes that nobody reads from
        sending = asyncio.ensure_future(kit.loop.sendfile(log.transport, much))
        await asyncio.sleep(0.005)
        inside.transport.abort() if inside else reset(peer)
        await asyncio.wait({sending}, timeout=3)
        if not sending.done():
            kit.fail("it goes on waiting")
        if isinstance(sending.exception(), NotImplementedError):
            return sending.result()
        return sending.exception()

    error = kit.run(main())
    kit.check(isinstance(error, OSError), f"it ended with {error!r}")


@case("FD-11")
def test_descriptor_after_sendfile(kit: Kit) -> None:
    """After a sendfile the descriptor is still known as the transport's, and add_reader refuses it."""
    log, _peer = kit.connection()

    async def main() -> None:
        with real_file() as file:
            await kit.loop.sendfile(log.transport, file, 0, 10)

    kit.run(main())
    number = log.transport.get_extra_info("socket").fileno()
    kit.raises(RuntimeError, kit.loop.add_reader, number, print)
    log.transport.abort()
    kit.run(log.until_event("lost"))


@case("SENDFILE-1")
def test_write_while_a_file_is_sent(kit: Kit) -> None:
    """write() during a sendfile is refused with RuntimeError, or comes behind the file (bpo-32622)."""
    log, peer = kit.connection()
    got = bytearray()
    is_taken: list[bytes] = []

    async def main(file: Any) -> None:
        sending = asyncio.ensure_future(kit.loop.sendfile(log.transport, file))
        await asyncio.sleep(0.003)
        if sending.done():
            kit.fail(f"it ended with {sending.result()} though the peer read nothing")
        with contextlib.suppress(RuntimeError):
            log.transport.write(b"!")
            is_taken.append(b"!")
        reading = asyncio.ensure_future(collect(kit, peer, got))
        kit.equal(await sending, 8 * SIZE, "sendfile() said")
        log.transport.close()
        await reading
        await log.until_event("lost")

    with real_file() as file:
        file.write(PATTERN * 8)
        file.seek(0)
        kit.run(main(file))
    kit.check(bytes(got) == PATTERN * 8 + b"".join(is_taken), "other bytes arrived, or in another order")


@family("SENDFILE-1", over=("tls", "tcp"))
def test_write_while_the_fallback_sends(kit: Kit, over: str) -> None:
    """write() during a sendfile by the fallback is refused with RuntimeError, or comes behind the file"""
    file, expected = io.BytesIO(PATTERN * 16), PATTERN * 16  # more than a kernel takes that nobody reads from

    async def main() -> None:
        inside, log = kit.protocol(), kit.protocol()
        if over == "tls":
            await join(kit, contexts(), inside, log)
        else:
            for end, socket_of_it in zip((inside, log), kit.tcp_pair(), strict=True):
                await kit.loop.create_connection(lambda end=end: end, sock=socket_of_it)  # type: ignore[misc]
        inside.pause_reading()
        sending = asyncio.ensure_future(kit.loop.sendfile(log.transport, file))
        await asyncio.sleep(0.01)
        taken = b""
        with contextlib.suppress(RuntimeError):
            log.transport.write(b"!")
            taken = b"!"
        inside.resume_reading()
        await sending
        log.transport.close()
        await inside.until_event("lost")
        kit.check(bytes(inside.received) == expected + taken, "other bytes arrived, or in another order")

    kit.run(main())


@family("SENDFILE-2", by=("abort", "close"))
def test_end_while_a_file_is_sent(kit: Kit, by: str) -> None:
    """A sendfile whose transport is ended while the peer reads nothing ends: with an OSError, or once all is sent"""
    log, peer = kit.connection()

    async def main(file: Any) -> BaseException | None:
        sending = asyncio.ensure_future(kit.loop.sendfile(log.transport, file))
        await asyncio.sleep(0.003)
        if sending.done():
            return sending.exception() or kit.fail("it is done though nobody reads")
        getattr(log.transport, by)()
        reading = asyncio.ensure_future(collect(kit, peer, bytearray()))
        await asyncio.wait({sending}, timeout=0.5)
        if not sending.done():
            kit.fail("it goes on waiting")
        await reading
        return sending.exception()

    with real_file() as file:
        file.write(PATTERN * 8)
        file.seek(0)
        error = kit.run(main(file))
    if isinstance(error, NotImplementedError):
        raise error
    kit.check(isinstance(error, OSError) or (by == "close" and error is None), f"it ended with {error!r}")
    kit.run(log.until_event("lost"))


@case("SENDFILE-2")
def test_abort_while_a_file_waits_its_turn(kit: Kit) -> None:
    """A sendfile that waits for what was written before it ends with an OSError when the connection is aborted."""
    log, _peer = kit.connection()

    async def main(file: Any) -> BaseException | None:
        log.transport.write(PATTERN * 16)
        sending = asyncio.ensure_future(kit.loop.sendfile(log.transport, file))
        await asyncio.sleep(0.003)
        log.transport.abort()
        await asyncio.wait({sending}, timeout=2)
        if not sending.done():
            kit.fail("it goes on waiting")
        if isinstance(sending.exception(), NotImplementedError):
            return sending.result()
        return sending.exception()

    with real_file() as file:
        error = kit.run(main(file))
    kit.check(isinstance(error, OSError), f"it ended with {error!r}")
    kit.run(log.until_event("lost"))


@family("SENDFILE-1", how=("transport", "sock"), source={"file": real_file, "memory": None})
def test_over_a_unix_socket(kit: Kit, how: str, source: Callable[[], Any] | None) -> None:
    """A file goes out over a UNIX socket too"""
    given, peer = kit.socketpair()
    got = bytearray()

    async def main(file: Any) -> int:
        reading = asyncio.ensure_future(collect(kit, peer, got))
        if how == "sock":
            sent = await kit.loop.sock_sendfile(given, file)
            given.shutdown(socket.SHUT_WR)
        else:
            transport, _ = await kit.loop.create_unix_connection(asyncio.Protocol, sock=given.dup())
            given.close()
            sent = await kit.loop.sendfile(transport, file)
            transport.close()
        await reading
        return sent

    with source() if source else io.BytesIO(PATTERN) as file:
        kit.equal(kit.run(main(file)), SIZE, "result")
    kit.check(bytes(got) == PATTERN, f"{len(got)} bytes arrived, or other ones")
