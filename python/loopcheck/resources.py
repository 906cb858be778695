"""What a process has of fds, threads and signal state: to be the same before a case and after it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

THREADS_END_S = 1.0  # how long threads of a closed loop may take to end before they count as left
THREADS_LOOK_S = 0.05  # how long until it is worth running the case again to see whether they stay
SIGNALS_WATCHED = tuple(s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP))


def inode_of(fd: int) -> int:
    """The inode behind a descriptor, -1 when it is not open."""
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return -1


@dataclass
class Resources:
    """One look at the process."""

    fds: dict[int, str]
    threads: int
    mask: frozenset[int]
    handlers: dict[int, object]
    wakeup_fd: int

    @classmethod
    def now(cls) -> Resources:
        fds: dict[int, str] = {}
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the directory's own fd is gone by now
                fds[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        wakeup_fd = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup_fd)
        return cls(
            fds=fds,
            threads=len(os.listdir("/proc/self/task")),
            mask=frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            handlers={s: signal.getsignal(s) for s in SIGNALS_WATCHED},
            wakeup_fd=wakeup_fd,
        )

    def compare(self, after: Resources, allowed: Allowance) -> list[tuple[str, str]]:
        """(rule, sentence) for each difference that is not allowed."""
        found = []
        left = [(fd, target) for fd, target in sorted(after.fds.items()) if self.fds.get(fd) != target]
        if len(left) > allowed.fds:
            found += [("LIFE-3", f"fd {fd} ({target}) is left open after close") for fd, target in left]
        for fd, target in sorted(self.fds.items()):
            if fd not in after.fds:
                found.append(("LIFE-3", f"fd {fd} ({target}), open before the loop was made, was closed"))
        threads = after.threads - self.threads
        if threads > allowed.threads:
            found.append(("LIFE-6", f"{threads} thread(s) left after close"))
        return found + self.compare_signals(after)

    def compare_signals(self, after: Resources) -> list[tuple[str, str]]:
        """(rule, sentence) for each difference in mask, handlers and wakeup fd."""
        found = []
        if after.mask != self.mask:
            found.append(("LIFE-6", f"signal mask {sorted(after.mask)} instead of {sorted(self.mask)}"))
        for number, handler in self.handlers.items():
            if after.handlers[number] != handler:
                name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
                found.append(("LIFE-6", f"{name}: handler {after.handlers[number]!r} instead of {handler!r}"))
        if after.wakeup_fd != self.wakeup_fd:
            found.append(("LIFE-6", f"signal wakeup fd {after.wakeup_fd} instead of {self.wakeup_fd}"))
        return found


@dataclass(frozen=True)
class Allowance:
    """What a loop leaves whatever it is used for: told once, by the cases of LIFE-3 and LIFE-6, not by every case."""

    fds: int = 0
    threads: int = 0

    @classmethod
    def of(cls, use_one_loop: Callable[[], object]) -> Allowance:
        """What each bare loop, returned closed, leaves; what only the first one leaves is none of this."""
        kept = [use_one_loop()]
        before = Resources.now()
        kept.append(use_one_loop())  # alive while it is looked at, as a case's loops are
        after = Resources.now()
        return cls(max(0, len(after.fds) - len(before.fds)), max(0, after.threads - before.threads))

    def for_case(self, rule: str, loops: int) -> Allowance:
        """For a case of `rule` that made so many loops."""
        fds = 0 if rule == "LIFE-3" else self.fds * loops
        return Allowance(fds, 0 if rule == "LIFE-6" else self.threads * loops)


def leaks_since(before: Resources, allowed: Allowance, threads_s: float) -> list[tuple[str, str]]:
    """What is left; threads get so many seconds to end."""
    deadline = time.monotonic() + threads_s
    while True:
        found = before.compare(Resources.now(), allowed)
        if not any("thread" in sentence for _, sentence in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.01)
