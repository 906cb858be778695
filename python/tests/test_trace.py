# A trace that is kept is short, says what was cut, and shows where a rule was broken; so does the control's beside it.
from __future__ import annotations

import pytest
from loopcheck.trace import RECORDS_MAX, Place, excerpt, excerpt_at, shrunk_program


def trace(*sizes: int) -> str:
    """The trace of several programs of so many records each."""
    lines: list[str] = []
    for program, size in enumerate(sizes):
        for record in range(size):
            what = f"open program {program}" if record == 0 else f"record {record} of {program}"
            lines.append(f"{len(lines) + 1:5}   0.000000 ms  thread 0  {what}")
    return "\n".join(lines) + "\n" if lines else ""


def broken(*records: int) -> dict[str, object]:
    return {"violations": [("SOON-1", "it is broken", record, 1) for record in records]}


def test_short_trace_is_whole() -> None:
    assert excerpt(trace(5), {}) == (trace(5), Place(0, 4))
    assert excerpt("", {}) == ("", Place())
    assert excerpt_at("", Place(3, 7)) == ""


def test_long_trace_ends_with_what_came_last() -> None:
    lines = excerpt(trace(1000), {})[0].splitlines()
    assert lines[0] == f"[{1000 - RECORDS_MAX} records before are left out]"
    assert lines[-1].endswith("record 999 of 0")
    assert len(lines) == RECORDS_MAX + 1


@pytest.mark.parametrize("record", [2, 150, 500, 999])
def test_broken_rule_is_in_sight(record: int) -> None:
    lines = excerpt(trace(1000), broken(record, record))[0].splitlines()
    assert lines[lines.index("    ^ SOON-1 is broken") - 1].startswith(f"{record:5} ")
    assert lines.count("    ^ SOON-1 is broken") == 1
    cut = [int(line.split()[0][1:]) for line in lines if line.endswith("are left out]")]
    assert sum(cut) == 1000 - RECORDS_MAX


def test_record_that_is_not_there_is_no_place() -> None:
    assert excerpt(trace(5), broken(77)) == (trace(5), Place(0, 4))


def test_control_is_shown_at_the_same_place() -> None:
    mine, place = excerpt(trace(300, 400, 900), broken(301 + 399 + 50))
    assert place == Place(2, 49)
    control = excerpt_at(trace(250, 500, 900), place)
    assert "record 49 of 2" in mine
    assert "record 49 of 2" in control
    assert "record 49 of 1\n" not in control
    assert "record 9 of 0" in excerpt_at(trace(10), place)


def test_program_of_a_hostile_process_is_none() -> None:
    assert shrunk_program({"program": "soon c1\nstep\n"}) == "soon c1\nstep\n"
    for strange in (None, {}, {"program": 7}, {"program": "<script>"}, {"program": "soon \ud800"}, {"program": ""}):
        assert shrunk_program(strange) == ""
