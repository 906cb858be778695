"""The time that a part of a run may take: at its end the commands that the part runs are ended.

Without a limit nothing is different. Standard library only, like steps.py, which uses it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

GRACE_S = 5.0  # between asking a command to end and ending it

_ends_s: float | None = None  # of time.monotonic()


class OutOfTime(Exception):
    """The part has no time left; str() is one sentence."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Around a part that may take so long, the grace of its last command included."""
    global _ends_s
    before, _ends_s = _ends_s, time.monotonic() + max(0.0, seconds - GRACE_S)
    try:
        yield
    finally:
        _ends_s = before


def left() -> float | None:
    """Seconds that the part still has; None without a limit."""
    return None if _ends_s is None else _ends_s - time.monotonic()


def start(words: list[str], **options: object) -> subprocess.Popen[str]:
    """Popen; under a limit the process leads a group, which `wait` can end as a whole. Raises OutOfTime."""
    seconds = left()
    if seconds is not None and seconds <= 0:
        raise OutOfTime("no time was left")
    return subprocess.Popen(words, start_new_session=seconds is not None, **options)  # type: ignore[call-overload]


@contextlib.contextmanager
def limited(process: subprocess.Popen[str]) -> Iterator[None]:
    """Around reading from and waiting for a process of `start`. Raises OutOfTime when it had to be ended."""
    seconds = left()
    if seconds is None:
        yield
        return
    stages = [
        threading.Timer(max(0.0, seconds), _signal, (process, signal.SIGTERM)),
        threading.Timer(max(0.0, seconds) + GRACE_S, _signal, (process, signal.SIGKILL)),
    ]
    for stage in stages:
        stage.daemon = True
        stage.start()
    try:
        yield
    except BaseException:  # Ctrl-C does not reach a group of its own
        _signal(process, signal.SIGKILL)
        raise
    finally:
        for stage in stages:
            stage.cancel()
    if (left() or 0.0) <= 0:
        raise OutOfTime("cut off when its time was over")


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
