"""The memory that the parent, the server and the case process share.

    header 64 B | outcome: JSON, 64 KiB | programs: 128 KiB | trace: 4 MiB

It outlives the case process, so what a loop did is known however it died. The case process may write
anything into it by accident: the reader trusts no length and no byte.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from json import dumps, loads  # bound before a loop can patch them
from typing import Any

OUTCOME_BYTES_MAX = 64 << 10
PROGRAM_BYTES_MAX = 128 << 10  # of one program, or of a batch of them
TRACE_BYTES = 4 << 20
DETAIL_CHARS_MAX = 4000

# nonce: the parent's, a new one a case; stamp: the nonce of the case that wrote the outcome;
# phase; flags; outcome bytes; program bytes; which program of a batch is running
_HEADER = struct.Struct("<QQIIIII")
_OUTCOME_AT = 64
_PROGRAM_AT = _OUTCOME_AT + OUTCOME_BYTES_MAX
_TRACE_AT = (_PROGRAM_AT + PROGRAM_BYTES_MAX + 4095) // 4096 * 4096
_SIZE = _TRACE_AT + TRACE_BYTES
_TRACE_HEADER_BYTES = 256

_STAMP = struct.Struct("<Q")
_WORD = struct.Struct("<I")
_STAMP_AT, _PHASE_AT, _FLAGS_AT, _OUTCOME_BYTES_AT, _PROGRESS_AT = 8, 16, 20, 24, 32

PHASE_NONE, PHASE_IMPORT, PHASE_RUN, PHASE_DONE = 0, 1, 2, 3
FLAG_SECOND_PROCESS = 1  # a process that the case forked came back from the case as well

_BATCH = struct.Struct("<II")  # milliseconds until a step is rescued, programs
_LENGTH = struct.Struct("<H")


def pack_programs(programs: Sequence[bytes], rescue_s: float) -> bytes:
    """What `unpack_programs` takes apart, in the process that runs them."""
    head = _BATCH.pack(int(rescue_s * 1000), len(programs))
    return head + b"".join(_LENGTH.pack(len(program)) + program for program in programs)


def unpack_programs(data: bytes) -> tuple[float, list[bytes]]:
    """(seconds until a step is rescued, the programs)."""
    rescue_ms, count = _BATCH.unpack_from(data)
    at, programs = _BATCH.size, []
    for _ in range(count):
        (size,) = _LENGTH.unpack_from(data, at)
        programs.append(data[at + _LENGTH.size : at + _LENGTH.size + size])
        at += _LENGTH.size + size
    return rescue_ms / 1000, programs


class Shared:
    """One block of shared memory, mapped into this process.

    `fd` is the file behind it (-1 once dropped); `trace` a writable view of TRACE_BYTES bytes.
    """

    def __init__(self, fd: int) -> None:
        """Maps the memory behind fd, which must have been made by `create`."""
        self.fd = fd
        self._map = mmap.mmap(fd, _SIZE)
        self.trace = memoryview(self._map)[_TRACE_AT:_SIZE]

    @classmethod
    def create(cls) -> Shared:
        """Makes zeroed memory that no process can shrink under the others, where the system can promise that."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("loopcheck", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, _SIZE)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
            os.ftruncate(fd, _SIZE)
        return cls(fd)

    def drop_fd(self) -> None:
        """Keeps only the mapping, which a loop that closes every fd does not reach.

        CPython's mmap has a duplicate of the fd; sealed memory cannot be made smaller through it.
        """
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """Gives fd and mapping back; harmless when repeated."""
        self.drop_fd()
        self.trace.release()
        with contextlib.suppress(BufferError):
            self._map.close()

    # What the parent does.

    def begin_case(self, nonce: int, program: bytes = b"") -> None:
        """Forgets the last case. Raises ValueError when the program has more than PROGRAM_BYTES_MAX bytes."""
        if len(program) > PROGRAM_BYTES_MAX:
            raise ValueError(f"a program of {len(program)} bytes; at most {PROGRAM_BYTES_MAX} fit")
        self._map[_OUTCOME_AT:_PROGRAM_AT] = bytes(OUTCOME_BYTES_MAX)
        self._map[_PROGRAM_AT : _PROGRAM_AT + len(program)] = program
        self._map[_TRACE_AT : _TRACE_AT + _TRACE_HEADER_BYTES] = bytes(_TRACE_HEADER_BYTES)
        _HEADER.pack_into(self._map, 0, nonce, 0, PHASE_NONE, 0, 0, len(program), 0)

    def outcome(self, nonce: int) -> dict[str, Any] | None:
        """What the case with this nonce reported, or None when it reported nothing that can be read."""
        _, stamp, _, _, size, _, _ = _HEADER.unpack_from(self._map, 0)
        if stamp != nonce or not 0 < size <= OUTCOME_BYTES_MAX:
            return None
        try:
            outcome = loads(self._map[_OUTCOME_AT : _OUTCOME_AT + size])
        except (ValueError, RecursionError):
            return None
        return outcome if isinstance(outcome, dict) else None

    def was_written(self) -> bool:
        """Did anything write an outcome, readable or not, by this or another case?"""
        _, stamp, _, _, size, _, _ = _HEADER.unpack_from(self._map, 0)
        return bool(stamp or size)

    def flags(self) -> int:
        """FLAG_* bits that the case set."""
        return int(_WORD.unpack_from(self._map, _FLAGS_AT)[0])

    def phase(self) -> int:
        """How far the case came: one of PHASE_*, unless something overwrote it."""
        return int(_WORD.unpack_from(self._map, _PHASE_AT)[0])

    def progress(self) -> int:
        """Which program of a batch is running: the time limit is of each."""
        return int(_WORD.unpack_from(self._map, _PROGRESS_AT)[0])

    # What the case process does.

    def program(self) -> bytes:
        """The program that the parent left for this case."""
        size = min(_HEADER.unpack_from(self._map, 0)[5], PROGRAM_BYTES_MAX)
        return self._map[_PROGRAM_AT : _PROGRAM_AT + size]

    def set_phase(self, phase: int) -> None:
        """Tells the server what is going on, since importing and running have limits of their own."""
        _WORD.pack_into(self._map, _PHASE_AT, phase)

    def set_progress(self, number: int) -> None:
        """The program of this number begins."""
        _WORD.pack_into(self._map, _PROGRESS_AT, number)

    def flag(self, bit: int) -> None:
        """Sets one FLAG_* bit."""
        _WORD.pack_into(self._map, _FLAGS_AT, self.flags() | bit)

    def report(self, nonce: int, outcome: dict[str, Any]) -> None:
        """Writes the outcome; the stamp goes last, so that half an outcome is none."""
        data = dumps(outcome).encode()
        if len(data) > OUTCOME_BYTES_MAX:
            short = {key: outcome[key] for key in ("kind", "rule", "observations") if key in outcome}
            data = dumps({**short, "detail": str(outcome.get("detail"))[:DETAIL_CHARS_MAX]}).encode()
        self._map[_OUTCOME_AT : _OUTCOME_AT + len(data)] = data
        _WORD.pack_into(self._map, _OUTCOME_BYTES_AT, len(data))
        _STAMP.pack_into(self._map, _STAMP_AT, nonce)
        self.set_phase(PHASE_DONE)
