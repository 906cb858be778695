# Facts lead to the verdict they deserve, and to no pass that is not one.
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from loopcheck.load import Case
from loopcheck.verdict import DETAIL_CHARS_MAX, VERDICTS, Facts, decide
from loopcheck.watch import Ending

CASE = Case("test_a.py::test_b", "FD-1", needs_run=True, timeout_s=None)
OK = {"kind": "ok", "rule": "FD-1", "detail": "", "observations": 3, "leaks": []}
SEEN = {"violations": [], "runs": 1, "callbacks": 3, "ops": 3, "owed": "", "owed_rule": ""}
GOOD = Facts(CASE, 4.0, Ending(wall_s=0.1, cpu_s=0.1), outcome=OK, was_written=True, judgement=SEEN)
LATE = Ending(exit_code=-9, limit="run", wall_s=6.0, run_delay_s=2.0)
LEVELS = {"SHOULD-1": "SHOULD", "INFO-1": "INFO"}


def level_of(rule: str) -> str:
    return LEVELS.get(rule, "MUST")


def outcome(**changes: Any) -> dict[str, Any]:
    return {"outcome": {**OK, **changes}}


def ending(**changes: Any) -> dict[str, Any]:
    return {"ending": replace(GOOD.ending, **changes)}


def violations(*rules: str) -> dict[str, Any]:
    return {"judgement": {**SEEN, "violations": [(rule, f"saw {rule}", 1, 1) for rule in rules]}}


BROKEN = outcome(kind="broken", rule="FD-5", detail="bytes are gone")
SKIP, MISSING = outcome(kind="skip", detail="no IPv6"), outcome(kind="missing", detail="NotImplementedError")
UNREADABLE = {"outcome": None, "was_written": True}
SILENT = {"outcome": None, "was_written": False}
OWED = {"judgement": {**SEEN, "owed": "w1 is ready", "owed_rule": "FD-2"}}
SECOND = {"has_second_process": True}

# name -> facts that differ from a pass, verdict, rule, a word of the detail
TABLE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "pass": ({}, "PASS", "FD-1", ""),
    "plain stdlib": ({"plain": "it is asyncio's"}, "VACUOUS", "FD-1", "asyncio"),
    "plain stdlib that fails": ({"plain": "it is asyncio's", **BROKEN}, "VACUOUS", "FD-1", "asyncio"),
    "nothing observed": (outcome(observations=0), "VACUOUS", "FD-1", "no callback"),
    "nothing to observe": ({**outcome(observations=0), "case": replace(CASE, needs_run=False)}, "PASS", "FD-1", ""),
    "broken": (BROKEN, "FAIL", "FD-5", "bytes are gone"),
    "broken SHOULD": (outcome(kind="broken", rule="SHOULD-1"), "WARN", "SHOULD-1", ""),
    "broken INFO": (outcome(kind="broken", rule="INFO-1"), "DIFF", "INFO-1", ""),
    "error": (outcome(kind="error", detail="TypeError"), "FAIL", "FD-1", "TypeError"),
    "skip": (SKIP, "SKIP", "FD-1", "no IPv6"),
    "missing": (MISSING, "MISSING", "FD-1", "NotImplementedError"),
    "missing, and a rule broken": ({**MISSING, **violations("FD-3")}, "FAIL", "FD-3", "saw FD-3"),
    "leak after a skip": (outcome(kind="skip", leaks=[["LIFE-3", "fd 7"]]), "SKIP", "FD-1", ""),
    "monitor": (violations("FD-3", "FD-6"), "FAIL", "FD-3", "also FD-6"),
    "monitor, SHOULD": (violations("SHOULD-1"), "WARN", "SHOULD-1", ""),
    "the worst counts": (violations("INFO-1", "SHOULD-1", "FD-3"), "FAIL", "FD-3", "also INFO-1"),
    "case before monitor": ({**BROKEN, **violations("FD-3")}, "FAIL", "FD-5", "also FD-3"),
    "leak": (outcome(leaks=[["LIFE-3", "fd 7"]]), "LEAK", "LIFE-3", "fd 7"),
    "leak, SHOULD": (outcome(leaks=[["SHOULD-1", "a thread"]]), "WARN", "SHOULD-1", "a thread"),
    "process left": (ending(left_behind=2), "LEAK", "LIFE-12", "2 process"),
    "trace gone": ({"judgement": {**SEEN, "runs": 0}}, "FAIL", "KIT-1", "wrote over"),
    "hang": ({"ending": LATE, **SILENT}, "HANG", "FD-1", "within 4 s"),
    "hang after a pass": ({"ending": LATE}, "HANG", "FD-1", "within 4 s"),
    "hang, owing": ({"ending": LATE, **OWED}, "HANG", "FD-2", "w1 is ready"),
    "hang, a rule broken": ({"ending": LATE, **violations("FD-6")}, "HANG", "FD-6", "saw FD-6"),
    "spin": ({"ending": replace(LATE, cpu_s=3.3)}, "SPIN", "FD-1", "82%"),
    "busy but no spin": ({"ending": replace(LATE, cpu_s=3.1)}, "HANG", "FD-1", ""),
    "stopped": ({"ending": replace(LATE, is_stopped=True)}, "HANG", "FD-1", "SIGSTOP"),
    "import hangs": (ending(limit="import"), "HANG", "FD-1", "importing"),
    "memory": (ending(limit="memory", rss_bytes=1 << 30), "LEAK", "FD-1", "1024 MiB"),
    "processes": (ending(limit="processes"), "LEAK", "FD-1", "processes"),
    "server died": ({"server": "died"}, "CRASH", "FD-1", "supervises"),
    "server froze": ({"server": "froze"}, "HANG", "FD-1", "SIGSTOP"),
    "signal": (ending(exit_code=-11), "CRASH", "FD-1", "SIGSEGV"),
    "unknown signal": (ending(exit_code=-250), "CRASH", "FD-1", "signal 250"),
    "status 0, nothing said": (SILENT, "CRASH", "FD-1", "before the case was over"),
    "rubbish said": (UNREADABLE, "CRASH", "FD-1", "cannot be read"),
    "status after the end": (ending(exit_code=3), "CRASH", "FD-1", "after the case was over"),
    "second process": (SECOND, "CRASH", "FD-1", "second process"),
    "sys.exit": ({"outcome": {"kind": "exit", "detail": "SystemExit: 0"}}, "CRASH", "FD-1", "SystemExit"),
    "unusable": ({"outcome": {"kind": "unusable", "detail": "no module"}}, "CRASH", "FD-1", "no module"),
    "unknown kind": (outcome(kind="fine"), "CRASH", "FD-1", "wrote over"),
    "no kind": ({"outcome": {}}, "CRASH", "FD-1", "wrote over"),
    "observations are no number": (outcome(observations="3"), "CRASH", "FD-1", "wrote over"),
    "observations are true": (outcome(observations=True), "CRASH", "FD-1", "wrote over"),
    "leaks are no list": (outcome(leaks=3), "CRASH", "FD-1", "wrote over"),
    "leaks are no pairs": (outcome(leaks=[["LIFE-3"]]), "CRASH", "FD-1", "wrote over"),
    "prints where": (
        {**ending(exit_code=-11), "output": 'File "/x/y.py", line 3 in f\n'},
        "CRASH",
        "FD-1",
        "f (y.py:3)",
    ),
    "prints at last": ({**ending(exit_code=-6), "output": "a\nb\n\n"}, "CRASH", "FD-1", "it printed: b"),
    "prints controls": (outcome(kind="skip", detail="\x1b[31mred"), "SKIP", "FD-1", "?[31mred"),
}


@pytest.mark.parametrize("name", TABLE)
def test_decide(name: str) -> None:
    changes, verdict, rule, word = TABLE[name]
    ruling = decide(replace(GOOD, **changes), level_of)
    assert (ruling.verdict, ruling.rule) == (verdict, rule)
    assert word in ruling.detail
    assert bool(ruling.detail) == (verdict != "PASS") or verdict in ("WARN", "DIFF", "SKIP")
    assert ruling.verdict in VERDICTS


def test_detail_has_a_bound() -> None:
    ruling = decide(replace(GOOD, **outcome(kind="skip", detail="x" * 100_000)), level_of)
    assert len(ruling.detail) <= DETAIL_CHARS_MAX
    assert ruling.detail.count("x") + int(ruling.detail.split("[")[1].split()[0]) == 100_000


def test_long_sentence_crowds_no_other_rule_out() -> None:
    long = outcome(kind="error", detail="x" * 9_000 + "ValueError")
    ruling = decide(replace(GOOD, **long, **violations("FD-3")), level_of)
    assert "characters left out" in ruling.detail
    assert ruling.detail.endswith("ValueError; also FD-3: saw FD-3")
