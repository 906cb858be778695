"""Planted races: each defect of races.toml, put into a copy of loop/thread/wake, has to be seen by the stress programs
under ThreadSanitizer: as a data race, or by counting what it leads to (a post or a wake-up that is lost)."""

from __future__ import annotations

import subprocess
import time

import builds
import mutants
import steps
import stress
from mutants import Mutant
from steps import Stop

FOUND_S = 30  # within which a planted race has to be seen
CLEAN_S = 300  # of one program on the unchanged mailbox: a hang, however busy the machine is
STALL_S = 3  # without a post, until the stress program calls it lost
# By shown_as: the words in the output of a stress program that show it.
SIGNS = {
    "data race": ("ThreadSanitizer: data race",),
    "counts": ("STALLED: ", "WRONG: ", "CHECK("),
}


def copy() -> mutants.Copy:
    """Compiled as the preset tsan compiles, but only what is needed to stress the mailbox."""
    options = (
        f"-DCMAKE_TOOLCHAIN_FILE={steps.ROOT / 'ci' / 'clang.cmake'}",
        "-DCMAKE_C_FLAGS=-fsanitize=thread -fno-omit-frame-pointer",
        "-DLOOPCHECK_SANITIZERS=ON",
        "-DLOOPCHECK_FUZZ=OFF",
    )
    return mutants.Copy("races", ("stress_wake", "rl_test_wake_threads"), options, builds.environment())


def programs(where: mutants.Copy) -> list[list[str]]:
    """Every stress program, those that find most first; then the unit test of the mailbox under threads."""
    program = where.build / "sanitizers" / "stress_wake"
    found = [[str(program), mode, str(threads), str(STALL_S)] for threads in (4, 16, 1) for mode in stress.MODES]
    return [*found, [str(where.build / "loop" / "tests" / "rl_test_wake_threads")]]


def sign_of(text: str) -> str | None:
    """How the output of a stress program shows a defect; None: it does not."""
    return next((sign for sign, words in SIGNS.items() if any(word in text for word in words)), None)


def run(argv: list[str], limit_s: float) -> tuple[int | None, str]:
    """Exit status (None: over the limit) and output of a stress program."""
    argv = [*builds.launcher("tsan"), *argv]
    process = subprocess.Popen(
        argv, env=stress.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        text = process.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[0]
    return process.returncode, text


def hunt(where: mutants.Copy, mutant: Mutant) -> str | None:
    """Runs the programs until one shows the defect; a sentence about it, or None. Stop: it only shows otherwise."""
    others = []
    end = time.monotonic() + FOUND_S
    for argv in programs(where):
        name = " ".join([argv[0].rpartition("/")[2], *argv[1:3]])
        status, text = run(argv, max(0.0, end - time.monotonic()))
        sign = sign_of(text) or ("no report" if status is not None else "no end")
        if status != 0 and sign == mutant.shown_as:
            return f"{sign} in {name}"
        if status != 0:
            others.append(f"{sign} (status {status}) in {name}")
    if others:
        raise Stop(f"shown, but not as {mutant.shown_as}: {'; '.join(others)}")
    return None


def find_all() -> str:
    """The unchanged copy must pass every program, and every planted race must be seen."""
    found = mutants.load("sanitizers/races.toml")
    builds.need_clang()
    with steps.locked("races"):
        where = copy()
        where.make()
        for argv in programs(where):
            status, text = run(argv, CLEAN_S)
            if status != 0:
                print(text)
                raise Stop(
                    f"the unchanged mailbox fails: {' '.join(argv)}: {steps.last_line(text, 'WRONG|STALLED|ERR')}"
                )
        return mutants.kill_each(where, found, lambda mutant: hunt(where, mutant))
