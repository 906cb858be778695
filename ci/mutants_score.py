"""How many mutants of the Python extension two other suites see: CPython's own tests of asyncio, and uvloop's.

Each suite gets its loops from the mutated extension and ends at its first failure. What fails on the unchanged one
too says nothing, and what fails on a mutant has to fail twice more, alone. Beside them stand our cases, each of which
finds its mutant (mutants_extension.py).
"""

from __future__ import annotations

import datetime
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import machine
import mutants
import mutants_extension
import parts
import steps
import timing
from steps import BUILD, PYTHON, ROOT, Stop, say

LOOP = f"{mutants_extension.PACKAGE}:new_event_loop"
UVLOOP = "0.23.0"
UVLOOP_FOLDER = BUILD / f"uvloop-{UVLOOP}-tests"  # site/: what they import; tests/: they themselves
PLUGIN = ROOT / "ci" / "uvloop_tests"
NOT_SELECTED = ("test_dns", "test_process", "test_process_spawning")  # a network, and mostly waiting for interpreters
SELECTED = ("-k", "not ssl and not tls", *(f"--ignore=tests/{name}.py" for name in NOT_SELECTED))
CONTROL_S = 900.0  # for all of a suite on the unchanged extension
TEST_S = 30  # for one of uvloop's tests: on loops other than its own some wait for ever
AGAIN_S = 60.0  # for one test, alone
AGAIN = 2
RESULTS = BUILD / "suite.json"
LEFT_OUT = BUILD / "suite-left-out.txt"


def run(argv: Sequence[object], limit_s: float, cwd: Path = ROOT, paths: Sequence[Path] = ()) -> tuple[int, str]:
    """Status and output of a command that imports the mutated package; a status below 0 when it had to be ended.

    Raises OutOfTime when the part's own time was over before its limit.
    """
    left_s = timing.left()
    is_cut_off = left_s is not None and left_s < limit_s
    package = BUILD / mutants_extension.COPY.name / "package"
    env = {"PYTHONPATH": os.pathsep.join(map(str, (package, *paths))), "LOOP": LOOP, "LEFT_OUT": str(LEFT_OUT)}
    with subprocess.Popen(
        [str(word) for word in argv],
        cwd=cwd,
        env={**os.environ, **env, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            text, _ = process.communicate(timeout=max(0.0, left_s or 0.0) if is_cut_off else limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            if is_cut_off:
                raise timing.OutOfTime("cut off when its time was over") from None
    return process.returncode, text


@dataclass
class Suite:
    """One suite; its control is what it does on the unchanged extension."""

    name: str
    tests_count: int = 0  # that passed on the unchanged extension
    control_s: float = 0.0
    left_out: set[str] = field(default_factory=set)  # tests that did not

    def failures(self, limit_s: float, test: str = "", *, is_until_first: bool = True) -> tuple[list[str], int]:
        """Runs all tests, or one: which failed, and how many passed."""
        raise NotImplementedError

    def make_control(self) -> None:
        """Learns which tests pass on the unchanged extension, and how long they take. Stop: none."""
        began = time.monotonic()
        failed, self.tests_count = self.failures(CONTROL_S, is_until_first=False)
        self.control_s = time.monotonic() - began
        self.left_out = set(failed)
        say(f"{self.name}: {self.tests_count} tests pass on the unchanged extension, {len(failed)} do not")
        if self.tests_count == 0:
            raise Stop(f"the tests of {self.name} do not run")

    def sees(self) -> str:
        """The test that sees the planted mutant, or nothing."""
        failed, _ = self.failures(3 * self.control_s + AGAIN_S)
        for test in failed:
            if test not in self.left_out and all(self.failures(AGAIN_S, test)[0] for _ in range(AGAIN)):
                return test
        return ""


class CPython(Suite):
    """`loopcheck cpython`."""

    def failures(self, limit_s: float, test: str = "", *, is_until_first: bool = True) -> tuple[list[str], int]:
        """As of the base class."""
        RESULTS.unlink(missing_ok=True)
        argv: list[object] = [PYTHON, "-m", "loopcheck", "cpython", LOOP, "--json", RESULTS]
        argv += ["-k", test] if test else ["-x"] if is_until_first else []
        status, text = run(argv, limit_s)
        if not RESULTS.exists():
            raise Stop(f"{self.name}: no results, status {status}: {steps.last_line(text, r'.')}")
        rows = json.loads(RESULTS.read_text(encoding="utf-8"))["verdicts"]
        return [row["case"] for row in rows if row["standing"].startswith("unexpected")], sum(
            row["verdict"] == "PASS" for row in rows
        )


class Uvloop(Suite):
    """uvloop's tests, from its source distribution, under pytest."""

    def install(self) -> None:
        """The tests and what they import. Skipped: they are not to be had."""
        if (UVLOOP_FOLDER / "tests").exists():
            return
        shutil.rmtree(UVLOOP_FOLDER, ignore_errors=True)
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check"]
        site, fetched = UVLOOP_FOLDER / "site", UVLOOP_FOLDER / "fetched"
        packages = (f"uvloop=={UVLOOP}", "pyopenssl")
        source = ("--no-deps", "--no-binary", "uvloop", "--dest", fetched)
        for argv in ([*pip, "install", "--target", site, *packages], [*pip, "download", *source, packages[0]]):
            if steps.logged("uvloop-tests", argv) != 0:
                raise parts.Skipped("uvloop's tests cannot be fetched; see build/logs/uvloop-tests.log")
        with tarfile.open(next(fetched.glob("*.tar.gz"))) as tar:
            tar.extractall(fetched, members=_tests_of(tar))
        next(fetched.glob("*/tests")).rename(UVLOOP_FOLDER / "tests")

    def failures(self, limit_s: float, test: str = "", *, is_until_first: bool = True) -> tuple[list[str], int]:
        """As of the base class; a test that ends the process, or in which it hangs, failed."""
        LEFT_OUT.write_text("\n".join(sorted(self.left_out)), encoding="utf-8")
        words = ["-p", "injected", "-p", "no:cacheprovider", "-v", "--color=no", "--rootdir=.", "-c", "/dev/null"]
        words.append(f"--timeout={TEST_S}")
        words += ["-W", "ignore", *(["-x"] if is_until_first else []), *([test] if test else ["tests", *SELECTED])]
        status, text = run([PYTHON, "-m", "pytest", *words], limit_s, UVLOOP_FOLDER, (UVLOOP_FOLDER / "site", PLUGIN))
        failed = list(dict.fromkeys(re.findall(r"^(?:FAILED|ERROR) (tests/\S+::\S+)", text, re.MULTILINE)))
        begun = re.findall(r"^(tests/\S+::\S+)", text, re.MULTILINE)
        if status < 0 and begun and begun[-1] not in failed:
            failed.append(begun[-1])
        return failed, len(re.findall(r"^tests/\S+ PASSED", text, re.MULTILINE))


def _tests_of(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Plain files of its tests, none of which leads out of the folder."""
    for member in tar:
        names = Path(member.name).parts
        if member.isfile() and names[1:2] == ("tests",) and ".." not in names and not member.name.startswith("/"):
            yield member


def suites() -> list[Suite]:
    """Those that can run here, each with its control. Skipped: there is none."""
    found: list[Suite] = [CPython("CPython's tests")] if machine.has_cpython_tests() else []
    uvloop = Uvloop("uvloop's tests")
    try:
        uvloop.install()
        found.append(uvloop)
    except parts.Skipped as skip:
        say(str(skip))
    if not found:
        raise parts.Skipped("no other suite is to be had")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a command in the background; tests of Ctrl-C inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    mutants_extension.put_together()
    for suite in found:
        suite.make_control()
    return found


def compare(seconds: float | None = None) -> str:
    """Tries the mutants on each suite: all, or in the order of the day as many as the time allows."""
    chosen = mutants.load(mutants_extension.PATTERN)
    ends = None if seconds is None else time.monotonic() + seconds
    if ends is not None:
        random.Random(datetime.date.today().toordinal()).shuffle(chosen)
    with steps.locked(mutants_extension.COPY.name):
        mutants_extension.COPY.make()
        compared, tried = suites(), 0
        seen = dict.fromkeys([suite.name for suite in compared], 0)
        for mutant in chosen:
            if ends is not None and time.monotonic() > ends:
                break
            try:
                with mutants_extension.COPY.planted(mutant):
                    mutants_extension.put_together()
                    by = {suite.name: suite.sees() for suite in compared}
            except timing.OutOfTime:
                break
            tried += 1
            seen = {name: count + bool(by[name]) for name, count in seen.items()}
            say(f"mutant {mutant.id}: " + "; ".join(f"{name}: {test or 'not seen'}" for name, test in by.items()))
    if tried == 0:
        raise parts.Skipped("the time was over before the first was tried")
    return f"of {tried} of {len(chosen)} mutants see " + ", ".join(f"{name} {count}" for name, count in seen.items())
