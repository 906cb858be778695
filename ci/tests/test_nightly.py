# real clock: a run in parts ends in time; what its time does not suffice for is told, and never counts as passed.

from __future__ import annotations

import json
import re
import sys
import time

import nightly
import parts
import pytest
import steps
import timing
from nightly import Part

LONG = [sys.executable, "-c", "import time; print('began', flush=True); time.sleep(3600)"]


def test_command_is_ended_with_its_part():
    """A command that goes on for an hour is ended with the time of its part, and what it printed was shown."""
    run = parts.Run(strict=False)
    with timing.within(timing.GRACE_S + 0.2):
        assert not run.part("long", lambda: parts.shown(LONG)[1])
        assert not run.part("after it", lambda: parts.shown(LONG)[1])
    assert [result.outcome for result in run.results] == ["skipped", "skipped"]
    assert "cut off" in run.results[0].detail and "no time" in run.results[1].detail
    assert run.finish() == 1  # nothing passed


def test_logged_command_is_ended_too(tmp_path, monkeypatch):
    """The same for a command whose output goes to a log; without a limit commands end by themselves."""
    monkeypatch.setattr(steps, "LOGS", tmp_path)
    with timing.within(timing.GRACE_S + 0.2), pytest.raises(timing.OutOfTime):
        steps.logged("long", LONG)
    assert timing.left() is None
    assert steps.logged("short", [sys.executable, "-c", "print(1)"]) == 0


def test_short_total_leaves_out_the_later_parts(capsys):
    """Parts that are not affordable are skipped, the others run and get what is over."""
    given = []
    planned = [
        Part("first", 10, 1, lambda: given.append(timing.left()) or "done"),
        Part("dear", 500, 1, lambda: given.append(None) or "done"),
        Part("last", 20, 3, lambda: given.append(timing.left()) or "done"),
    ]
    run = parts.Run(strict=False)
    nightly.carry_out(run, planned, time.monotonic() + 110)
    assert [result.outcome for result in run.results] == ["ok", "skipped", "ok"]
    assert 20 < given[0] < 30 and 90 < given[1] + timing.GRACE_S < 110, given  # 10 + 80 / 4; all that is left
    assert run.finish() == 0 and "PASSED: 3 parts, 0 failed, 1 skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "said", "known", "failure"),
    [
        (0, "9 verdicts (9 PASS): all as expected", True, ""),
        (1, "9 verdicts (9 FAIL): 9 unexpected", True, "9 unexpected"),
        (1, "9 verdicts (9 FAIL): 9 unexpected", False, ""),
        (2, "loopcheck: it cannot be used", False, ""),
        (3, "loopcheck: the kit itself failed", False, "kit"),
    ],
)
def test_loop_of_the_index(monkeypatch, status, said, known, failure):
    """An unexpected verdict is a failure of a loop with an expect file; a fault of the kit always is."""
    monkeypatch.setattr(nightly, "install", lambda name: None)
    monkeypatch.setattr(nightly, "has_expectations", lambda loop: known)
    monkeypatch.setattr(nightly, "seen_again", lambda name: ["test_a.py::test_b"])
    monkeypatch.setattr(parts, "shown", lambda argv, env=None: (status, said))
    if failure:
        with pytest.raises(steps.Stop, match=failure):
            nightly.check_loop("uvloop")
    else:
        assert said in nightly.check_loop("uvloop")


@pytest.mark.parametrize(
    ("standings", "again"), [(["unexpected", "expected"], ["c0"]), (["unexpected"] * 3, ["c0", "c2"])]
)
def test_what_is_unexpected_is_tried_again(tmp_path, monkeypatch, standings, again):
    """Once more, alone; c1 is as expected then."""
    rows = [{"case": f"c{number}", "standing": standing} for number, standing in enumerate(standings)]
    (tmp_path / "uvloop").mkdir()
    (tmp_path / "uvloop" / "results.json").write_text(json.dumps({"verdicts": rows}), encoding="utf-8")
    monkeypatch.setattr(nightly, "REPORT", tmp_path)
    monkeypatch.setattr(parts, "shown", lambda argv, env=None: (int("c1" not in argv), ""))
    assert nightly.seen_again("uvloop") == again


def test_every_kind_is_planned():
    """The plan names each loop, each fuzz target and each sanitizer."""
    text = "\n".join(part.name for part in nightly.plan())
    wanted = [*nightly.LOOPS, *nightly.fuzzing.targets(), *nightly.SANITIZERS]
    assert [word for word in wanted if not re.search(rf"\b{word}\b", text)] == []
    assert sum(part.least_s for part in nightly.plan()) < nightly.MINUTES * 60


@pytest.mark.parametrize(
    "found", ["0 findings; in 8 s 90 programs", "2 findings, all of them known; in 8 s 90 programs"]
)
def test_last_line_of_a_campaign(monkeypatch, found):
    monkeypatch.setattr(nightly.parts, "shown", lambda *arguments: (0, f"a finding in 3 ops\n{found}\n"))
    assert nightly.campaign("asyncio:new_event_loop") == found
