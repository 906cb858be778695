"""Operator mutants that survive are told, known ones are not, and too many are a failure."""

from __future__ import annotations

import contextlib

import operators
import pytest
from steps import Stop

CHANGES = [operators.Change("flow.c", number, f"a < {number};", f"a <= {number};") for number in range(20)]


def hunt(monkeypatch, survivors, known=frozenset()):
    """A hunt of CHANGES of which those with these line numbers survive."""
    monkeypatch.setattr(operators, "install", lambda: None)
    monkeypatch.setattr(operators.steps, "locked", lambda name: contextlib.nullcontext())
    monkeypatch.setattr(operators.mutants.Copy, "make", lambda self: None)
    monkeypatch.setattr(operators, "TARGETS", {"flow": "fuzz_chunks"})
    monkeypatch.setattr(operators, "changes_of", lambda path, program: list(CHANGES))
    monkeypatch.setattr(operators, "triaged", lambda: {CHANGES[number].key for number in known})
    monkeypatch.setattr(operators, "outcome", lambda change: "survived" if change.line in survivors else "killed")
    return operators.hunt(60.0)


def test_unknown_survivors_are_told(monkeypatch, capsys):
    assert "2 not yet in" in hunt(monkeypatch, {3, 4, 5}, known={5})
    said = capsys.readouterr().out
    assert "a < 3;  =>  a <= 3;" in said
    assert "a < 5;" not in said


def test_too_many_survivors(monkeypatch):
    with pytest.raises(Stop, match="fewer than 80 %"):
        hunt(monkeypatch, set(range(10)))


def test_all_known_or_killed(monkeypatch):
    assert "not yet" not in hunt(monkeypatch, {5, 6}, known={5, 6})


def test_entries_of_the_tree_have_a_reason():
    entries = operators.Tree(operators.ROOT).toml(operators.TRIAGED)["survivor"]
    assert all(entry["why"] for entry in entries)
    assert len(operators.triaged()) == len(entries)
    core = operators.ROOT / "loop" / "core"
    gone = [entry["old"] for entry in entries if entry["old"] not in (core / entry["file"]).read_text("utf-8")]
    assert gone == []


def test_same_machine_code(tmp_path, monkeypatch):
    """Of an unsigned number, above 0 is not 0; what is no C has no code."""
    monkeypatch.setattr(operators, "BUILD", tmp_path)
    path = tmp_path / "a.c"
    codes = []
    for test in ("> 0", "!= 0", "> 1", "="):
        path.write_text(f"int is_it(unsigned a) {{ return a {test}; }}\n")
        codes.append(operators.machine_code(path))
    assert codes[0] == codes[1] != codes[2]
    assert codes[3] == b""
