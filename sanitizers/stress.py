"""The mailbox under stress: stress/stress_wake.c, from one thread, from a few, and from many."""

from __future__ import annotations

import os

import builds
import parts

PROGRAM = "sanitizers/stress_wake"
MODES = ("mailbox", "loop")
THREADS = (1, 4, 16)


def environment() -> dict[str, str]:
    return {**os.environ, **builds.environment()}


def run(sanitizer: str) -> str:
    program = builds.program(sanitizer, PROGRAM)
    for mode in MODES:
        for threads in THREADS:
            argv = [*builds.launcher(sanitizer), program, mode, threads]
            parts.runner(argv, r"posts,.*in order|WRONG|STALLED|ERROR|WARNING", builds.environment())
    return f"{' and '.join(MODES)}, each from {', '.join(map(str, THREADS))} threads: every post seen, in order"
