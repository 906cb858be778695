"""Mutants of the Python extension: planted defects in loop/python, each to be found by the case that it names.

As ci/mutants.py, in a copy of its own; the package is built under another name, so that the one that is installed
stays out of the way.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import mutants
import steps
from steps import BUILD, PYTHON, ROOT, Stop

PATTERN = "fuzz/mutants/extension.toml"
CASE_S = 120  # of one run of a case, control included
PACKAGE = "mutated_refloop"
COPY = mutants.Copy(
    "mutants-extension",
    ("_core",),
    (
        "-DBUILD_TESTING=OFF",
        "-DLOOPCHECK_PYTHON=ON",
        "-DLOOPCHECK_FUZZ=OFF",
        "-DLOOPCHECK_SHIM=OFF",
        f"-DPython_EXECUTABLE={PYTHON}",
    ),
)


def put_together() -> None:
    """The package as it is in the copy now."""
    folder = BUILD / COPY.name / "package" / PACKAGE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (COPY.loop / "python" / "refloop").glob("*.py"):
        shutil.copy(path, folder)
    for path in (COPY.build / "loop" / "python" / "refloop").glob("_core*.so"):
        shutil.copy(path, folder)


def run(case: str) -> str | None:
    """Runs one case on the package; what it saw if it did not pass. Stop: no verdict."""
    put_together()
    argv = [PYTHON, "-m", "loopcheck", "check", f"{PACKAGE}:new_event_loop", "-k", case]
    env = {
        "PYTHONPATH": str(BUILD / COPY.name / "package"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REFLOOP_CHECK": "1",
        "PYTHONMALLOC": "debug",  # what uses memory that was freed finds something else there
    }
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=ROOT,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=CASE_S,
        )
    except subprocess.TimeoutExpired:
        raise Stop(f"{case} took more than {CASE_S} s") from None
    if done.returncode not in (0, 1):
        raise Stop(f"{case} got no verdict: {(done.stderr or done.stdout).strip()[-200:]}")
    if done.returncode == 0 and " PASS" not in done.stdout:
        raise Stop(f"{case} is no case, or did not run")
    return None if done.returncode == 0 else steps.last_line(done.stdout, r"^\d+ verdict") or "not passed"


def find(mutant: mutants.Mutant) -> str | None:
    seen = run(mutant.case)
    return None if seen is None else f"{mutant.case}: {seen}"


def kill_all() -> str:
    """The unchanged package must pass every case that is a killer; every mutant must be killed by its own."""
    found = mutants.load(PATTERN)
    with steps.locked(COPY.name):
        COPY.make()
        for case in sorted({mutant.case for mutant in found}):
            if run(case) is not None:
                raise Stop(f"the unchanged extension fails {case}")
        return mutants.kill_each(COPY, found, find) + ", each by its case"
