# real clock
"""Cases of streams: what is told while a buffer empties (FLOW-3), comes last (EOF-2) and is known then (CONN-2)."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log, drain, end, reset

HIGH = 1_000_000
PIECE = bytes(range(256)) * 256  # 64 KiB
PIECES = 32


@family("FLOW-3", low={"nothing": 0, "a_little": 16_384, "nearly_all": 900_000}, when=("before", "while_paused"))
def test_resumes_at_the_low_mark(kit: Kit, low: int, when: str) -> None:
    """resume_writing comes once no more waits than the low mark allows, and need not wait for less"""
    sizes: list[int] = []
    log, peer = kit.connection(resume=lambda log, _: sizes.append(log.transport.get_write_buffer_size()))
    log.transport.set_write_buffer_limits(high=HIGH, low=low if when == "before" else HIGH - low)
    for _ in range(PIECES):
        log.transport.write(PIECE)
        kit.turns(1)
    kit.equal(log.flow, ["pause"], "calls while the peer reads nothing")
    log.transport.set_write_buffer_limits(high=HIGH, low=low)
    kit.reader(peer, peer.recv, len(PIECE))
    kit.run(log.until_event("resume"))
    kit.remove_reader(peer)
    log.transport.abort()
    end(kit, log)
    kit.check(sizes[0] <= low, f"resume_writing while {sizes[0]} bytes wait, with a low mark of {low}")
    kit.check(low < HIGH // 2 or sizes[0] > 0, f"resume_writing only when nothing waits, with a low mark of {low}")


ENDS = {
    "eof": ("write_eof",),
    "eof_twice": ("write_eof", "write_eof"),
    "eof_close": ("write_eof", "close"),
    "close_eof": ("close", "write_eof"),
    "close_twice": ("close", "close"),
}


@family("EOF-2", calls=ENDS)
def test_end_behind_what_waits(kit: Kit, calls: tuple[str, ...]) -> None:
    """However write_eof() and close() are mixed, what waits to be sent arrives, and the end behind it"""
    log, peer = kit.connection()
    log.transport.write(PIECE * 16)
    for name in calls:
        getattr(log.transport, name)()
    got = bytearray()
    kit.thread(drain, peer, got)
    end(kit, log)
    kit.close_threads()
    kit.check(bytes(got) == PIECE * 16, f"{len(got)} bytes arrived, or other ones")


@family("CONN-2", how=("close", "abort", "end", "reset"))
def test_names_to_the_end(kit: Kit, how: str) -> None:
    """sockname and peername are the same in connection_lost as in connection_made, however the connection ends"""
    names: list[object] = []

    def note(log: object, _: object) -> None:
        names.append([log.transport.get_extra_info(name) for name in ("sockname", "peername")])  # type: ignore[attr-defined]

    log, peer = kit.connection(lost=note)
    made = [peer.getpeername(), peer.getsockname()]
    if how in ("close", "abort"):
        getattr(log.transport, how)()
    else:
        _ = reset(peer) if how == "reset" else peer.close()
    end(kit, log)
    kit.equal(names, [made], "(sockname, peername) in connection_lost")


def writes_on(log: Log, data: bytes) -> None:
    """The first resume_writing writes more than fits, once nothing is left to send."""
    log.transport.set_write_buffer_limits(high=1, low=0)

    def hook(log: Log, _: Any) -> None:
        log.hooks.pop("resume", None)
        log.transport.write(data)

    log.hooks["resume"] = hook
    log.transport.write(data)


async def collect(peer: int, size: int) -> bytes:
    """Reads this many bytes from a descriptor that does not block."""
    got = bytearray()
    while len(got) < size:
        try:
            got.extend(os.read(peer, 65_536))
        except BlockingIOError:
            await asyncio.sleep(0.001)
    return bytes(got)


@family("FLOW-2", kind=("tcp", "pipe"))
def test_write_inside_resume_writing(kit: Kit, kind: str) -> None:
    """What resume_writing itself writes, when nothing is left in the buffer, is sent to its last byte"""
    data = PIECE * 24
    if kind == "tcp":
        log, sock = kit.connection()
        peer = sock.fileno()
    else:
        peer, write_end = kit.pipe()
        log = kit.protocol()
        file = os.fdopen(os.dup(write_end), "wb", 0)
        kit.run(kit.loop.connect_write_pipe(lambda: log, file))
    writes_on(log, data)
    got = kit.run(asyncio.wait_for(collect(peer, 2 * len(data)), 3))
    kit.check(got == data * 2, "other bytes arrived")
    log.transport.abort()
    kit.run(log.until_event("lost"))


@case("DGRAM-3")
def test_sendto_inside_resume_writing(kit: Kit) -> None:
    """What resume_writing of an endpoint sends, when nothing is left to send, arrives to its last datagram."""
    with tempfile.TemporaryDirectory() as folder:
        given, peer = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        kit.own(peer).bind(os.path.join(folder, "peer"))
        log = Resumed(kit, os.path.join(folder, "peer"))
        kit.run(kit.loop.create_datagram_endpoint(lambda: log, sock=given))
        log.transport.set_write_buffer_limits(high=1, low=0)

        async def main() -> int:
            log.send()
            count = 0
            while count < 2 * log.COUNT:
                count += bool(await asyncio.wait_for(kit.loop.sock_recv(peer, 10), 2))
            return count

        kit.equal(kit.run(main()), 2 * log.COUNT, "datagrams")
        log.transport.abort()
        kit.turns(3)


class Resumed(asyncio.DatagramProtocol):
    """Sends the same again when it may write on."""

    COUNT = 1500

    def __init__(self, kit: Kit, address: Any) -> None:
        self.kit, self.address, self.is_second = kit, address, False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self) -> None:
        for _ in range(self.COUNT):
            self.transport.sendto(b"x", self.address)

    def resume_writing(self) -> None:
        self.kit.recorder.note()
        if not self.is_second:
            self.is_second = True
            self.send()
