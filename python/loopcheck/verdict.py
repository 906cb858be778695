"""From facts to a verdict: pure functions, no clock, no file, no process."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from loopcheck.load import Case
from loopcheck.watch import Ending

VERDICTS = (
    "PASS",
    "FAIL",
    "WARN",
    "HANG",
    "CRASH",
    "SPIN",
    "LEAK",
    "MISSING",
    "VACUOUS",
    "DIFF",
    "INAPPLICABLE",
    "SKIP",
    "STALE",
)
FAILURES = frozenset(("FAIL", "HANG", "CRASH", "SPIN", "LEAK", "VACUOUS", "STALE"))  # unless expected
VERDICT_OF_LEVEL = {"MUST": "FAIL", "SHOULD": "WARN", "INFO": "DIFF"}
SEVERITY = {"FAIL": 3, "LEAK": 3, "WARN": 2, "DIFF": 1}
SPIN_CPU_SHARE = 0.8  # cpu time over effective time from which a case that did not end was spinning
DETAIL_CHARS_MAX = 2000
CUT_CHARS_MAX = 60  # of what says that something was left out
PROCESS_RULE = "LIFE-12"
FD_RULE = "LIFE-3"
LEAVES_NO_FD = frozenset(("CONN-1", "CONN-3", "PROC-5", "RAISE-4", "UNIX-2"))  # say so themselves: theirs is the blame
TRACE_RULE = "KIT-1"

_STACK_LINE = re.compile(r'File "([^"]+)", line (\d+) in (\S+)')


@dataclass(frozen=True)
class Facts:
    """Everything that is known of one run of one case."""

    case: Case
    limit_s: float  # effective seconds it was allowed
    ending: Ending
    outcome: dict[str, Any] | None = None  # what the case process reported, if it did
    was_written: bool = False  # something was written where the outcome goes
    plain: str = ""  # why the loop is only the stdlib's under another name
    server: str = ""  # "", or what became of the server: "died", "froze"
    has_second_process: bool = False  # a forked process came back from the case
    judgement: dict[str, Any] = field(default_factory=dict)  # the monitor's, see _contract.judge
    output: str = ""  # the end of what it printed
    trace: str = ""  # the whole of it, one record a line
    counters: dict[str, int] = field(default_factory=dict)  # of the kernel shim, if it was there


@dataclass(frozen=True)
class Ruling:
    """A verdict with the rule it is about and a text for people."""

    verdict: str
    rule: str
    detail: str


@dataclass(frozen=True)
class _Breach:
    """One broken rule: verdict, rule, sentence."""

    verdict: str
    rule: str
    sentence: str


def decide(facts: Facts, level_of: Callable[[str], str]) -> Ruling:
    """The verdict. `level_of` gives MUST, SHOULD or INFO for a rule's id."""
    return decide_early(facts) or _judged(facts, level_of)


def decide_early(facts: Facts) -> Ruling | None:
    """The verdict on a loop that is not one of its own, or a case that did not end as a case ends, else None."""
    if facts.plain:
        return Ruling("VACUOUS", facts.case.rule, facts.plain)
    violent = violence(facts)
    if violent is None:
        return None
    verdict, sentence = violent
    rule, hint = _suspect(facts)
    return Ruling(verdict, rule, clean("; ".join(part for part in (sentence, hint, _last_words(facts)) if part)))


def clean(detail: str) -> str:
    """The text without control characters, which a loop may have printed, and not too long."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in cut(detail, DETAIL_CHARS_MAX))


def cut(text: str, chars_max: int) -> str:
    """The text, or its begin and its end (where a traceback says what it is) and how much is left out."""
    if len(text) <= chars_max:
        return text
    kept = (chars_max - CUT_CHARS_MAX) // 2
    return f"{text[:kept]} [{len(text) - 2 * kept} characters left out] {text[-kept:]}"


def violence(facts: Facts) -> tuple[str, str] | None:
    """(verdict, sentence) of a case that did not end as a case ends, else None."""
    ending = facts.ending
    if ending.limit == "memory":
        return "LEAK", f"it was ended when it held {ending.rss_bytes >> 20} MiB of memory"
    if ending.limit == "processes":
        return "LEAK", "it was ended because it started processes without end"
    if facts.server == "froze":
        return "HANG", "the process that supervises it was stopped (SIGSTOP), or gave no sign of life"
    if facts.server:
        return "CRASH", "it killed the process that supervises it"
    if ending.limit == "import":
        return "HANG", "importing the loop did not end in time"
    if ending.limit:
        return _out_of_time(facts)
    if facts.has_second_process:
        return "CRASH", "a second process, forked by the loop, came back from the case"
    if ending.exit_code < 0:
        return "CRASH", f"the process was killed by {_signal_name(-ending.exit_code)}"
    if facts.outcome is None:
        written = ", and what it reported cannot be read" if facts.was_written else " before the case was over"
        return "CRASH", f"the process ended with status {ending.exit_code}{written}"
    if ending.exit_code:
        return "CRASH", f"the process ended with status {ending.exit_code} after the case was over"
    return _malformed(facts.outcome)


def _malformed(outcome: dict[str, Any]) -> tuple[str, str] | None:
    kind = outcome.get("kind")
    if kind == "exit":
        return "CRASH", f"the loop ended the process: {outcome.get('detail')}"
    if kind == "unusable":
        return "CRASH", str(outcome.get("detail"))
    if kind not in ("ok", "broken", "skip", "missing", "error") or not _is_sound(outcome):
        return "CRASH", "what the case reported cannot be read: something wrote over it"
    return None


def _is_sound(outcome: dict[str, Any]) -> bool:
    """Are the observations a number and the leaks pairs of rule and sentence?"""
    leaks = outcome.get("leaks")
    if type(outcome.get("observations")) is not int or not isinstance(leaks, list):
        return False
    return all(isinstance(leak, list) and len(leak) == 2 for leak in leaks)


def _out_of_time(facts: Facts) -> tuple[str, str]:
    ending = facts.ending
    effective_s = max(1e-3, ending.wall_s - ending.run_delay_s)
    if ending.is_stopped:
        return "HANG", "the process stopped itself (SIGSTOP)"
    share = ending.cpu_s / effective_s
    if share >= SPIN_CPU_SHARE:
        return "SPIN", f"it did not end within {facts.limit_s:g} s and used the cpu for {min(share, 1):.0%} of them"
    return "HANG", f"it did not end within {facts.limit_s:g} s"


def _suspect(facts: Facts) -> tuple[str, str]:
    """(rule, hint): what the trace of a case that ended badly says is wrong."""
    for rule, text, *_ in facts.judgement.get("violations", ()):
        return str(rule), f"{rule} is broken: {text}"
    owed, rule = facts.judgement.get("owed"), facts.judgement.get("owed_rule")
    if facts.ending.limit == "run" and owed and rule:
        return str(rule), f"the loop still owed: {owed}"
    return facts.case.rule, ""


def _last_words(facts: Facts) -> str:
    """Where it was, from faulthandler's stack (innermost first), or the last line it printed."""
    stack = [(path.rsplit("/", 1)[-1], line, name) for path, line, name in _STACK_LINE.findall(facts.output)]
    if stack:
        own = [frame for frame in stack[1:] if frame[0] == facts.case.id.split("::")[0]]
        return ", called by ".join(f"{name} ({file}:{line})" for file, line, name in stack[:1] + own[:1])
    lines = [line.strip() for line in facts.output.splitlines() if line.strip()]
    return f"it printed: {lines[-1][:200]}" if lines else ""


def _judged(facts: Facts, level_of: Callable[[str], str]) -> Ruling:
    """The verdict on a case that ended in an orderly way."""
    outcome = facts.outcome or {}
    breaches = _breaches(facts, outcome, level_of)
    if breaches:
        worst = max(breaches, key=lambda breach: SEVERITY[breach.verdict])
        other = [breach for breach in breaches if breach.rule != worst.rule or breach.sentence not in worst.sentence]
        rest = [f"{breach.rule}: {breach.sentence}" for breach in other]
        return Ruling(worst.verdict, worst.rule, clean("; also ".join([worst.sentence, *rest])))
    own, detail = facts.case.rule, clean(str(outcome.get("detail", "")))
    if outcome["kind"] == "skip":
        return Ruling("SKIP", own, detail)
    if outcome["kind"] == "missing":
        return Ruling("MISSING", own, detail)
    if facts.case.needs_run and outcome["observations"] <= 0:
        return Ruling("VACUOUS", own, "no callback of the case ran on a loop of this factory")
    return Ruling("PASS", own, detail)


def _breaches(facts: Facts, outcome: dict[str, Any], level_of: Callable[[str], str]) -> list[_Breach]:
    """All rules seen broken, what the case itself says first."""

    def broken(rule: str, sentence: str) -> _Breach:
        return _Breach(VERDICT_OF_LEVEL.get(level_of(rule), "FAIL"), rule, sentence)

    kind, found = outcome["kind"], []
    if kind in ("broken", "error"):
        found.append(broken(str(outcome.get("rule") or facts.case.rule), str(outcome.get("detail", ""))))
    for rule, text, *_ in facts.judgement.get("violations", ()):
        found.append(broken(str(rule), str(text)))
    if kind == "ok" and outcome["observations"] > 0 and not facts.judgement.get("runs"):
        found.append(broken(TRACE_RULE, "the trace of what the case observed is gone: something wrote over it"))
    if kind == "ok":  # a case that was cut short leaves things behind through no fault of the loop
        for leak in outcome["leaks"]:
            rule, sentence = (str(part) for part in leak)
            rule = facts.case.rule if rule == FD_RULE and facts.case.rule in LEAVES_NO_FD else rule
            breach = broken(rule, sentence)
            found.append(_Breach("LEAK" if breach.verdict == "FAIL" else breach.verdict, rule, sentence))
    if facts.ending.left_behind:
        sentence = f"{facts.ending.left_behind} process(es) outlived the case"
        found.append(_Breach("LEAK", PROCESS_RULE, sentence))
    return found


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
