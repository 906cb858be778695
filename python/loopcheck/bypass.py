"""What of a loop would go past the kernel shim: system calls that its shared objects make themselves.

The shim stands between a program and the C library. Code with its own `syscall` instructions (Zig,
rustix, Go, a static liburing) is not seen by it, and a verdict on virtual time would be wrong.
"""

from __future__ import annotations

import platform
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

# Calls that wait or tell the time, on x86-64; whoever makes others by himself makes these as well. (Not futex: an
# OpenMP runtime makes it raw, without a timeout.)
_CALLS = {
    228: "clock_gettime",
    230: "clock_nanosleep",
    232: "epoll_wait",
    233: "epoll_ctl",
    270: "pselect6",
    271: "ppoll",
    281: "epoll_pwait",
    286: "timerfd_settime",
    425: "io_uring_setup",
    426: "io_uring_enter",
    441: "epoll_pwait2",
}
_SYSCALL = b"\x0f\x05"
_SET_EAX = re.compile(rb"\xb8(..\x00\x00)", re.DOTALL)  # mov $number, %eax
_WRAPPER = re.compile(rb"\x48\x89\xf8.{0,24}\x0f\x05(?:\xc3|\x48\x3d\x01\xf0\xff\xff)", re.DOTALL)  # number in %rdi
_BEFORE_BYTES = 40  # so near to the instruction its number is set
_MACHINE = 62  # EM_X86_64
# Part of every process: libc and the loader, through which the others go, and who stands before them.
_EXEMPT = re.compile(r"^(ld-|ld64|libc[.-]|libm[.-]|libpthread|libdl|librt|lib[atlu]*san|libclang_rt|_shim)")


def _code(data: bytes) -> Iterator[bytes]:
    """The executable segments of an ELF file of this machine."""
    if data[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", data, 18)[0] != _MACHINE:
        return
    table, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for i in range(count):
        kind, flags, offset, _, _, size = struct.unpack_from("<IIQQQQ", data, table + 56 * i)
        if kind == 1 and flags & 1:
            yield data[offset : offset + size]


def calls_in(path: Path) -> list[str]:
    """Names of the calls that this object makes itself; "any" is a function that makes whichever it is told."""
    found = set()
    try:
        segments = list(_code(path.read_bytes()))
    except (OSError, struct.error):
        return []
    for code in segments:
        found |= {"any"} if _WRAPPER.search(code) else set()
        at = code.find(_SYSCALL)
        while at >= 0:
            numbers = _SET_EAX.findall(code, max(0, at - _BEFORE_BYTES), at)
            name = _CALLS.get(struct.unpack("<I", numbers[-1])[0]) if numbers else None
            found |= {name} if name else set()
            at = code.find(_SYSCALL, at + 1)
    return sorted(found)


def objects() -> set[Path]:
    """The files whose code is in this process, but those that every process has."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    files = {Path(line.split(maxsplit=5)[5]) for line in lines if " r-xp " in line and "/" in line}
    return {path for path in files if not _EXEMPT.match(path.name)}


def why_past_the_shim(paths: Iterable[Path]) -> str:
    """A predicate for a sentence about the loop of these objects, or "" when nothing is known against it."""
    if platform.machine() != "x86_64":
        return ""
    for path in sorted(paths):
        calls = calls_in(path)
        if calls:
            return (
                f"{path.name} makes system calls itself ({', '.join(calls)}), past the C library,"
                " so that virtual time and faults cannot reach it"
            )
    return ""
