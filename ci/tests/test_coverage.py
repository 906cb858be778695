"""A target that names a function and never calls it is found."""

from __future__ import annotations

import coverage
import fuzzing
import pytest
from steps import Stop

COUNTS = """Counters:
  rl_heap_push:
    Hash: 0x0000000000000018
    Counters: 1
    Function count: 7
  heap.c:meld:
    Hash: 0x0000000000000018
    Counters: 2
    Function count: 0
"""


def test_counts_are_read():
    assert coverage.COUNT.findall(COUNTS) == [("rl_heap_push", "7"), ("meld", "0")]


@pytest.mark.parametrize("ran", [{}, {"rl_heap_push": 0}])
def test_what_never_ran_is_named(monkeypatch, ran):
    monkeypatch.setattr(coverage, "profdata", lambda: None)
    monkeypatch.setattr(coverage, "named", lambda target: ["rl_heap_push"])
    monkeypatch.setattr(coverage, "counts", lambda target, tool: ran)
    with pytest.raises(Stop, match="names rl_heap_push and never calls it"):
        coverage.check("fuzz_timers")


@pytest.mark.parametrize("target", fuzzing.targets())
def test_every_target_names_functions(target):
    assert coverage.named(target)


@pytest.mark.parametrize(("covered", "is_enough"), [(95, True), (94, False)])
def test_too_few_lines_are_a_failure(monkeypatch, covered, is_enough):
    monkeypatch.setattr(coverage, "profdata", lambda: None)
    monkeypatch.setattr(coverage, "lines", lambda tool: {"loop/core/heap.c": (100, covered)})
    if is_enough:
        assert "95.0 %" in coverage.check_lines()
    else:
        with pytest.raises(Stop, match="below 95 %"):
            coverage.check_lines()
