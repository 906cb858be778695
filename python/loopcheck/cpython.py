"""`loopcheck cpython`: CPython's own tests of asyncio as a check of any loop, with asyncio as the control.

A test counts only if a loop of the factory ran in it. Most of the package is about parts of asyncio that no
other loop has; which tests those are is measured: what runs no loop, on the control neither, is not counted.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from loopcheck import cpython_tests
from loopcheck.check import Check, ControlRun, NothingSelected, Row, expectations_for
from loopcheck.expect import Expectations, holds
from loopcheck.load import CONTROL, Case, KitFault, Spec
from loopcheck.rules import Rule, Rules
from loopcheck.supervisor import Server
from loopcheck.verdict import Facts, Ruling, clean, decide_early

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = cpython_tests.PACKAGE
PYTHON = platform.python_version()
EXPECT_FOLDER = "cpython/"  # of conformance/expect
LISTS = Path(__file__).with_name("cpython.toml")
UNFIT = ("FAIL", "HANG", "SPIN", "MISSING")  # what a test that no loop has to pass may end with


@dataclass(frozen=True)
class Entry:
    """One entry of cpython.toml: a pattern of test ids, and why they are on that list."""

    test: str
    reason: str
    python: str = ""

    def is_about(self, test_id: str, python: str) -> bool:
        """Is it about this test, on this Python?"""
        return fnmatchcase(test_id, self.test) and holds(self.python, python)


@dataclass(frozen=True)
class Lists:
    """What cpython.toml says of the tests."""

    inapplicable: tuple[Entry, ...]
    left_out: tuple[Entry, ...]
    quick: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> Lists:
        """Reads the file. Raises KitFault."""
        try:
            document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
            entries = {name: tuple(Entry(**entry) for entry in document[name]) for name in ("inapplicable", "left_out")}
            return cls(quick=tuple(document["quick"]["tests"]), **entries)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KitFault(f"{path} cannot be read: {type(error).__name__}: {error}") from error


def rules_of(package: str) -> Rules:
    """One rule a module of tests. Raises Unusable when this interpreter has no such package."""
    names = cpython_tests.module_names(package)
    return Rules({name: Rule(name, name, "MUST", f"CPython's tests in {name}.py pass.") for name in names})


@contextlib.contextmanager
def scratch_folder() -> Iterator[None]:
    """Servers that are started meanwhile, and their tests, keep their temporary files in a folder that goes."""
    had = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="loopcheck-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            os.environ.pop("TMPDIR")
            if had is not None:
                os.environ["TMPDIR"] = had


class SuiteCheck(Check):
    """A check whose cases are the tests of a package."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lists = Lists.load(LISTS)
        self._unproven: list[Row] = []  # what passed without a run of the loop, until the control is known
        self._left_out = 0

    def _selected(self, server: Server) -> list[Case]:
        cases = super()._selected(server)
        if self.plan.is_quick:
            cases = [case for case in cases if any(fnmatchcase(case.id, pattern) for pattern in self.lists.quick)]
        chosen = [case for case in cases if not any(entry.is_about(case.id, PYTHON) for entry in self.lists.left_out)]
        self._left_out = len(cases) - len(chosen)
        if not chosen:
            raise NothingSelected("no test is selected that says something about the loop")
        return chosen

    def _expectations_for(self, spec: Spec, choice: str) -> Expectations:
        return expectations_for(spec, choice, EXPECT_FOLDER)

    def _again(self, loop: str, case_id: str) -> str:
        return f"loopcheck cpython {shlex.quote(loop)} -k {shlex.quote(case_id)}"

    def _decide(self, spec: Spec, facts: Facts) -> Ruling:
        ruling = decide_early(facts) or decide_test(facts)
        if spec.is_control or ruling.verdict not in UNFIT:
            return ruling
        for entry in self.lists.inapplicable:
            if entry.is_about(facts.case.id, PYTHON):
                return Ruling("INAPPLICABLE", ruling.rule, f"{entry.reason} ({ruling.verdict}: {ruling.detail})")
        return ruling

    def _keep(self, row: Row) -> None:
        if row.verdict == "VACUOUS" and not self._is_plain(row):
            self._unproven.append(row)
            self.watcher.done(replace(row, is_unexpected=False))
        else:
            super()._keep(row)

    def _compare_with_control(self) -> None:
        """Tests that ran no loop are tried on the control too, and count only where one ran there."""
        pending = [row for row in self._unproven if row.loop != CONTROL]
        self.results.rows += pending
        try:
            super()._compare_with_control()
        finally:
            ran = {test_id for test_id, run in self._control_runs.items() if run.verdict != "VACUOUS"}
            dropped = {id(row) for row in pending if row.case not in ran}
            self.results.rows = [row for row in self.results.rows if id(row) not in dropped]
        self._note_aside({test_id for test_id in self._control_runs if test_id not in ran})

    def _run_control(self, case_ids: list[str], shipped: Expectations) -> dict[str, Row]:
        failed = super()._run_control(case_ids, shipped)
        return {test_id: row for test_id, row in failed.items() if row.verdict != "VACUOUS"}

    def _beside_control(self, row: Row) -> Row:
        run = self._control_runs.get(row.case)
        if row.verdict == "PASS" or row.loop == CONTROL or run is None:
            return row
        return replace(row, control=ControlRun(run.verdict, ""))

    def _note_aside(self, idle: set[str]) -> None:
        if self._left_out:
            self.results.notes.append(f"left out: {self._left_out} tests that repeat others, or need them")
        if idle:
            modules = Counter(test_id.partition(".py::")[0] for test_id in idle)
            names = ", ".join(f"{name} {count}" for name, count in sorted(modules.items()))
            self.results.notes.append(f"not counted: {len(idle)} tests that run no loop of a factory ({names})")


def decide_test(facts: Facts) -> Ruling:
    """The verdict on a test that ended in an orderly way. Processes may outlive it: some tests leave theirs behind."""
    outcome, own = facts.outcome or {}, facts.case.rule
    kind, detail = outcome["kind"], clean(str(outcome.get("detail", "")))
    if kind == "missing":
        return Ruling("MISSING", own, detail)
    if kind in ("broken", "error"):
        return Ruling("FAIL", own, detail)
    if outcome["observations"] <= 0:
        why = f"it was skipped: {detail}" if kind == "skip" else "no loop of this factory ran in it"
        return Ruling("VACUOUS", own, why)
    if kind == "skip":
        return Ruling("SKIP", own, detail)
    return Ruling("PASS", own, detail)
