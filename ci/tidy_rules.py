"""rules.toml, the code it names and the code that names it: every rule is judged, every citation resolves."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tidy_base import Problem, Tree

RULES = "contract/rules.toml"
LEVELS = ("MUST", "SHOULD", "INFO")
PROVEN_MIN = 25  # rules that are judged and were seen to fail
SOURCES = re.compile(
    r"^(?:PEP \d+, |POSIX, \w+: |CPython docs, asyncio-\w+: |libuv docs, \w+: |libuv src/|field: |seed [A-Z])"
)
NEEDS = re.compile(r"\bLC_(?:CAP|PROMISE)_(\w+)")
MARKS = ("case", "family")
RESERVED = "KIT-1"  # the trace itself is impossible; no rule of a loop


@dataclass(frozen=True)
class Case:
    """A function of conformance/ with @case(rule), or with @family(rule), which stands for all its members."""

    file: str
    function: str
    line: int
    rule: str

    @property
    def id(self) -> str:
        return f"{self.file.removeprefix('conformance/')}::{self.function}"


def rules(tree: Tree) -> list[dict[str, Any]]:
    return list(tree.toml(RULES).get("rule", []))


def cases(tree: Tree) -> list[Case]:
    """Every decorated case of conformance/test_*.py."""
    found = []
    for name in tree.match("conformance/test_*.py"):
        for node in ast.parse(tree.text(name)).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found += [Case(name, node.name, node.lineno, rule) for rule in cited(node)]
    return found


def cited(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and getattr(mark.func, "id", getattr(mark.func, "attr", "")) in MARKS:
            for argument in mark.args[:1]:
                yield str(argument.value) if isinstance(argument, ast.Constant) else ""


def mutants(tree: Tree) -> dict[str, str]:
    """Rule of each mutant, by its id; of those that a target kills there is none."""
    entries = [entry for name in tree.match("fuzz/mutants/*.toml") for entry in tree.toml(name).get("mutant", [])]
    return {str(entry.get("id")): str(entry.get("rule")) for entry in entries if "killer" not in entry}


def broken_loops(tree: Tree) -> dict[str, tuple[str, ...]]:
    """What each broken loop says it breaks (the module's BREAKS: one rule or several), by the file's stem."""
    found: dict[str, tuple[str, ...]] = {}
    for name in tree.match("conformance/broken_loops/*.py"):
        for node in ast.parse(tree.text(name)).body:
            if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "BREAKS" for t in node.targets):
                value = ast.literal_eval(node.value)
                stem = name.rsplit("/", 1)[1].removesuffix(".py")
                found[stem] = (value,) if isinstance(value, str) else tuple(value)
    return found


def monitored(tree: Tree) -> Iterator[tuple[str, int, str]]:
    """File, line and rule, wherever the monitor names one."""
    for name in tree.match("contract/monitor*.c"):
        for number, line in enumerate(tree.lines(name), 1):
            for rule in re.findall(r'"([A-Z]+-\d+)"', line):
                yield name, number, rule


def fields(tree: Tree) -> Iterator[Problem]:
    """Each rule has all it needs, once."""
    seen: set[str] = set()
    vows = set(NEEDS.findall(tree.text("contract/driver.h"))) if "contract/driver.h" in tree.names else set()
    for rule in rules(tree):
        name = str(rule.get("id", "(no id)"))
        line = tree.line_of(RULES, f'id = "{name}"')
        if name in seen:
            yield Problem(RULES, line, f"{name} stands twice")
        seen.add(name)
        if rule.get("level") not in LEVELS:
            yield Problem(RULES, line, f"{name} has the level {rule.get('level')!r}, not one of {', '.join(LEVELS)}")
        if not str(rule.get("sentence", "")).endswith(".") or not rule.get("area"):
            yield Problem(RULES, line, f"{name} needs an area and a sentence that ends with a full stop")
        if not rule.get("sources"):
            yield Problem(RULES, line, f"{name} has no source")
        for source in rule.get("sources", []):
            if not SOURCES.match(source):
                yield Problem(RULES, line, f"{name} has a source of no known kind: {source}")
        for need in rule.get("needs", []):
            if need != "asyncio" and need not in vows:
                yield Problem(RULES, line, f"{name} needs {need}, which contract/driver.h does not name")


def judges(tree: Tree) -> Iterator[Problem]:
    """judged_by leads to a monitor that names the rule, or to a case that cites it."""
    known = {(case.id, case.rule) for case in cases(tree)}
    for rule in rules(tree):
        name = str(rule.get("id"))
        line = tree.line_of(RULES, f'id = "{name}"')
        if not rule.get("judged_by"):
            yield Problem(RULES, line, f"{name} is judged by nothing")
        for twice, count in Counter([*rule.get("judged_by", []), *rule.get("seen_failing", [])]).items():
            if count > 1:
                yield Problem(RULES, line, f"{name} names {twice} twice")
        for judge in rule.get("judged_by", []):
            kind, _, target = judge.partition(":")
            if kind == "monitor":
                if target not in tree.names or f'"{name}"' not in tree.text(target):
                    yield Problem(RULES, line, f"{name} is not named in {target}")
            elif kind != "case" or (target, name) not in known:
                yield Problem(RULES, line, f"{name}: {judge} is no case that cites it")


def proofs(tree: Tree) -> Iterator[Problem]:
    """seen_failing leads to a mutant or a broken loop with this very rule, and enough rules have one."""
    by_mutant, by_loop = mutants(tree), broken_loops(tree)
    proven = 0
    for rule in rules(tree):
        name = str(rule.get("id"))
        line = tree.line_of(RULES, f'id = "{name}"')
        proven += bool(rule.get("seen_failing") and rule.get("judged_by"))
        for proof in rule.get("seen_failing", []):
            kind, _, target = proof.partition(":")
            is_mutant = kind == "mutant" and by_mutant.get(target) == name
            is_loop = kind == "broken" and name in by_loop.get(target, ())
            if not is_mutant and not is_loop:
                yield Problem(RULES, line, f"{name}: {proof} is no mutant or broken loop of that rule")
    if proven < PROVEN_MIN:
        yield Problem(RULES, 1, f"{proven} rules are judged and were seen to fail; at least {PROVEN_MIN} have to be")


def citations(tree: Tree) -> Iterator[Problem]:
    """Every case, monitor, mutant and broken loop cites a rule that exists."""
    known = {str(rule.get("id")) for rule in rules(tree)} | {RESERVED}
    for case in cases(tree):
        if case.rule not in known:
            yield Problem(case.file, case.line, f"{case.function} cites {case.rule}, which is no rule")
    for name, number, rule in monitored(tree):
        if rule not in known:
            yield Problem(name, number, f"judges {rule}, which is no rule")
    for name in tree.match("fuzz/mutants/*.toml"):
        for mutant in tree.toml(name).get("mutant", []):
            if not {"killer", "case"} & set(mutant) and mutant.get("rule") not in known:
                line = tree.line_of(name, str(mutant.get("id")))
                yield Problem(name, line, f"{mutant.get('id')} breaks {mutant.get('rule')}, which is no rule")
    for slug, broken in broken_loops(tree).items():
        for rule in broken:
            if rule not in known:
                yield Problem(f"conformance/broken_loops/{slug}.py", 1, f"breaks {rule}, which is no rule")


def unlisted(tree: Tree) -> Iterator[Problem]:
    """What cites a rule stands in that rule's lists, so that the lists are the whole truth."""
    entries = [(case.rule, "judged_by", f"case:{case.id}") for case in cases(tree)]
    entries += [(rule, "judged_by", f"monitor:{name}") for name, _, rule in monitored(tree)]
    entries += [(rule, "seen_failing", f"mutant:{name}") for name, rule in mutants(tree).items()]
    entries += [(rule, "seen_failing", f"broken:{slug}") for slug, all_ in broken_loops(tree).items() for rule in all_]
    lists = {str(rule.get("id")): rule for rule in rules(tree)}
    for rule_id, key, entry in entries:
        if rule_id in lists and entry not in lists[rule_id].get(key, []):
            line = tree.line_of(RULES, f'id = "{rule_id}"')
            yield Problem(RULES, line, f'{rule_id}: add "{entry}" to its {key}')


CHECKS = (fields, judges, proofs, citations, unlisted)
