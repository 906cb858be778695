"""docs/rules.md, generated from contract/rules.toml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidy_base import Problem, Tree

PAGE = "docs/rules.md"
HEAD = """# The rules

Generated from contract/rules.toml by `ci/check.py docs`; change that file, not this one.

{proven} of {total} rules were seen to fail on a mutant or a loop broken on purpose; the others are marked as unproven
and do not count. Levels: a broken MUST is a FAIL, a broken SHOULD a WARN. "Needs" is what a loop must be able to do or
vow before the rule is judged, by the names in contract/driver.h; asyncio: judged on asyncio loops only.
"""


def page(tree: Tree) -> str:
    rules: list[dict[str, Any]] = tree.toml("contract/rules.toml").get("rule", [])
    proven = sum(bool(rule["seen_failing"]) for rule in rules)
    parts = [HEAD.format(proven=proven, total=len(rules))]
    area = ""
    for rule in rules:
        if rule["area"] != area:
            area = rule["area"]
            parts.append(f"\n## {area}\n")
        parts.append("\n".join(entry(rule)))
    return "\n".join(parts)


def entry(rule: dict[str, Any]) -> Iterator[str]:
    mark = "" if rule["seen_failing"] else " (unproven)"
    yield f"### {rule['id']} {rule['level']}{mark}\n\n{rule['sentence']}\n"
    yield f"- sources: {'; '.join(rule['sources'])}"
    if rule["needs"]:
        yield f"- needs: {', '.join(rule['needs'])}"
    yield f"- judged by: {', '.join(named(rule['judged_by'])) or 'nothing yet'}"
    if rule["seen_failing"]:
        yield f"- seen failing on: {', '.join(named(rule['seen_failing']))}"
    yield ""


def named(links: list[str]) -> list[str]:
    return [link.replace(":", " ", 1) for link in links]


def is_current(tree: Tree) -> Iterator[Problem]:
    """The check of tidy: the page is what it would be if it were generated now."""
    if PAGE not in tree.names or tree.text(PAGE) != page(tree):
        yield Problem(PAGE, 1, "differs from contract/rules.toml; run ci/check.py docs")


CHECKS = (is_current,)


def write(tree: Tree) -> str:
    path = tree.root / PAGE
    path.parent.mkdir(exist_ok=True)
    path.write_text(page(tree), encoding="utf-8")
    return f"{PAGE} written"
