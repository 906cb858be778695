"""Watches one case process until it ends or has to be ended: time, memory, number of processes.

Returns facts and no judgement: what they mean is verdict.py's business.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Set
from dataclasses import asdict, dataclass
from os import WEXITSTATUS, WIFSIGNALED, WTERMSIG, close, getpid, kill
from select import POLLIN, poll
from time import sleep
from typing import Any

from loopcheck import processes
from loopcheck.shared import PHASE_IMPORT, Shared

TICK_S = 0.02
BEAT_S = 0.5
LINGER_S = 0.1  # what a case started may take so long to end by itself
DUMP_S = 0.03  # for a process that hangs to print where it hangs
DUMP_SIGNAL = int(getattr(signal, "SIGRTMAX", signal.SIGUSR2 + 2)) - 2
WALL_FACTOR = 5  # a case that gets no cpu is ended after this many times its limit
PROCESSES_MAX = 64

try:
    from os import pidfd_open
except ImportError:  # not Linux: the case's end is noticed a tick later
    pidfd_open = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Limits:
    """What a case may use."""

    run_s: float  # effective time: wall minus the time it waited for a cpu
    import_s: float  # the same for importing the loop, in exec mode
    rss_bytes_max: int  # over the case process and all that it started


@dataclass
class Ending:
    """How a case process ended, as the server saw it."""

    exit_code: int = 0  # negative: the signal that ended it
    limit: str = ""  # "", "run", "import", "memory" or "processes": the limit for which it was killed
    wall_s: float = 0.0
    run_delay_s: float = 0.0
    cpu_s: float = 0.0
    rss_bytes: int = 0  # the most that was seen
    is_stopped: bool = False  # it was stopped (SIGSTOP) when its time was up
    left_behind: int = 0  # processes that outlived it

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


class Watch:
    """One case process under observation by this process, its parent."""

    def __init__(self, pid: int, shared: Shared, limits: Limits, spare: Set[int]) -> None:
        """Begins at once. `spare`: descendants that were here before and are not the case's."""
        self._pid = pid
        self._shared = shared
        self._limits = limits
        self._spare = spare
        self._ending = Ending()
        self._is_over = False
        self._is_importing = shared.phase() == PHASE_IMPORT
        self._progress = shared.progress()
        self._began_s = processes.clock_s()
        self._delay_before_s = processes.run_delay_s(pid)

    def until_end(self, control: int, beat: Callable[[], None]) -> Ending | None:
        """Waits for the end. Calls `beat` every BEAT_S; None when `control` was hung up on."""
        poller = poll()
        poller.register(control, 0)
        pidfd = self._pidfd()
        if pidfd >= 0:
            poller.register(pidfd, POLLIN)
        beaten_s = self._began_s
        while not self._is_over and not self._ending.limit:
            if any(fd == control for fd, _ in poller.poll(TICK_S * 1000)):
                processes.kill_descendants(getpid(), frozenset(), lambda _: None)
                return None
            self._look()
            if processes.clock_s() - beaten_s > BEAT_S:
                beaten_s = processes.clock_s()
                beat()
        if pidfd >= 0:
            close(pidfd)
        self._clear_up()
        return self._ending

    def _pidfd(self) -> int:
        try:
            return pidfd_open(self._pid)
        except (OSError, TypeError):
            return -1

    def _look(self) -> None:
        """One look: who ended, how long it took, what it uses."""
        now_s = processes.clock_s()
        delay_s = processes.run_delay_s(self._pid)
        for exited in processes.reap():
            self._collect(exited)
        self._ending.wall_s = now_s - self._began_s
        if self._is_over:
            return
        self._ending.run_delay_s = max(0.0, delay_s - self._delay_before_s)
        self._weigh()
        self._time(now_s, delay_s)

    def _weigh(self) -> None:
        mine = [pid for pid in processes.descendants(getpid()) if pid not in self._spare]
        if len(mine) > PROCESSES_MAX:
            self._ending.limit = "processes"
            return
        rss_bytes = sum(processes.rss_bytes(pid) for pid in mine)
        if rss_bytes > self._limits.rss_bytes_max and len(mine) > 1:
            rss_bytes = sum(processes.own_bytes(pid) for pid in mine)
        self._ending.rss_bytes = max(self._ending.rss_bytes, rss_bytes)
        if rss_bytes > self._limits.rss_bytes_max:
            self._ending.limit = "memory"

    def _time(self, now_s: float, delay_s: float) -> None:
        if self._is_importing and self._shared.phase() != PHASE_IMPORT:
            self._is_importing = False
            self._began_s, self._delay_before_s = now_s, delay_s
            return
        if self._shared.progress() != self._progress:
            self._progress = self._shared.progress()
            self._began_s, self._delay_before_s = now_s, delay_s
            return
        limit_s = self._limits.import_s if self._is_importing else self._limits.run_s
        effective_s = self._ending.wall_s - self._ending.run_delay_s
        if effective_s >= limit_s or self._ending.wall_s >= limit_s * WALL_FACTOR:
            self._ending.limit = self._ending.limit or ("import" if self._is_importing else "run")

    def _collect(self, exited: processes.Exit) -> None:
        self._ending.cpu_s += exited.cpu_s
        if exited.pid == self._pid:
            self._is_over = True
            code = -WTERMSIG(exited.status) if WIFSIGNALED(exited.status) else WEXITSTATUS(exited.status)
            self._ending.exit_code = code

    def _clear_up(self) -> None:
        """Ends what is still there, and counts it unless the case was killed for another reason."""
        ending = self._ending
        if ending.limit in ("run", "import"):
            ending.is_stopped = processes.state_of(self._pid) == "T"
            self._ask_where()
        if not ending.limit:
            give_up_s = processes.clock_s() + LINGER_S
            while (left := processes.alive(getpid(), self._spare)) and processes.clock_s() < give_up_s:
                sleep(TICK_S / 2)
                for exited in processes.reap():
                    self._collect(exited)
            ending.left_behind = len(left)
        processes.kill_descendants(getpid(), self._spare, self._collect)

    def _ask_where(self) -> None:
        """Makes a process that hangs print its stack (faulthandler, see child.py)."""
        try:
            kill(self._pid, DUMP_SIGNAL)
        except OSError:
            return
        sleep(DUMP_S)
