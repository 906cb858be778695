"""What the server needs to know of processes: descendants, memory, time, and how to end them.

Everything is bound when this module is imported, which is before the loop under test is: a loop that
patches `os`, `time` or `signal` (gevent does) must not reach the one who watches it.
"""

from __future__ import annotations

import ctypes
from builtins import open as open_file
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from os import O_RDWR, WNOHANG, close, devnull, kill, set_inheritable, sysconf, wait4
from os import listdir as list_directory
from os import open as open_fd
from signal import SIGKILL, SIGSTOP
from time import monotonic, sleep
from typing import Any

import psutil

PAGE_BYTES = sysconf("SC_PAGE_SIZE")
KILL_ROUNDS_MAX = 200  # each REAP_S long
REAP_S = 0.01
_PR_SET_CHILD_SUBREAPER = 36


def _prctl() -> Callable[[int, int], int]:
    """prctl(2), or a function that says it failed where there is none."""
    try:
        function = ctypes.CDLL(None, use_errno=True).prctl
    except (AttributeError, OSError):
        return lambda option, value: -1
    return lambda option, value: int(function(option, value, 0, 0, 0))


_call_prctl = _prctl()


def become_subreaper() -> bool:
    """Makes this process the parent of its orphaned descendants, so that none escapes. Linux only."""
    return _call_prctl(_PR_SET_CHILD_SUBREAPER, 1) == 0


def _read(path: str) -> str:
    """A small file of /proc, "" when it is gone."""
    try:
        with open_file(path) as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def _children(pid: int) -> list[int]:
    try:
        threads = list_directory(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for tid in threads for child in _read(f"/proc/{pid}/task/{tid}/children").split()]


_HAS_PROC = _read("/proc/self/statm") != ""  # else psutil, which is slower, knows
_LETTERS = {psutil.STATUS_STOPPED: "T", psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_DEAD: "X"}


def descendants(pid: int) -> list[int]:
    """Pids of all living descendants of pid, zombies included."""
    if not _HAS_PROC:
        try:
            return [process.pid for process in psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return []
    found: list[int] = []
    todo = [pid]
    while todo:
        fresh = [child for child in _children(todo.pop()) if child not in found]
        found += fresh
        todo += fresh
    return found


def state_of(pid: int) -> str:
    """One letter: R, S, D, T (stopped), Z (zombie), or "" when there is no such process."""
    if not _HAS_PROC:
        try:
            return _LETTERS.get(psutil.Process(pid).status(), "S")
        except psutil.Error:
            return ""
    stat = _read(f"/proc/{pid}/stat")
    return stat[stat.rfind(")") + 2 : stat.rfind(")") + 3]


def rss_bytes(pid: int) -> int:
    """Resident memory of one process; 0 when it is gone."""
    if not _HAS_PROC:
        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE_BYTES if len(fields) > 1 else 0


def own_bytes(pid: int) -> int:
    """Memory of one process with what it shares divided by how many share it; rss_bytes where unknown.

    A fork shares nearly all its memory with its parent, so that rss_bytes would count it twice. Takes
    about a millisecond.
    """
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return rss_bytes(pid)


def run_delay_s(pid: int) -> float:
    """Seconds that the main thread of pid was ready to run and got no cpu; 0 where unknown."""
    fields = _read(f"/proc/{pid}/schedstat").split()
    return int(fields[1]) / 1e9 if len(fields) > 1 else 0.0


def threads_of_this_process() -> int:
    """How many threads this process has, those of C libraries included."""
    try:
        return len(list_directory("/proc/self/task"))
    except OSError:
        return int(psutil.Process().num_threads())


@dataclass(frozen=True)
class Exit:
    """How a process ended: status as wait4 gives it, cpu seconds of it and of what it reaped."""

    pid: int
    status: int
    cpu_s: float


def reap() -> Iterator[Exit]:
    """Collects every child of this process that ended."""
    while True:
        try:
            pid, status, usage = wait4(-1, WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield Exit(pid, status, usage.ru_utime + usage.ru_stime)


def alive(pid: int, spare: Set[int]) -> list[int]:
    """Descendants of pid that still run: no zombies, none of `spare`."""
    return [child for child in descendants(pid) if child not in spare and state_of(child) not in ("Z", "X", "")]


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(OSError):
            kill(pid, number)


def kill_descendants(pid: int, spare: Set[int], collect: Callable[[Exit], Any]) -> bool:
    """Kills and reaps all descendants of this process `pid` but `spare`; `collect` gets each exit.

    They are stopped first, so that a process that forks without end stops doing so. Returns False
    when some were still there after KILL_ROUNDS_MAX rounds.
    """
    for _ in range(KILL_ROUNDS_MAX):
        for exited in reap():
            collect(exited)
        left = alive(pid, spare)
        if not left:
            return True
        _signal(left, SIGSTOP)
        _signal(left, SIGKILL)
        sleep(REAP_S)
    return False


def kill_tree(pid: int) -> None:
    """Kills pid and its descendants from outside, pid last, so that it cannot lose sight of them."""
    for _ in range(3):
        left = alive(pid, frozenset())
        if not left:
            break
        _signal(left, SIGSTOP)
        _signal(left, SIGKILL)
    _signal([pid], SIGKILL)


def kill_marked(variable: str, value: str) -> int:
    """Kills every process that was started with this environment variable; returns how many.

    Finds what a dead server left behind: processes that nobody is the parent of any more.
    """
    killed = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value:
                process.kill()
                killed += 1
        except (psutil.Error, OSError):
            continue
    return killed


def clock_s() -> float:
    """Seconds on the monotonic clock, whatever the loop did to `time`."""
    return monotonic()


def fill_standard_fds() -> None:
    """Whoever starts a command without standard input must not find pieces of the kit, or of a loop, in its place."""
    while (fd := open_fd(devnull, O_RDWR)) <= 2:
        set_inheritable(fd, True)
    close(fd)
