"""The time to kill is the median over seeds, each of which begins with other inputs; too long a median is a failure."""

from __future__ import annotations

import contextlib

import mutants
import mutants_time
import pytest
from steps import Stop

MUTANT = mutants.Mutant("eager", "core/a.c", "a", "b", "story", "TIMER-1")


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setattr(mutants.Copy, "planted", lambda self, mutant, *targets: contextlib.nullcontext())
    monkeypatch.setattr(mutants_time.mutants, "in_corpus", lambda rule, driver: "TIMER-1 at seeds/a.loop")


def test_median_of_seeds(planted, monkeypatch):
    """Each seed is another first program."""
    hunts = {1: 3.0, 1_000_001: 1.0, 2_000_001: 2.0}
    monkeypatch.setattr(mutants_time, "hunt_s", lambda mutant, first: (hunts[first], "programs"))
    assert mutants_time.measure(MUTANT, 3) == 2.0


def test_corpus_when_programs_find_nothing(planted, monkeypatch):
    monkeypatch.setattr(mutants_time.mutants, "hunt_random", lambda rule, driver, first: None)
    assert mutants_time.hunt_s(MUTANT, 1)[1] == "programs and the corpus"
    monkeypatch.setattr(mutants_time.mutants, "in_corpus", lambda rule, driver: None)
    with pytest.raises(Stop, match="eager: not found"):
        mutants_time.hunt_s(MUTANT, 1)


def test_too_slow(monkeypatch):
    monkeypatch.setattr(mutants_time.mutants, "load", lambda pattern: [MUTANT])
    monkeypatch.setattr(mutants_time.mutants, "check_unchanged", lambda killers: None)
    monkeypatch.setattr(mutants_time.steps, "locked", lambda name: contextlib.nullcontext())
    monkeypatch.setattr(mutants.Copy, "make", lambda self: None)
    monkeypatch.setattr(mutants_time, "measure", lambda mutant, seeds: 11.0)
    with pytest.raises(Stop, match="above 10 s: eager"):
        mutants_time.measure_all(5)
