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
