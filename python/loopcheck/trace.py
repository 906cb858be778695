"""What a case leaves for people to read: its trace, bounded and marked, and the program that its failure shrank to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loopcheck import _contract

RECORDS_MAX = 200  # of a trace that is kept; the text says how many were left out
OPENING = "  open program "  # stands in the record with which the run of a program, or a loop of a case, begins


@dataclass(frozen=True)
class Place:
    """Where to look in a trace, said so that it means the same in the trace of another loop."""

    opening: int = 0  # of a run of a program, or of a case's loop, counted from 0
    records: int = 0  # from there


def excerpt(trace: str, judgement: dict[str, Any]) -> tuple[str, Place]:
    """At most RECORDS_MAX records around the first one at which a rule was seen broken, else the last ones.

    Below such a record stands which rule it is. Returns the place, too, for `excerpt_at`.
    """
    lines = trace.splitlines()
    marks: dict[str, list[str]] = {}
    for rule, _, record, *_ in judgement.get("violations", ()):
        marks.setdefault(str(record), []).append(f"    ^ {rule} is broken")
    middle = next((i for i, line in enumerate(lines) if _number(line) in marks), max(0, len(lines) - 1))
    openings = [i for i in _openings(lines) if i <= middle]
    place = Place(len(openings) - 1, middle - openings[-1]) if openings else Place(0, middle)
    shown = [[line, *dict.fromkeys(marks.get(_number(line), ()))] for line in _window(lines, middle)]
    return "".join(f"{text}\n" for texts in shown for text in texts), place


def excerpt_at(trace: str, place: Place) -> str:
    """At most RECORDS_MAX records around a place of another loop's trace."""
    lines = trace.splitlines()
    openings = _openings(lines) or [0]
    middle = openings[min(place.opening, len(openings) - 1)] + place.records
    return "".join(f"{line}\n" for line in _window(lines, min(middle, len(lines) - 1)))


def _window(lines: list[str], middle: int) -> list[str]:
    """More of what led to a place than of what came of it."""
    end = min(len(lines), max(middle + 1 + RECORDS_MAX // 4, RECORDS_MAX))
    first = max(0, end - RECORDS_MAX)
    before = [f"[{first} records before are left out]"] if first else []
    after = [f"[{len(lines) - end} records after are left out]"] if end < len(lines) else []
    return [*before, *lines[first:end], *after]


def _number(line: str) -> str:
    return line.split(maxsplit=1)[0] if line else ""


def _openings(lines: list[str]) -> list[int]:
    return [i for i, line in enumerate(lines) if OPENING in line]


def shrunk_program(outcome: dict[str, Any] | None) -> str:
    """The program that the case process left, if it is one; one operation a line."""
    text = (outcome or {}).get("program")
    try:
        return _contract.format(_contract.parse(text)) if isinstance(text, str) and text else ""
    except ValueError:
        return ""
