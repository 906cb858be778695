"""A suite sees a mutant only by a test that passes on the unchanged extension and fails again, alone, each time."""

from __future__ import annotations

import contextlib
import sys

import mutants
import mutants_score
import parts
import pytest
import timing

MUTANT = mutants.Mutant("eager", "core/a.c", "a", "b", "story", case="test_a.py::test_a")


class Planned(mutants_score.Suite):
    """A suite whose runs end as planned: first that of all tests, then those of one."""

    def __init__(self, *runs, left_out=()):
        super().__init__("planned", left_out=set(left_out))
        self.runs = list(runs)

    def failures(self, limit_s, test="", *, is_until_first=True):
        return self.runs.pop(0), 3


@pytest.mark.parametrize(
    ("runs", "left_out", "seen"),
    [
        ([["a"], ["a"], ["a"]], (), "a"),
        ([["a"], ["a"], []], (), ""),
        ([["a"]], ("a",), ""),
        ([[]], (), ""),
    ],
)
def test_seen(runs, left_out, seen):
    assert Planned(*runs, left_out=left_out).sees() == seen


def test_control_leaves_out_what_fails():
    suite = Planned(["b"])
    suite.make_control()
    assert (suite.left_out, suite.tests_count) == ({"b"}, 3)


def test_counts(monkeypatch):
    """Two mutants, of which the suite sees one."""
    monkeypatch.setattr(mutants_score, "suites", lambda: [Planned(["a"], ["a"], ["a"], [])])
    monkeypatch.setattr(mutants_score.mutants, "load", lambda pattern: [MUTANT, MUTANT])
    monkeypatch.setattr(mutants_score.mutants_extension, "put_together", lambda: None)
    monkeypatch.setattr(mutants_score.steps, "locked", lambda name: contextlib.nullcontext())
    monkeypatch.setattr(mutants.Copy, "make", lambda self: None)
    monkeypatch.setattr(mutants.Copy, "planted", lambda self, mutant: contextlib.nullcontext())
    assert mutants_score.compare() == "of 2 of 2 mutants see planned 1"
    with pytest.raises(parts.Skipped, match="the time was over"):
        mutants_score.compare(-1.0)


def test_command_is_ended_with_its_part():
    """A suite that runs into the end of its part is cut off, which is no failure of a test."""
    with timing.within(timing.GRACE_S + 0.3), pytest.raises(timing.OutOfTime):
        mutants_score.run([sys.executable, "-c", "import time; time.sleep(3600)"], limit_s=900)
    assert mutants_score.run([sys.executable, "-c", "print(1)"], limit_s=60) == (0, "1\n")
