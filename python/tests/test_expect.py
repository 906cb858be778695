# An expect file says exactly what a loop is known to break: what passes is stale, what differs is unexpected.
from __future__ import annotations

from pathlib import Path

import pytest
from loopcheck.expect import Expectations, ExpectError, holds
from loopcheck.verdict import Ruling

ENTRY = '[[deviation]]\ncase = "test_timers.py::test_x*"\nverdict = "FAIL"\nrule = "TIMER-1"\nreason = "whole ms"\n'
SHIPPED = Path(__file__).parents[2] / "conformance" / "expect"
CASE = "test_timers.py::test_x1"


def load(path: Path, text: str) -> Expectations:
    file = path / "loop.toml"
    file.write_text(text)
    return Expectations.load(file)


@pytest.mark.parametrize(
    ("case", "ruling", "verdict", "is_unexpected", "is_known"),
    [
        (CASE, Ruling("FAIL", "TIMER-1", "early"), "FAIL", False, True),
        (CASE, Ruling("FAIL", "TIMER-2", "order"), "FAIL", True, False),
        (CASE, Ruling("HANG", "TIMER-1", "hangs"), "HANG", True, False),
        (CASE, Ruling("PASS", "TIMER-1", ""), "STALE", True, True),
        (CASE, Ruling("SKIP", "TIMER-1", "no clock"), "SKIP", False, False),
        (CASE, Ruling("WARN", "TIMER-6", "ties"), "WARN", False, False),
        ("test_timers.py::test_y", Ruling("PASS", "TIMER-1", ""), "PASS", False, False),
        ("test_timers.py::test_y", Ruling("MISSING", "TIMER-1", ""), "MISSING", False, False),
        ("test_timers.py::test_y", Ruling("VACUOUS", "TIMER-1", ""), "VACUOUS", True, False),
    ],
)
def test_judge(tmp_path: Path, case: str, ruling: Ruling, verdict: str, is_unexpected: bool, is_known: bool) -> None:
    judged = load(tmp_path, ENTRY).judge(case, ruling)
    assert judged.ruling.verdict == verdict
    assert judged.is_unexpected == is_unexpected
    assert (judged.deviation is not None) == is_known


@pytest.mark.parametrize("file", sorted(SHIPPED.rglob("*.toml")), ids=lambda file: file.stem)
def test_shipped_file_is_read(file: Path) -> None:
    """Each expect file of the project is one that the kit takes."""
    assert Expectations.load(file).deviations


def test_list_of_verdicts(tmp_path: Path) -> None:
    expectations = load(tmp_path, ENTRY.replace('"FAIL"', '["HANG", "SPIN"]'))
    assert not expectations.judge(CASE, Ruling("SPIN", "TIMER-1", "")).is_unexpected
    assert expectations.judge(CASE, Ruling("FAIL", "TIMER-1", "")).is_unexpected


def test_crash_of_any_rule(tmp_path: Path) -> None:
    """A crash says nothing of a rule: an entry may leave it open, for crashes alone."""
    expectations = load(tmp_path, ENTRY.replace("TIMER-1", "*").replace('"FAIL"', '["PASS", "CRASH"]'))
    for rule in ("TIMER-1", "STREAM-1"):
        assert not expectations.judge(CASE, Ruling("CRASH", rule, "")).is_unexpected
        assert expectations.judge(CASE, Ruling("FAIL", rule, "")).is_unexpected


def test_entry_about_no_case_is_unused(tmp_path: Path) -> None:
    expectations = load(tmp_path, ENTRY)
    assert len(expectations.unused()) == 1
    expectations.judge(CASE, Ruling("FAIL", "TIMER-1", ""))
    assert expectations.unused() == []


@pytest.mark.parametrize(
    ("python", "loop_version", "is_expected"),
    [("3.12.1", "0.21.0", True), ("3.11.9", "0.21", False), ("3.13", "0.22.1", False), ("3.12", "", False)],
)
def test_versions(tmp_path: Path, python: str, loop_version: str, is_expected: bool) -> None:
    expectations = load(tmp_path, ENTRY + 'python = ">=3.12"\nloop_version = ">=0.20,<0.22"\n')
    expectations.python, expectations.loop_version = python, loop_version
    assert expectations.judge(CASE, Ruling("FAIL", "TIMER-1", "")).is_unexpected != is_expected
    assert (expectations.judge(CASE, Ruling("PASS", "TIMER-1", "")).ruling.verdict == "STALE") == is_expected


@pytest.mark.parametrize(
    ("conditions", "version", "expected"),
    [
        ("", "", True),
        (">=3.12", "3.12", True),
        (">=3.12", "3.9", False),
        ("==0.22", "0.22.0", True),
        ("!=0.22.1", "0.22.1", False),
        (">0.22,<1", "0.23.0b2", True),
        ("<=3", "3.0.1", False),
        (">=3", "unknown", False),
    ],
)
def test_holds(conditions: str, version: str, expected: bool) -> None:
    assert holds(conditions, version) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[[deviation", "is not TOML"),
        ("deviation = 3", "nothing but"),
        ("[[deviations]]\ncase = 'x'", "nothing but [[deviation]] entries is known: deviations"),
        ("[[deviation]]\ncase = 'x'", "the deviation lacks verdict, rule, reason"),
        (ENTRY.replace('"whole ms"', '""'), "lacks reason"),
        (ENTRY.replace("FAIL", "FIAL"), "'FIAL'"),
        (ENTRY.replace("FAIL", "STALE"), "'STALE'"),
        (ENTRY + ENTRY + "because = 1", "the deviation has unknown keys: because"),
        (ENTRY + "python = '3.12'", "is not like"),
        (ENTRY.replace("TIMER-1", "*"), "for CRASH and HANG alone"),
    ],
)
def test_bad_file(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ExpectError) as caught:
        load(tmp_path, text)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ExpectError, match="No such file"):
        Expectations.load(tmp_path / "nosuch.toml")


def test_entry_for_a_run_under_something(tmp_path: Path) -> None:
    """It is about nothing else: neither expected nor stale nor unused."""
    expectations = load(tmp_path, ENTRY + 'under = "virtual-time"\n')
    assert expectations.judge(CASE, Ruling("FAIL", "TIMER-1", "")).is_unexpected
    assert not expectations.judge(CASE, Ruling("PASS", "TIMER-1", "")).is_unexpected
    assert expectations.unused() == []
    expectations.under = frozenset(["virtual-time"])
    assert not expectations.judge(CASE, Ruling("FAIL", "TIMER-1", "")).is_unexpected
    with pytest.raises(ExpectError, match="neither virtual-time nor faults"):
        load(tmp_path, ENTRY + 'under = "water"\n')


def test_bound_to_hang(tmp_path: Path) -> None:
    """Only a case of which nothing but a hang is expected gets less time for it."""
    assert not load(tmp_path, ENTRY).is_bound_to_hang(CASE)
    for verdicts, is_bound in (('"HANG"', True), ('["HANG", "SPIN"]', True), ('["PASS", "HANG"]', False)):
        assert load(tmp_path, ENTRY.replace('"FAIL"', verdicts)).is_bound_to_hang(CASE) is is_bound
        assert not load(tmp_path, ENTRY.replace('"FAIL"', verdicts)).is_bound_to_hang("test_timers.py::test_y")
