"""A mutant counts as killed only when its text stood once and its own rule, or its own target, spoke."""

from __future__ import annotations

import dataclasses

import fuzzing
import mutants
import pytest
from steps import Stop

MUTANT = mutants.Mutant("eager", "core/a.c", "TIMER-1", "a < b", "a <= b", "story")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of loop/ with one file, which always compiles."""
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.c").write_text("return a < b;\n")
    monkeypatch.setattr(mutants, "COPY", tmp_path)
    monkeypatch.setattr(mutants, "compile_copy", lambda target: None)
    return tmp_path / "core" / "a.c"


def answers(monkeypatch, *failures):
    """first_failure gives these, one a call, then None."""
    left = list(failures)
    monkeypatch.setattr(mutants, "first_failure", lambda seed, count: left.pop(0) if left else None)


def test_killed_and_taken_back(copy, monkeypatch):
    seen = []
    monkeypatch.setattr(mutants, "hunt", lambda rule: seen.append(copy.read_text()) or "TIMER-1 at program 7")
    assert mutants.kill(MUTANT) == "TIMER-1 at program 7"
    assert seen == ["return a <= b;\n"]
    assert copy.read_text() == "return a < b;\n"


def test_survivor(copy, monkeypatch):
    answers(monkeypatch)
    with pytest.raises(Stop, match="survived"):
        mutants.kill(MUTANT)
    assert copy.read_text() == "return a < b;\n"


@pytest.mark.parametrize("text", ["return b;\n", "a < b; a < b;\n"])
def test_text_that_does_not_stand_once(copy, text):
    copy.write_text(text)
    with pytest.raises(Stop, match="not once"):
        mutants.kill(MUTANT)


def test_hunt_goes_on_until_the_named_rule_speaks(monkeypatch):
    answers(monkeypatch, (3, {"SOON-1"}), (9, {"SOON-1", "TIMER-1"}))
    assert mutants.hunt("TIMER-1") == "TIMER-1 at program 9"


def test_only_other_rules_spoke(monkeypatch):
    answers(monkeypatch, (3, {"SOON-1"}), (4, {"HANG"}))
    with pytest.raises(Stop, match="by HANG, SOON-1, not by TIMER-1"):
        mutants.hunt("TIMER-1")


def test_a_target_may_be_the_killer(copy, monkeypatch):
    said = {"fuzz_timers": "seed 4: CRASH\n"}
    monkeypatch.setattr(mutants, "run_random", lambda target, *options: said[target])
    mutant = dataclasses.replace(MUTANT, rule="", killer="fuzz_timers")
    assert mutants.kill(mutant) == "fuzz_timers at input 4"


def test_a_mutant_may_survive_its_target(copy, monkeypatch):
    monkeypatch.setattr(mutants, "run_random", lambda target, *options: "")
    with pytest.raises(Stop, match="inputs of fuzz_timers"):
        mutants.kill(dataclasses.replace(MUTANT, rule="", killer="fuzz_timers"))


def test_every_mutant_of_the_tree_is_whole():
    for mutant in mutants.load():
        assert mutant.old != mutant.new
        assert mutant.story
        assert bool(mutant.rule) == (mutant.killer == mutants.PROGRAM_TARGET)
        assert mutant.killer in fuzzing.targets()
