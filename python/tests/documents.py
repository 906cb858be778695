"""Results as a check writes them, made by hand: one loop that is the control, one that breaks a rule."""

from __future__ import annotations

from typing import Any

CONTROL, MINE = "asyncio:new_event_loop", "my/loop.py:new event<loop>"
CASE = "test_two.py::test_wild"


def verdict(loop: str = CONTROL, **changes: Any) -> dict[str, Any]:
    """A PASS unless the changes say otherwise."""
    made = {"loop": loop, "case": CASE, "rule": "SOON-5", "area": "scheduling", "level": "MUST", "verdict": "PASS"}
    made |= {"detail": "", "seconds": 0.1, "cites": "SOON-5", "again": f"loopcheck check {loop} -k {CASE}"}
    return made | {"standing": "no failure"} | changes


def failure(**changes: Any) -> dict[str, Any]:
    """An unexpected FAIL of the second loop, with everything that a verdict may have."""
    made = verdict(MINE, verdict="FAIL", detail="it ran twice", standing="unexpected", program="soon c1\nstep\n")
    made |= {"trace": "    1  open program 0\n", "control": {"verdict": "PASS", "trace": "    2  closed\n"}}
    return made | changes


def rule(name: str, **changes: Any) -> dict[str, Any]:
    """A rule with one case."""
    made = {"id": name, "area": "scheduling", "level": "MUST", "sentence": f"The sentence of {name}."}
    return made | {"is_proven": True, "is_monitored": False, "cases": 1} | changes


def loop(name: str, **changes: Any) -> dict[str, Any]:
    """A loop without an expect file."""
    made = {"name": name, "version": "", "is_control": name == CONTROL, "expectation": "no expect file applies"}
    return made | changes


def document(*verdicts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A whole results.json."""
    made: dict[str, Any] = {"schema": 1, "loopcheck": "0.1.0", "python": "CPython 3.12.1", "exit_status": 1}
    made |= {"notes": [], "unexpected": [], "loops": [loop(CONTROL), loop(MINE, version="7.8.9")]}
    made |= {"rules": [rule("SOON-5"), rule("SOON-6", is_proven=False)]}
    return made | {"verdicts": list(verdicts) or [verdict(), failure()]} | changes
