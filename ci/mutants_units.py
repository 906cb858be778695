"""Mutants that a unit test of loop/tests kills: what no program shows, as leaks at the edges and epoll's own calls.

As ci/mutants.py, in a copy of its own, compiled with AddressSanitizer: memory that is lost, or used too late, is found.
"""

from __future__ import annotations

import os
import subprocess

import builds
import mutants
import steps
from mutants import UNIT_TEST, Mutant
from steps import Stop

TEST_S = 60  # of one run of a test


def load() -> list[Mutant]:
    """Those of fuzz/mutants that unit tests kill."""
    return [mutant for mutant in mutants.load("fuzz/mutants/*.toml") if mutant.killer.startswith(UNIT_TEST)]


def copy(tests: list[str]) -> mutants.Copy:
    """Compiled as the preset asan compiles, but only these tests."""
    options = (
        f"-DCMAKE_TOOLCHAIN_FILE={steps.ROOT / 'ci' / 'clang.cmake'}",
        "-DCMAKE_C_FLAGS=-fsanitize=address",
        "-DCMAKE_BUILD_TYPE=Debug",
        "-DLOOPCHECK_FUZZ=OFF",
        "-DLOOPCHECK_SHIM=OFF",
    )
    return mutants.Copy("mutants-units", tuple(tests), options, builds.environment())


def run(where: mutants.Copy, test: str) -> str | None:
    """Runs a test; what it says of the first that failed, or None. Stop: it ran for too long."""
    argv = [str(where.build / "loop" / "tests" / test)]
    env = {**os.environ, **where.env}
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, errors="replace", timeout=TEST_S)
    except subprocess.TimeoutExpired:
        raise Stop(f"{test} took more than {TEST_S} s") from None
    if done.returncode == 0:
        return None
    pattern = r"CHECK\(.*failed$|Assertion .*failed|(?:Address|Leak)Sanitizer: .*"
    return steps.last_line(done.stdout + done.stderr, pattern) or f"status {done.returncode}"


def kill_all() -> str:
    """The tests must pass on the unchanged loop, and each mutant be found by its own."""
    builds.need_clang()
    found = load()
    tests = sorted({mutant.killer for mutant in found})
    where = copy(tests)

    def find(mutant: Mutant) -> str | None:
        said = run(where, mutant.killer)
        return None if said is None else f"{mutant.killer}: {said}"

    with steps.locked(where.name):
        where.make()
        for test in tests:
            if (said := run(where, test)) is not None:
                raise Stop(f"the unchanged loop fails {test}: {said}")
        return mutants.kill_each(where, found, find) + ", each by its test"
