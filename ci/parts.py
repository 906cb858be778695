"""A run of several parts, some of them side by side: all are tried, a table at the end tells how they went."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import steps
import timing
from steps import ROOT, Stop, say

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"
AGAIN_LINES = 60  # the last that a failed part printed; the end of a log shows them again


class _Recent(threading.local):
    """Lines of the part that runs in this thread."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=AGAIN_LINES)


_recent = _Recent()


class Skipped(Exception):
    """The part cannot run here; the text says why."""


@dataclass(frozen=True)
class Result:
    part: str
    outcome: str
    detail: str
    seconds: float
    last_lines: str = ""  # of a part that failed


def show(line: str) -> None:
    """Prints a line of the part that runs."""
    _recent.lines.append(line)
    sys.stdout.write(line)
    sys.stdout.flush()


def shown(argv: Sequence[object], env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Runs a command whose output the reader sees as it comes. Returns status and output."""
    words = [str(word) for word in argv]
    process = timing.start(
        words,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    lines = []
    with timing.limited(process):
        for line in process.stdout:
            lines.append(line)
            show(line)
        return process.wait(), "".join(lines)


def runner(argv: Sequence[object], last: str, env: Mapping[str, str] | None = None) -> str:
    """A test runner as a part: its own last line, which matches `last`, is the detail."""
    status, text = shown(argv, env)
    line = steps.last_line(text, last)
    if status != 0:
        raise Stop(line or f"ended with status {status}")
    if not line:
        raise Stop(f"ended well but said nothing that matches {last!r}: did any test run?")
    return line


def _tried(name: str, work: Callable[[], str]) -> Result:
    """Runs one part, and says how it went."""
    began = time.monotonic()
    _recent.lines.clear()
    try:
        outcome, detail = OK, work()
    except (Skipped, timing.OutOfTime) as skip:
        outcome, detail = SKIPPED, str(skip)
    except Stop as stop:
        outcome, detail = FAILED, str(stop)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        outcome, detail = FAILED, f"{type(error).__name__}: {error}"
    say(f"{name}: {outcome}: {detail}")
    last_lines = "".join(_recent.lines) if outcome == FAILED else ""
    return Result(name, outcome, detail, time.monotonic() - began, last_lines)


class Run:
    """The parts of one invocation and what became of them."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.results: list[Result] = []
        self.began_s = time.monotonic()

    def part(self, name: str, work: Callable[[], str]) -> bool:
        """Runs one part; `work` returns a line for the table, raises Skipped or Stop. True: it went well."""
        print(f"\n==== {name}", flush=True)
        self.results.append(_tried(name, work))
        return self.results[-1].outcome == OK

    def beside(self, works: Mapping[str, Callable[[], str]]) -> None:
        """Runs parts of one thread each, by name, as many at a time as there are processors."""
        print(f"\n==== side by side: {', '.join(works)}", flush=True)
        with ThreadPoolExecutor(steps.JOBS) as pool:
            self.results += pool.map(_tried, works.keys(), works.values())

    def table(self) -> str:
        """The parts so far, one line each."""
        width = max([len(result.part) for result in self.results], default=4)
        lines = [f"{'part':{width}}  result   seconds  in its own words"]
        for result in self.results:
            lines.append(f"{result.part:{width}}  {result.outcome:7}  {result.seconds:7.1f}  {result.detail}")
        return "\n".join(lines)

    def finish(self) -> int:
        """Prints how the parts that failed ended, and the table. Returns the exit status."""
        for result in self.results:
            if result.last_lines:
                print(f"\n==== {result.part}, which failed: its last lines again\n{result.last_lines}")
        print(f"\n{self.table()}")
        failed = [result.part for result in self.results if result.outcome == FAILED]
        skipped = [result.part for result in self.results if result.outcome == SKIPPED]
        seconds = time.monotonic() - self.began_s
        counts = f"{len(self.results)} parts, {len(failed)} failed, {len(skipped)} skipped, {seconds:.0f} s"
        if skipped and self.strict:
            counts += "; a skipped part is a failure in strict mode"
        has_worked = any(result.outcome == OK for result in self.results)
        bad = bool(failed) or (bool(skipped) and self.strict) or not has_worked
        print(f"\n{'FAILED' if bad else 'PASSED'}: {counts}", flush=True)
        return 1 if bad else 0
