"""What every handle of a program saw, in the words of a reproducer in C (note() of reproduce_core.c), from a trace."""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from loopcheck import _contract as c
from loopcheck.batch import RECORD_BYTES
from loopcheck.reproduce_ops import LETTERS, name_of

LOOP, ORDER, NOTHING = "loop", "order", "nothing"
BYTES_END, BYTES_WRONG = 2, 1
_RECORD = struct.Struct("<QQIiHHBBBB")  # struct lc_obs of contract/trace.h
OPS = {
    c.OP_SOON: "soon",
    c.OP_TIMER: "timer",
    c.OP_AT: "at",
    c.OP_EDGE: "edge",
    c.OP_WATCH: "watch",
    c.OP_CANCEL: "cancel",
    c.OP_REARM: "rearm",
    c.OP_DESTROY: "destroy",
    c.OP_PUT: "put",
    c.OP_FILL: "put",
    c.OP_SHUT: "shut",
    c.OP_RECYCLE: "recycle",
    c.OP_HANGUP: "hangup",
    c.OP_RST: "rst",
    c.OP_WRITE: "write",
    c.OP_WRITE_EOF: "write_eof",
    c.OP_PAUSE: "pause",
    c.OP_RESUME: "resume",
    c.OP_SEND: "send",
    c.OP_STREAM: "stream",
    c.OP_DATAGRAM: "endpoint",
    c.OP_WAKER: "waker",
    c.OP_LISTEN: "listen",
    c.OP_CLIENT: "client",
    c.OP_CONNECT: "connect",
}
COUNTED = (c.OP_WRITE, c.OP_SEND)  # their words have a number
SIMPLE_EVENTS = {
    c.EVENT_SOON: "ran",
    c.EVENT_POSTED: "posted",
    c.EVENT_MADE: "made",
    c.EVENT_EOF: "end of file",
    c.EVENT_FACTORY: "client",
}


@dataclass(frozen=True)
class Record:
    """One record of a trace."""

    time_ns: int
    arg: int
    result: int
    handle: str
    thread: int
    what: int
    code: int
    bits: int

    @property
    def other(self) -> str:
        """The handle that is its argument."""
        return name_of(self.arg & 0xFF) or (f"e{self.arg & 15}" if self.arg >> 4 & 15 == c.KIND_END else "")

    @property
    def error(self) -> str:
        """The name of the error that it is about."""
        return errno.errorcode.get(-self.result, f"error {-self.result}")


def read(records: bytes) -> Iterator[Record]:
    """The records of a run."""
    for at in range(0, len(records) - RECORD_BYTES + 1, RECORD_BYTES):
        time_ns, arg, _, result, wide, thread, what, code, bits, _ = _RECORD.unpack_from(records, at)
        kind, index = wide >> 12, wide & 0xFFF
        letter = "e" if kind == c.KIND_END else LETTERS.get(kind, "")
        yield Record(time_ns, arg, result, f"{letter}{index}" if letter else "", thread, what, code, bits)


@dataclass
class _Reader:
    """Takes records in, one after the other."""

    seen: dict[str, list[str]] = field(default_factory=dict)
    peers: dict[str, str] = field(default_factory=dict)  # of an fd or an end
    sockets: dict[str, str] = field(default_factory=dict)  # of a watcher, a stream or an endpoint
    datagrams: dict[str, int] = field(default_factory=dict)  # that have arrived at an fd
    deadlines_ns: dict[str, int] = field(default_factory=dict)
    udp: set[str] = field(default_factory=set)
    tick_ns: int = 1
    fds: int = -1

    def note(self, name: str, word: str, *, is_once: bool = False) -> None:
        words = self.seen.setdefault(name, [])
        if not is_once or words[-1:] != [word]:
            words.append(word)

    def note_data(self, name: str, size: int, bits: int) -> None:
        words = self.seen.setdefault(name, [])
        if bits & BYTES_WRONG:
            words.append(f"data {size} (wrong bytes)")
            return
        before = re.fullmatch(r"data (\d+)", words[-1]) if words else None
        if before is not None:
            words.pop()
        words.append(f"data {size + (int(before[1]) if before else 0)}")

    def note_datagram(self, name: str, socket: str, record: Record) -> None:
        due = self.datagrams.get(socket, 0)
        word = f"datagram {record.arg}"
        if record.bits & BYTES_WRONG:
            word += " (wrong bytes)"
        elif record.result != due:
            word += f" (number {record.result})"
        self.note(name, word)
        self.datagrams[socket] = max(due, record.result + 1)

    def take(self, record: Record) -> None:
        if record.what == c.WHAT_OP:
            self.take_op(record)
        elif record.what == c.WHAT_BEGIN:
            self.take_event(record)
            if record.thread:
                self.note(record.handle, "on another thread")
        elif record.what in (c.WHAT_STEP, c.WHAT_RUN):
            self.note(ORDER, "step", is_once=True)
        elif record.what == c.WHAT_TERMS:
            self.tick_ns = record.arg
        elif record.what == c.WHAT_CLOSED and record.result < 0:
            self.note(LOOP, f"closing it failed: {record.error}")
        elif record.what == c.WHAT_FDS:
            if 0 <= self.fds < record.arg:
                self.note(LOOP, f"{record.arg - self.fds} fds left open")
            self.fds = record.arg

    def take_op(self, record: Record) -> None:
        name, code = record.handle, record.code
        self.relate(record)
        if code in (c.OP_TIMER, c.OP_AT, c.OP_EDGE) or (code == c.OP_REARM and name[0] == "t"):
            self.deadlines_ns[name] = record.arg
            self.note(name, OPS[code] if record.result >= 0 else f"{OPS[code]} failed: {record.error}")
        elif code == c.OP_TAKE and name in self.udp:
            if record.result < 0:
                self.note(name, f"refused: {record.error}")
            else:
                self.note_datagram(name, name, record)
        elif code == c.OP_TAKE:
            if record.arg:
                self.note_data(name, record.arg, record.bits)
            if record.bits & BYTES_END:
                self.note(name, "end of file", is_once=True)
        elif code in OPS and record.result < 0:
            self.note(name, f"{OPS[code]} failed: {record.error}")
        elif code in OPS and not (code == c.OP_STREAM and record.other[0] == "e"):  # which a server has made
            self.note(name, f"{OPS[code]} {record.arg}" if code in COUNTED else OPS[code])

    def relate(self, record: Record) -> None:
        """Who is whose socket, and which ends belong together."""
        if record.code in (c.OP_PAIR, c.OP_TCP, c.OP_UDP):
            self.peers[record.handle], self.peers[record.other] = record.other, record.handle
        if record.code == c.OP_UDP:
            self.udp |= {record.handle, record.other}
        if record.code in (c.OP_WATCH, c.OP_STREAM, c.OP_DATAGRAM, c.OP_CONNECT) and record.result >= 0:
            self.sockets[record.handle] = record.other

    def take_event(self, record: Record) -> None:
        name, code = record.handle, record.code
        words = self.seen.setdefault(name, [])
        if code in SIMPLE_EVENTS:
            self.note(name, SIMPLE_EVENTS[code])
        elif code == c.EVENT_CLOSED:
            if words[-1:] == ["destroy"]:
                words.pop()
            else:
                self.note(name, "closed")
        elif code == c.EVENT_TIMER:
            is_early = self.deadlines_ns.get(name, 0) - record.time_ns >= self.tick_ns
            self.note(name, "fired too early" if is_early else "fired")
        elif code == c.EVENT_READY:
            self.note(name, ready_word(record), is_once=True)
        elif code == c.EVENT_DATA:
            self.note_data(name, record.arg, record.bits)
        elif code == c.EVENT_DATAGRAM:
            self.note_datagram(name, self.sockets.get(name, name), record)
        elif code == c.EVENT_LOST:
            self.note(name, f"lost: {record.error}")
        elif code == c.EVENT_REFUSED:
            self.note(name, f"refused: {record.error}")
        elif code == c.EVENT_DONE:
            self.note(name, f"not connected: {record.error}" if record.result < 0 else "connected")
        if code in (c.EVENT_SOON, c.EVENT_TIMER):
            self.note(ORDER, name)


def ready_word(record: Record) -> str:
    """What a watcher was called for, and whether poll(2) shows it."""
    if record.result < 0:
        return f"ready: {record.error}"
    what = {0: "", c.IN: " in", c.OUT: " out", c.IN | c.OUT: " in+out"}[record.bits & (c.IN | c.OUT)]
    is_shown = record.arg & (c.HUP | c.ERR) or not record.bits & (c.IN | c.OUT) & ~record.arg
    return f"ready{what}{'' if is_shown else ' (poll(2) does not show it)'}"


class Story:
    """What every handle saw in one run."""

    def __init__(self, records: bytes, *, has_turns: bool = False) -> None:
        self._reader = _Reader()
        for record in read(records):
            self._reader.take(record)
        words = self._reader.seen.setdefault(ORDER, [])
        if not has_turns:
            words[:] = [word for word in words if word != "step"]
        elif words[-1:] == ["step"]:
            words.pop()

    def of(self, name: str) -> str:
        """In words."""
        return ", ".join(self._reader.seen.get(name, [])) or NOTHING

    def concerned(self, name: str) -> list[str]:
        """The handle, its socket and the other end of that."""
        reader = self._reader
        socket = reader.sockets.get(name, name)
        names = (name, socket, reader.peers.get(socket, ""))
        return [one for one in dict.fromkeys(names) if one and one[0] != "e"]

    def add(self, name: str, word: str) -> None:
        """One word more: what no record tells."""
        self._reader.note(name, word)
