# real clock
"""Cases of streams: what is told while a buffer empties (FLOW-3), comes last (EOF-2) and is known then (CONN-2)."""

from __future__ import annotations

from loopcheck.family import family
from loopcheck.kit import Kit
from loopcheck.protocols import drain, end, reset

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
