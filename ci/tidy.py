#!/usr/bin/env python3
"""House style and cross references, run as a test. Each problem is one line: file:line: sentence.

    ci/check.py tidy            everything
    ci/tidy.py [CHECK ...]      only the named groups: size text depends rules corpus tools docs

Exit status 0: no problem; 1: problems. Exceptions would stand in ci/tidy_exceptions.toml, each with its reason.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import rules_page
import tidy_corpus
import tidy_depends
import tidy_rules
import tidy_size
import tidy_text
import tidy_tools
from tidy_base import Problem, Tree, stale_exceptions, tomllib

ROOT = Path(__file__).resolve().parent.parent
Check = Callable[[Tree], Iterable[Problem]]
GROUPS: dict[str, tuple[Check, ...]] = {
    "size": tidy_size.CHECKS,
    "text": tidy_text.CHECKS,
    "depends": tidy_depends.CHECKS,
    "rules": tidy_rules.CHECKS,
    "corpus": tidy_corpus.CHECKS,
    "tools": tidy_tools.CHECKS,
    "docs": rules_page.CHECKS,
}


def problems(tree: Tree, groups: Iterable[str]) -> Iterator[Problem]:
    """All problems of the named groups; a file that cannot be read as TOML ends its check with one."""
    chosen = list(groups)
    for group in chosen:
        for check in GROUPS[group]:
            try:
                yield from check(tree)
            except tomllib.TOMLDecodeError as error:
                yield Problem("contract/rules.toml", 1, f"{check.__name__}: a TOML file cannot be read: {error}")
    if set(chosen) == set(GROUPS):
        yield from stale_exceptions(tree)


def main(argv: list[str]) -> int:
    unknown = [name for name in argv if name not in GROUPS]
    if unknown:
        print(f"no check is called {unknown[0]}; there are {', '.join(GROUPS)}")
        return 2
    tree = Tree(ROOT)
    found = sorted(set(problems(tree, argv or GROUPS)))
    for problem in found:
        print(problem)
    rules = tidy_rules.rules(tree)
    proven = sum(bool(rule.get("seen_failing") and rule.get("judged_by")) for rule in rules)
    print(f"tidy: {len(found)} problems in {len(tree.names)} files; {proven} of {len(rules)} rules seen failing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
