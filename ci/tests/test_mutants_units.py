"""A mutant counts as found by a unit test only when the test ended, and not well."""

from __future__ import annotations

import subprocess

import mutants_units
import pytest
from steps import ROOT, Stop

COPY = mutants_units.mutants.Copy("mutants-units", (), ())
LEAK = "3 passed, 0 failed\n==1==ERROR: LeakSanitizer: leaks\nSUMMARY: AddressSanitizer: 8 byte(s) leaked\n"
CHECK = "loop/tests/test_heap.c:7: CHECK(count == 1) failed\nFAILED ordered\n2 passed, 1 failed\n"


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (0, "3 passed, 0 failed\n", None),
        (1, CHECK, "loop/tests/test_heap.c:7: CHECK(count == 1) failed"),
        (23, LEAK, "SUMMARY: AddressSanitizer: 8 byte(s) leaked"),
        (-11, "", "status -11"),
    ],
)
def test_what_a_test_says(monkeypatch, status, text, said):
    done = subprocess.CompletedProcess([], status, text, "")
    monkeypatch.setattr(mutants_units.subprocess, "run", lambda *argv, **options: done)
    assert mutants_units.run(COPY, "rl_test_heap") == said


def test_a_hang_is_no_verdict(monkeypatch):
    def run(argv, **options):
        raise subprocess.TimeoutExpired(argv, options["timeout"])

    monkeypatch.setattr(mutants_units.subprocess, "run", run)
    with pytest.raises(Stop, match="more than"):
        mutants_units.run(COPY, "rl_test_heap")


def test_killers_are_tests():
    """Every unit test that a mutant names is in loop/tests."""
    for mutant in mutants_units.load():
        assert (ROOT / "loop" / "tests" / f"{mutant.killer.removeprefix('rl_')}.c").exists(), mutant.id
