"""How the benches measure: in rounds, each beside a control that does the same work always; median and spread.

A machine that is busy or slow slows the control, too, so that the ratio to it can be compared between runs.
"""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"
BLOCK = bytes(1 << 16)
CONTROL_BLOCKS = 256  # hashed in one unit of the control


class Stop(Exception):
    """One sentence: why nothing can be measured."""


def control() -> float:
    """Units of the control per second of CPU: a unit is SHA-256 over 16 MiB."""
    began_s = time.process_time()
    state = hashlib.sha256()
    for _ in range(CONTROL_BLOCKS):
        state.update(BLOCK)
    return 1 / (time.process_time() - began_s)


@dataclass(frozen=True)
class Spread:
    """What came of the rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def text(self, digits: int = 0) -> str:
        return f"{self.median:,.{digits}f} ({min(self.values):,.{digits}f} .. {max(self.values):,.{digits}f})"


@dataclass(frozen=True)
class Rate:
    """Something per second, and the same per unit of the control."""

    absolute: Spread
    relative: Spread


def rates(measure: Callable[[], dict[str, float]], rounds: int) -> dict[str, Rate]:
    """Runs `measure`, which gives rates per second by name, in rounds with the control before and after."""
    seen: list[tuple[dict[str, float], float]] = []
    for _ in range(rounds):
        before = control()
        values = measure()
        seen.append((values, (before + control()) / 2))
    return {
        name: Rate(
            Spread(tuple(values[name] for values, _ in seen)),
            Spread(tuple(values[name] / unit for values, unit in seen)),
        )
        for name in seen[0][0]
    }


def run(argv: Sequence[object]) -> tuple[str, float, float]:
    """Output, CPU seconds and wall seconds of a command that has to succeed."""
    words = [str(word) for word in argv]
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    wall_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise Stop(
            f"{' '.join(words)} ended with status {done.returncode}: {(done.stderr or done.stdout).strip()[-200:]}"
        )
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, cpu_s, wall_s


def report(title: str, command: str, rows: Sequence[Sequence[str]], *, is_recorded: bool) -> None:
    """Prints a Markdown table; where asked, adds it to RESULTS.md with command, kind of machine and date."""
    head, *body = rows
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in body)]
    print("\n".join(lines))
    if is_recorded:
        load, python = os.getloadavg()[0], platform.python_version()
        machine = f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, CPython {python}"
        place = f"`{command}`, {time.strftime('%Y-%m-%d')}, {machine}"
        with RESULTS.open("a", encoding="utf-8") as page:
            page.write(f"\n## {title}\n\n{place}\n\n" + "\n".join(lines) + "\n")
