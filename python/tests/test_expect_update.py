# Updating an expect file adds what is new, takes out what is stale, and leaves alone what a person wrote.
from __future__ import annotations

from pathlib import Path

import pytest
from loopcheck.expect import Expectations, ExpectError
from loopcheck.expect_update import UNEXPLAINED, Book, Seen, Update
from loopcheck.verdict import Ruling

PASS, FAIL, HANG = (Ruling(verdict, "FD-1", "a line\nand more") for verdict in ("PASS", "FAIL", "HANG"))
TOP = "# What it breaks.\n\n"


def entry(case: str, verdict: str = '"FAIL"', rule: str = "FD-1", more: str = "") -> str:
    return f'[[deviation]]\ncase = "{case}"\nverdict = {verdict}\nrule = "{rule}"\nreason = "why {case}"\n{more}'


def update(path: Path, text: str, seen: Seen, *, is_complete: bool = True, under: str = "") -> str:
    """The new text of a file, after which nothing is left to change."""
    for _ in range(2):
        file = path / "loop.toml"
        file.write_text(text)
        known = Expectations.load(file)
        known.python, known.loop_version, known.under = "3.13.0", "1.0", frozenset([under] if under else [])
        book = Book.read(text, known.deviations)
        changes = Update(book, known, seen, is_complete=is_complete).carry_out()
        if text == book.text():
            assert not changes
            return text
        assert changes
        text = book.text()
    raise AssertionError("a second update changed the file once more")


def reads(path: Path) -> list[tuple[str, tuple[str, ...], str]]:
    loaded = Expectations.load(path / "loop.toml").deviations
    return [(deviation.case, deviation.verdicts, deviation.reason) for deviation in loaded]


def test_nothing_to_change(tmp_path: Path) -> None:
    text = (
        TOP + entry("t.py::a", more='link = "https://x"  # good\n') + "\n# Others.\n\n\n" + entry("t.py::b") + "# end"
    )
    file = text + "\n"
    assert update(tmp_path, file, {"t.py::a": [FAIL], "t.py::b": [FAIL]}) == file


def test_new_deviation(tmp_path: Path) -> None:
    """It comes behind the others of its file of cases, and says what was seen first."""
    text = TOP + entry("t.py::a") + "\n" + entry("u.py::a")
    new = entry("t.py::b", '"HANG"').replace("why t.py::b", f"{UNEXPLAINED}: a line")
    expected = TOP + entry("t.py::a") + "\n" + new + "\n" + entry("u.py::a")
    assert update(tmp_path, text, {"t.py::a": [FAIL], "t.py::b": [HANG] * 3, "u.py::a": [FAIL]}) == expected


def test_first_deviation(tmp_path: Path) -> None:
    seen = {"t.py::a": [Ruling("FAIL", "FD-1", 'a "quote" \\ \x7f\x1b \udc80')], "t.py::b": [PASS]}
    assert update(tmp_path, TOP.rstrip("\n"), seen).startswith(TOP + "[[deviation]]\n")
    assert reads(tmp_path) == [("t.py::a", ("FAIL",), f'{UNEXPLAINED}: a "quote" \\ \x7f\x1b \\udc80')]


def test_stale_entry(tmp_path: Path) -> None:
    """It goes with the comment right above it; the words at the top and of a section stay."""
    text = TOP + entry("t.py::a") + "\n# Section.\n\n# Its own.\n" + entry("t.py::b") + "\n" + entry("t.py::c")
    seen = {"t.py::a": [PASS] * 3, "t.py::b": [PASS] * 3, "t.py::c": [FAIL]}
    assert update(tmp_path, text, seen) == "# What it breaks.\n\n# Section.\n\n" + entry("t.py::c")
    assert update(tmp_path, text, seen | {"t.py::c": [PASS]}) == "# What it breaks.\n\n# Section.\n"


def test_stale_first_entry(tmp_path: Path) -> None:
    text = entry("t.py::a") + "\n" + entry("t.py::b")
    assert update(tmp_path, text, {"t.py::a": [PASS], "t.py::b": [FAIL]}) == entry("t.py::b")


@pytest.mark.parametrize(("is_complete", "left"), [(True, ""), (False, entry("t.py::gone"))])
def test_entry_about_no_case(tmp_path: Path, is_complete: bool, left: str) -> None:
    """Only a complete run can tell that there is none."""
    assert update(tmp_path, entry("t.py::gone"), {"t.py::a": [PASS]}, is_complete=is_complete) == left


def test_reason_is_kept_when_the_verdict_changes(tmp_path: Path) -> None:
    update(tmp_path, entry("t.py::a"), {"t.py::a": [HANG] * 3})
    assert reads(tmp_path) == [("t.py::a", ("HANG",), "why t.py::a")]


def test_another_rule_is_another_story(tmp_path: Path) -> None:
    update(tmp_path, entry("t.py::a", rule="FD-2"), {"t.py::a": [FAIL]})
    assert reads(tmp_path) == [("t.py::a", ("FAIL",), f"{UNEXPLAINED}: a line")]


def test_flaky_case(tmp_path: Path) -> None:
    """A list of all that was seen, for a new entry and for one that was there."""
    seen = {"t.py::a": [FAIL, PASS, HANG], "t.py::b": [PASS, FAIL, PASS]}
    update(tmp_path, entry("t.py::a"), seen)
    assert [verdicts for _, verdicts, _ in reads(tmp_path)] == [("PASS", "FAIL", "HANG"), ("PASS", "FAIL")]


def test_flaky_entry_is_kept(tmp_path: Path) -> None:
    text = entry("t.py::a", '["PASS", "FAIL"]')
    assert update(tmp_path, text, {"t.py::a": [PASS]}) == text


def test_wildcard(tmp_path: Path) -> None:
    """One that still holds somewhere is kept; what it does not cover is added."""
    text = entry("t.py::*")
    seen = {"t.py::a": [FAIL], "t.py::b": [PASS], "t.py::c": [HANG]}
    update(tmp_path, text, seen)
    assert [verdicts for _, verdicts, _ in reads(tmp_path)] == [("PASS", "FAIL"), ("HANG",)]
    assert reads(tmp_path)[0][2] == "why t.py::*"
    assert update(tmp_path, text, {"t.py::a": [PASS], "t.py::b": [PASS]}) == ""


def test_entry_of_any_rule(tmp_path: Path) -> None:
    """It covers a hang of whichever rule, and goes when the case passes."""
    text = entry("t.py::a", '"HANG"', "*")
    assert update(tmp_path, text, {"t.py::a": [HANG]}) == text
    assert update(tmp_path, text, {"t.py::a": [PASS]}) == ""


@pytest.mark.parametrize("more", ['python = "<3.13"\n', 'loop_version = ">=2"\n', 'under = "faults"\n'])
def test_entry_of_other_runs(tmp_path: Path, more: str) -> None:
    """What this run is not evidence of stays."""
    text = entry("t.py::a", more=more)
    assert update(tmp_path, text, {"t.py::a": [PASS]}) == text


def test_run_under_something(tmp_path: Path) -> None:
    """It adds entries of its own, and is no evidence against those of a plain run."""
    text = entry("t.py::a")
    new = update(tmp_path, text, {"t.py::a": [PASS], "t.py::b": [FAIL]}, under="faults")
    assert new.startswith(text) and new.endswith('a line"\nunder = "faults"\n')


@pytest.mark.parametrize("text", ["  " + entry("t.py::a"), entry("t.py::a").replace("verdict =", "  verdict =")])
def test_layout_that_cannot_be_edited(tmp_path: Path, text: str) -> None:
    with pytest.raises(ExpectError, match="cannot be edited"):
        update(tmp_path, text, {"t.py::a": [HANG]})
