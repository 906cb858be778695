"""The terminal shows whole what is unexpected, and by its reasons what is expected: nobody overlooks the one."""

from __future__ import annotations

import io
from dataclasses import replace

from loopcheck.check import Results, Row
from loopcheck.expect import Deviation
from loopcheck.table import DETAIL_CHARS_MAX, KNOWN_WHOLE_MAX, print_results
from rich.console import Console

ROW = Row("mine:Loop", "test_a.py::test_0", "SOON-5", "scheduling", "MUST", "FAIL", "lost", 0.1, again="the command")


def printed(*rows: Row) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_results(console, Results(rows=list(rows)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def known(number: int, reason: str) -> Row:
    deviation = Deviation(f"test_a.py::test_{number}", ("FAIL",), "SOON-5", reason)
    return replace(ROW, case=f"test_a.py::test_{number}", deviation=deviation)


def test_much_that_is_expected_is_told_once_for_each_reason() -> None:
    rows = [known(number, "it sleeps" if number % 2 else "it runs") for number in range(KNOWN_WHOLE_MAX + 1)]
    text = printed(*rows, replace(ROW, case="test_a.py::test_new", is_unexpected=True))
    assert text.count("it sleeps") == text.count("it runs") == 1
    assert "test_a.py::test_1, test_a.py::test_3, test_a.py::test_5, and 3 more" in text
    assert text.count("the command") == 1
    assert text.index("test_new") > text.index("and 3 more")


def test_a_little_that_is_expected_is_shown_whole() -> None:
    text = printed(*(known(number, "it sleeps") for number in range(KNOWN_WHOLE_MAX)))
    assert text.count("it sleeps") == text.count("the command") == KNOWN_WHOLE_MAX


def test_long_detail_keeps_its_beginning_and_its_end() -> None:
    text = printed(replace(ROW, detail="Traceback " + "x" * DETAIL_CHARS_MAX + " ValueError: no", is_unexpected=True))
    assert "Traceback" in text and "ValueError: no" in text and text.count("x") < DETAIL_CHARS_MAX
