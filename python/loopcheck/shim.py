"""The kernel shim (fuzz/kernels/shim.h) under a loop: virtual time, lawful faults, counters.

It is preloaded into the server and does nothing there; each case arms it for itself and what it
starts. The parent stays outside: it makes the page of memory that they share, and reads the counters.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopcheck import _contract
from loopcheck.load import Unusable

LIBRARY = "_shim.so"
PAGE_BYTES = 32768  # SHIM_PAGE_BYTES
PAGE_VARIABLE, SETTINGS_VARIABLE = "LOOPCHECK_SHIM_PAGE", "LOOPCHECK_SHIM"
# On exact time a timer may fire less than this early: deadlines are floats of seconds, and interfaces
# that count microseconds (struct timeval) may cut off what they cannot hold.
EXACT_TICK_NS = 1000
_COUNTER = struct.Struct("<24sQ")
_RINGS_REFUSED = "ring refused"


@dataclass(frozen=True)
class Shim:
    """What is asked of the shim."""

    has_virtual_time: bool = False
    faults: str = ""  # "", "linux" or "posix": how far the kernel may go
    seed: int = 0  # of the faults

    @property
    def is_on(self) -> bool:
        return self.has_virtual_time or bool(self.faults)

    @property
    def conditions(self) -> frozenset[str]:
        """What a run under it is under, in the words of an expect file."""
        return frozenset(["virtual-time"] * self.has_virtual_time + ["faults"] * bool(self.faults))

    @property
    def arguments(self) -> str:
        """The same as options of the command line, with a blank before each."""
        time = " --virtual-time" if self.has_virtual_time else ""
        return time + (f" --faults {self.faults} --seed {self.seed}" if self.faults else "")

    def environment(self, page: Page) -> dict[str, str]:
        """What a process has to be started with. A sanitizer's runtime has to come first in LD_PRELOAD and does, since
        what is there already stays in front. Raises Unusable."""
        words = ["time"] * self.has_virtual_time + (
            [f"faults={self.faults}", f"seed={self.seed}"] if self.faults else []
        )
        preload = [*filter(None, [os.environ.get("LD_PRELOAD")]), str(library())]
        return {"LD_PRELOAD": ":".join(preload), SETTINGS_VARIABLE: " ".join(words), PAGE_VARIABLE: page.path}


def library() -> Path:
    """The shim, beside the compiled part of this package. Raises Unusable."""
    path = Path(_contract.__file__).with_name(LIBRARY)
    if not path.is_file():
        raise Unusable(
            "this installation has no kernel shim, without which there is neither --virtual-time nor --faults"
            " (it is built on Linux with glibc)"
        )
    return path


class Page:
    """The memory that the processes under one server share; `path` is its file."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("loopcheck-shim", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, PAGE_BYTES)
        self._map = mmap.mmap(self._fd, PAGE_BYTES)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"

    def clear(self) -> None:
        """Before a case: a fresh clock, nobody armed, nothing counted."""
        self._map[:] = bytes(PAGE_BYTES)

    def counters(self) -> dict[str, int]:
        """What was counted, by name; the case process may have written anything there."""
        found = {}
        for at in range(0, PAGE_BYTES - _COUNTER.size, _COUNTER.size):
            name, count = _COUNTER.unpack_from(self._map, at)
            text = name.rstrip(b"\0").decode(errors="replace")
            if not text.isprintable() or not text:
                break
            if count:
                found[text] = count
        return found

    def why_unusable(self) -> str:
        """What to add to the sentence that says that a loop cannot be used here, or ""."""
        if _RINGS_REFUSED not in self.counters():
            return ""
        return " (it asked for an io_uring, which the kernel shim refuses: it could not see into one)"

    def close(self) -> None:
        """Gives the memory back."""
        self._map.close()
        os.close(self._fd)


# In the processes under the shim.

Spare = Callable[[int, int], Any]

_here = ctypes.CDLL(None)  # the process itself, where the shim is if it was preloaded
_arm: Callable[[Any], int] | None = getattr(_here, "lc_shim_arm", None)
_kit = ctypes.cast(ctypes.CDLL(_contract.__file__).PyInit__contract, ctypes.c_void_p)  # drives the loop: no faults
_spare: Spare | None = getattr(_here, "lc_shim_spare", None)
_settings = os.environ.get(SETTINGS_VARIABLE, "").split() if os.environ.get(PAGE_VARIABLE) else []
_is_armed = _is_exact = False


def why_not_loaded() -> str:
    """Why the shim, if it was asked for, is not in this process; or ""."""
    return "the interpreter did not load the kernel shim (is it a static program?)" if _settings and not _arm else ""


def arm() -> None:
    """From here on this process and what it starts are under the shim, if it is there."""
    global _is_armed, _is_exact
    if _arm is not None and _settings and _arm(_kit) == 0:
        _is_armed, _is_exact = True, "time" in _settings


def is_armed() -> bool:
    """Is this process under the shim?"""
    return _is_armed


def spare(fd: int) -> None:
    """No faults on this fd: the case reads or writes it itself, and does not deal with them."""
    if _spare is not None and _settings:
        _spare(fd, 1)


def tick_ns(real_ns: int) -> int:
    """The resolution by which timers are judged here: `real_ns` on a real clock."""
    return EXACT_TICK_NS if _is_exact else real_ns
