"""The rules, as contract/rules.toml states them."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from pathlib import Path

from loopcheck.load import KitFault

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEVELS = ("MUST", "SHOULD", "INFO")


class UnknownRule(Exception):
    """No such rule or area; str() is one sentence that names near matches."""


@dataclass(frozen=True)
class Rule:
    """One sentence about what a loop must do."""

    id: str
    area: str
    level: str  # MUST, SHOULD or INFO
    sentence: str
    sources: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # capabilities
    judged_by: tuple[str, ...] = ()  # code that judges it
    seen_failing: tuple[str, ...] = ()  # mutants and broken loops on which it was seen to fail

    @property
    def is_proven(self) -> bool:
        """Was it ever seen to fail? An unproven rule does not count."""
        return bool(self.seen_failing)

    @property
    def is_monitored(self) -> bool:
        """Does the monitor judge it in every case and program?"""
        return any(judge.startswith("monitor:") for judge in self.judged_by)


class Rules:
    """All rules by id, in the order of the file."""

    def __init__(self, rules: dict[str, Rule]) -> None:
        self.by_id = rules

    @classmethod
    def load(cls, path: Path) -> Rules:
        """Reads rules.toml. Raises KitFault when it cannot be read or a rule lacks something."""
        try:
            entries = tomllib.loads(path.read_text("utf-8")).get("rule", [])
            rules = [_rule(entry) for entry in entries]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KitFault(f"{path} cannot be read: {type(error).__name__}: {error}") from error
        return cls({rule.id: rule for rule in rules})

    def level_of(self, rule_id: str) -> str:
        """MUST, SHOULD or INFO; an id that is not in the file is taken for a MUST."""
        rule = self.by_id.get(rule_id)
        return rule.level if rule else "MUST"

    def area_of(self, rule_id: str) -> str:
        """The area of a rule; "kit" for what is not in the file."""
        rule = self.by_id.get(rule_id)
        return rule.area if rule else "kit"

    def areas(self) -> list[str]:
        """All areas, in the order in which they first occur."""
        return list(dict.fromkeys(rule.area for rule in self.by_id.values()))

    def sentence_of(self, rule_id: str) -> str:
        """The rule's sentence, "" for an id that is not in the file."""
        rule = self.by_id.get(rule_id)
        return rule.sentence if rule else ""

    def find(self, name: str) -> list[Rule]:
        """The rule of this id, or all rules of this area; upper and lower case are one. Raises UnknownRule."""
        found = [r for r in self.by_id.values() if name.upper() == r.id.upper() or name.lower() == r.area.lower()]
        if not found:
            raise UnknownRule(f"there is no rule or area {name!r}{self._near(name)}")
        return found

    def find_id(self, name: str) -> str:
        """The id, in its own spelling, of one rule. Raises UnknownRule, also for an area."""
        for rule_id in self.by_id:
            if rule_id.upper() == name.upper():
                return rule_id
        ids = [rule.id for rule in self.by_id.values() if name.lower() == rule.area.lower()]
        if ids:
            raise UnknownRule(f"{name!r} is an area, not a rule; its rules are {', '.join(ids)}")
        raise UnknownRule(f"there is no rule {name!r}{self._near(name)}")

    def _near(self, name: str) -> str:
        names = [*self.by_id, *(area.upper() for area in self.areas())]
        near = difflib.get_close_matches(name.upper(), names, n=4, cutoff=0.5)
        shown = [text if text in self.by_id else text.lower() for text in near]
        return f"; near it: {', '.join(shown)}" if shown else "; `loopcheck rules` lists them all"


def _rule(entry: dict[str, object]) -> Rule:
    level = str(entry["level"])
    if level not in LEVELS:
        raise ValueError(f"rule {entry['id']} has the level {level!r}")
    lists = {name: _texts(entry, name) for name in ("sources", "needs", "judged_by", "seen_failing")}
    return Rule(str(entry["id"]), str(entry["area"]), level, str(entry["sentence"]), **lists)


def _texts(entry: dict[str, object], name: str) -> tuple[str, ...]:
    value = entry.get(name, [])
    if not isinstance(value, list):
        raise TypeError(f"{name} of rule {entry['id']} is not a list")
    return tuple(str(item) for item in value)
