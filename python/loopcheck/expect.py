"""What a loop is known to break: expect/<loop>.toml.

    [[deviation]]
    case = "test_timers.py::test_never_early"   # a pattern as of fnmatch
    verdict = "FAIL"                            # or a list of them
    rule = "TIMER-1"                            # "*": whichever, of a crash or a hang, which has none of its own
    reason = "keeps whole milliseconds"
    link = "https://..."                        # optional
    python = ">=3.12"                           # optional, as is loop_version = ">=0.20,<0.22"
    under = "virtual-time"                      # optional: only there; or "faults"

Expectations are strict: one that passes is STALE, and a failure.
"""

from __future__ import annotations

import operator
import platform
import re
import sys
from collections.abc import Container
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from loopcheck.verdict import FAILURES, VERDICTS, Ruling

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RANDOM_CASE = "test_programs.py::test_random_0"  # what is expected of it is expected of all random programs
_REQUIRED = ("case", "verdict", "rule", "reason")
_OPTIONAL = ("link", "python", "loop_version", "under")
_CONDITIONS_OF_A_RUN = ("", "virtual-time", "faults")
_COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)\s*")


class ExpectError(Exception):
    """An expect file cannot be used; str() is one sentence."""


@dataclass(frozen=True)
class Deviation:
    """One entry of an expect file."""

    case: str
    verdicts: tuple[str, ...]
    rule: str
    reason: str
    link: str = ""
    python: str = ""
    loop_version: str = ""
    under: str = ""  # "": on the real kernel and its clock, too
    line: int = field(default=0, compare=False)  # of the file

    def applies_to(self, case_id: str, python: str, loop_version: str) -> bool:
        """Is the entry about this case, on this Python and this version of the loop?"""
        if not (self.case == case_id or fnmatchcase(case_id, self.case)):
            return False
        return holds(self.python, python) and holds(self.loop_version, loop_version)


@dataclass(frozen=True)
class Judged:
    """A ruling in the light of what was expected."""

    ruling: Ruling
    is_unexpected: bool  # counts for the exit status
    deviation: Deviation | None = None  # the entry that covers it


@dataclass
class Expectations:
    """All entries for one loop. `path` is None when no file applies."""

    path: Path | None = None
    deviations: list[Deviation] = field(default_factory=list)
    python: str = field(default_factory=platform.python_version)
    loop_version: str = ""
    under: frozenset[str] = frozenset()  # what the run is under
    used: set[Deviation] = field(default_factory=set)  # entries that were about a case that ran

    @classmethod
    def load(cls, path: Path) -> Expectations:
        """Reads a file. Raises ExpectError."""
        text = ""
        try:
            text = path.read_text("utf-8")
            document = tomllib.loads(text)
        except OSError as error:
            raise ExpectError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            line = re.search(r"at line (\d+)", str(error))
            number = line[1] if line else len(text.splitlines())
            raise ExpectError(f"{path}:{number}: this is not TOML: {error}") from error
        strange = sorted(set(document) - {"deviation"})
        entries = document.get("deviation", [])
        if strange or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ExpectError(f"{path}: nothing but [[deviation]] entries is known{_listed(strange)}")
        lines = [n for n, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith("[[deviation]]")]
        places = lines if len(lines) == len(entries) else [1] * len(entries)
        return cls(
            path, [_deviation(f"{path}:{line}", line, entry) for line, entry in zip(places, entries, strict=True)]
        )

    def check_rules(self, known: Container[str]) -> None:
        """Raises ExpectError for an entry about a rule that there is none of."""
        for deviation in self.deviations:
            if deviation.rule != "*" and deviation.rule not in known:
                raise ExpectError(f"{self.path}:{deviation.line}: there is no rule {deviation.rule!r}")

    def judge(self, case_id: str, ruling: Ruling) -> Judged:
        """Compares a ruling with the entries about its case."""
        about = [d for d in self._mine() if d.applies_to(case_id, self.python, self.loop_version)]
        self.used.update(about)
        if ruling.verdict == "PASS":
            due = [d for d in about if "PASS" not in d.verdicts]
            return Judged(_stale(due[0], ruling), True, due[0]) if due else Judged(ruling, False)
        for deviation in about:
            if ruling.verdict in deviation.verdicts and deviation.rule in (ruling.rule, "*"):
                return Judged(ruling, False, deviation)
        return Judged(ruling, ruling.verdict in FAILURES)

    def is_bound_to_hang(self, case_id: str) -> bool:
        """Is nothing but a hang expected of this case? What is expected of all cases does not count."""
        mine = (d for d in self._mine() if d.case != "*")
        about = [d for d in mine if d.applies_to(case_id, self.python, self.loop_version)]
        return bool(about) and all(set(d.verdicts) <= {"HANG", "SPIN"} for d in about)

    def _mine(self) -> list[Deviation]:
        return [d for d in self.deviations if not d.under or d.under in self.under]

    def unused(self) -> list[Deviation]:
        """Entries that were about no case; a note in a run that was not filtered."""
        mine = [d for d in self._mine() if holds(d.python, self.python)]
        return [d for d in mine if d not in self.used and holds(d.loop_version, self.loop_version)]


def _stale(deviation: Deviation, ruling: Ruling) -> Ruling:
    expected = " or ".join(deviation.verdicts)
    detail = f"it passes, but {expected} of {deviation.rule} is expected: take the entry out ({deviation.reason})"
    return Ruling("STALE", ruling.rule, detail)


def _deviation(place: str, line: int, entry: dict[str, object]) -> Deviation:
    """One entry, checked. Raises ExpectError."""
    missing = [name for name in _REQUIRED if not entry.get(name)]
    strange = sorted(set(entry) - set(_REQUIRED) - set(_OPTIONAL))
    if missing or strange:
        what = f"lacks {', '.join(missing)}" if missing else f"has unknown keys{_listed(strange)}"
        raise ExpectError(f"{place}: the deviation {what}")
    verdict = entry["verdict"]
    verdicts = tuple(map(str, verdict)) if isinstance(verdict, list) else (str(verdict),)
    wrong = [name for name in verdicts if name not in VERDICTS or name == "STALE"]
    if wrong:
        raise ExpectError(f"{place}: the deviation expects {wrong[0]!r}, which is no verdict to expect")
    texts = {name: str(entry.get(name, "")) for name in ("case", "rule", "reason", *_OPTIONAL)}
    for name in ("python", "loop_version"):
        if not all(_CONDITION.fullmatch(part) for part in texts[name].split(",") if texts[name]):
            raise ExpectError(f"{place}: {name} = {texts[name]!r} is not like '>=3.12,<3.14'")
    if texts["rule"] == "*" and not set(verdicts) <= {"PASS", "CRASH", "HANG"}:
        raise ExpectError(f"{place}: rule = '*' is for CRASH and HANG alone")
    if texts["under"] not in _CONDITIONS_OF_A_RUN:
        raise ExpectError(f"{place}: under = {texts['under']!r} is neither virtual-time nor faults")
    return Deviation(verdicts=verdicts, line=line, **texts)


def holds(conditions: str, version: str) -> bool:
    """Does a version meet conditions such as ">=3.12,<3.14"? No condition always holds; an unknown
    version meets none."""
    for condition in filter(None, conditions.split(",")):
        match = _CONDITION.fullmatch(condition)
        numbers = _numbers(version)
        if match is None or not numbers:
            return False
        wanted = _numbers(match[2])
        size = max(len(wanted), len(numbers))
        have, want = (n + (0,) * (size - len(n)) for n in (numbers, wanted))
        if not _COMPARE[match[1]](have, want):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _listed(names: list[str]) -> str:
    return f": {', '.join(names)}" if names else ""
