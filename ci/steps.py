"""What every script of ci/ uses: places, progress lines, commands with a log, stamps, one lock.

Standard library only, since it runs before the virtual environment exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import timing

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
JOBS = len(os.sched_getaffinity(0))

LOG_TAIL_LINES = 25
EXPLAIN_LINES = 400


class Stop(Exception):
    """Ends the script with one sentence. status 2: something the user has to provide."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


def say(text: str) -> None:
    print(f"ci: {text}", flush=True)


def tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, or nothing when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def relative(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def logged(name: str, argv: Sequence[object], env: Mapping[str, str] | None = None) -> int:
    """Runs a command with all output in build/logs/<name>.log (appended). Returns its status."""
    LOGS.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in argv]
    with (LOGS / f"{name}.log").open("a") as log:
        log.write(f"\n$ {' '.join(words)}\n")
        log.flush()
        environment = {**os.environ, **(env or {})}
        process = timing.start(
            words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
        )
        with timing.limited(process):
            return process.wait()


def step(
    title: str,
    name: str,
    argv: Sequence[object],
    env: Mapping[str, str] | None = None,
    explain: Callable[[str], str] = lambda log: "",
) -> None:
    """A command that has to succeed: one line before it, its seconds after, on failure the end of its log,
    or the sentence that `explain` makes of the log."""
    say(f"{title} ...")
    began = time.monotonic()
    (LOGS / f"{name}.log").unlink(missing_ok=True)
    status = logged(name, argv, env)
    if status != 0:
        log = LOGS / f"{name}.log"
        sentence = explain(tail(log, EXPLAIN_LINES))
        if sentence:
            raise Stop(f"{title}: {sentence}; the whole log is {relative(log)}")
        print(tail(log), flush=True)
        raise Stop(f"{title}: failed with status {status}; the whole log is {relative(log)}")
    say(f"{title}: done in {time.monotonic() - began:.0f} s")


def files(*patterns: str) -> list[Path]:
    """The files in the checkout that match, in a fixed order."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(found)


def digest(paths: Iterable[Path], *words: str) -> str:
    """One hash over names and contents of files and over some words."""
    state = hashlib.sha256()
    for word in words:
        state.update(word.encode() + b"\0")
    for path in paths:
        state.update(relative(path).encode() + b"\0")
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


class Stamp:
    """Remembers that a step was done for one state of its inputs."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key

    def holds(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return bool(json.loads(self.path.read_text())["key"] == self.key)
        return False

    def set(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({"key": self.key}))
        fresh.replace(self.path)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one process at a time; a second one waits and says so."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run holds the {name} lock; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def last_line(text: str, pattern: str) -> str:
    """The last line that matches, without colours; empty when none does."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    found = [line.strip() for line in plain.splitlines() if re.search(pattern, line)]
    return found[-1].strip("= ") if found else ""
