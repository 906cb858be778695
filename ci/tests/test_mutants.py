"""A mutant counts as killed only when its text stood once and its own rule, or its own target, spoke."""

from __future__ import annotations

import dataclasses
import subprocess

import fuzzing
import mutants
import pytest
from steps import ROOT, Stop

MUTANT = mutants.Mutant("eager", "core/a.c", "a < b", "a <= b", "story", "TIMER-1")
COPY = mutants.Copy("mutants", ("replay",), ())


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of loop/ with one file, which always compiles."""
    monkeypatch.setattr(mutants, "BUILD", tmp_path)
    monkeypatch.setattr(mutants.Copy, "compile", lambda self, *targets: None)
    path = COPY.loop / "core" / "a.c"
    path.parent.mkdir(parents=True)
    path.write_text("return a < b;\n")
    return path


def by_rule(mutant):
    return mutants.hunt(mutant.rule, mutant.driver)


def answers(monkeypatch, *failures):
    """first_failure gives these, one a call, then None; the corpus finds nothing."""
    left = list(failures)
    monkeypatch.setattr(mutants, "in_corpus", lambda rule, driver: None)
    monkeypatch.setattr(mutants, "first_failure", lambda seed, count, driver: left.pop(0) if left else None)


def test_killed_and_taken_back(copy, monkeypatch):
    seen = []
    monkeypatch.setattr(mutants, "hunt", lambda rule, driver: seen.append(copy.read_text()) or "TIMER-1 at program 7")
    assert mutants.kill(COPY, MUTANT, by_rule) == "TIMER-1 at program 7"
    assert seen == ["return a <= b;\n"]
    assert copy.read_text() == "return a < b;\n"


def test_survivor(copy, monkeypatch):
    answers(monkeypatch)
    with pytest.raises(Stop, match="survived"):
        mutants.kill(COPY, MUTANT, by_rule)
    assert copy.read_text() == "return a < b;\n"


@pytest.mark.parametrize("text", ["return b;\n", "a < b; a < b;\n"])
def test_text_that_does_not_stand_once(copy, text):
    copy.write_text(text)
    with pytest.raises(Stop, match="not once"):
        mutants.kill(COPY, MUTANT, by_rule)


def test_hunt_goes_on_until_the_named_rule_speaks(monkeypatch):
    answers(monkeypatch, (3, {"SOON-1"}), (9, {"SOON-1", "TIMER-1"}))
    assert mutants.hunt("TIMER-1", "refloop_sim") == "TIMER-1 at program 9"


@pytest.mark.parametrize(("rule", "found"), [("TIMER-1", "seeds/timers/a.loop"), ("TIMER-11", None), ("SOON-1", None)])
def test_corpus_hunts_first(monkeypatch, rule, found):
    said = "corpora/seeds/timers/a.loop: TIMER-1 t1 fired early\n1 passed, 1 failed\n"
    done = subprocess.CompletedProcess([], 1, stdout=said, stderr="")
    monkeypatch.setattr(mutants.subprocess, "run", lambda *argv, **options: done)
    assert mutants.in_corpus(rule, "refloop_sim") == found


def test_only_other_rules_spoke(monkeypatch):
    answers(monkeypatch, (3, {"SOON-1"}), (4, {"HANG"}))
    with pytest.raises(Stop, match="by HANG, SOON-1, not by TIMER-1"):
        mutants.hunt("TIMER-1", "refloop_sim")


def test_a_target_may_be_the_killer(copy, monkeypatch):
    said = {"fuzz_timers": "seed 4: CRASH\n"}
    monkeypatch.setattr(mutants, "run_random", lambda target, *options: said[target])
    mutant = dataclasses.replace(MUTANT, rule="", killer="fuzz_timers")
    assert mutants.kill(COPY, mutant, mutants.find) == "fuzz_timers at input 4"


def test_a_mutant_may_survive_its_target(copy, monkeypatch):
    monkeypatch.setattr(mutants, "run_random", lambda target, *options: "")
    with pytest.raises(Stop, match="survived"):
        mutants.kill(COPY, dataclasses.replace(MUTANT, rule="", killer="fuzz_timers"), mutants.find)


@pytest.mark.parametrize("pattern", ["fuzz/mutants/*.toml", "sanitizers/races.toml"])
def test_every_mutant_of_the_tree_is_whole(pattern):
    for mutant in mutants.load(pattern):
        path = ROOT / (mutant.file if mutant.file.startswith("contract/") else f"loop/{mutant.file}")
        assert path.read_text(encoding="utf-8").count(mutant.old) == 1, mutant.id
        assert mutant.old != mutant.new
        assert mutant.story
        by_target = mutant.killer != mutants.PROGRAM_TARGET
        assert bool(mutant.rule) + bool(mutant.shown_as) + bool(mutant.case) + by_target == 1
        assert mutant.killer in fuzzing.targets() or mutant.killer.startswith(mutants.UNIT_TEST)


def test_no_mutant():
    with pytest.raises(Stop, match="holds no mutant"):
        mutants.load("no/such/*.toml")
