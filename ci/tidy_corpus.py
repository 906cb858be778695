"""The corpus: every program can be read, tells its story and cites a rule."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

from tidy_base import Problem, Tree
from tidy_rules import rules

PLACE = re.compile(r"^corpora/(?:seeds|regress)/[\w-]+/[\w-]+\.loop$")
NUMBERED = re.compile(r"^corpora/regress/[\w-]+/\d{4}-[\w-]+\.loop$")
LABELS = ("found", "rule", "effect")
# Reads the names of files on stdin, writes a list of [name, why it cannot be read] to stdout.
PARSE = """
import json, sys
from loopcheck import _contract
bad = []
for name in json.load(sys.stdin):
    try:
        _contract.parse(open(name, encoding="utf-8").read())
    except Exception as error:
        bad.append([name, f"{error}"])
json.dump(bad, sys.stdout)
"""


def header(lines: list[str]) -> str:
    """The comments before the first op, without their marks."""
    taken = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            break
        taken.append(line.lstrip("# ").rstrip())
    return "\n".join(taken)


def stories(tree: Tree) -> Iterator[Problem]:
    known = {str(rule.get("id")) for rule in rules(tree)}
    for name in tree.match("corpora/*.loop"):
        if not PLACE.match(name) or (name.startswith("corpora/regress/") and not NUMBERED.match(name)):
            yield Problem(name, 1, "belongs at corpora/seeds/AREA/SLUG.loop or corpora/regress/AREA/NNNN-SLUG.loop")
        text = header(tree.lines(name))
        for label in LABELS:
            if not re.search(rf"\b{label}:\s*\S", text):
                yield Problem(name, 1, f'the header lacks "{label}:"')
        for rule in re.findall(r"\brule:\s*([\w-]+)", text):
            if rule not in known:
                yield Problem(name, 1, f"cites {rule}, which is no rule")
        for line in re.findall(r"^breaks:.*", text, re.MULTILINE):
            page = re.fullmatch(r"breaks: \w+ \((\S+)\)", line)
            if page is None or page[1] not in tree.names:
                yield Problem(name, 1, "says what it breaks otherwise than `# breaks: DRIVER (docs/findings/PAGE.md)`")


def parsing(tree: Tree) -> Iterator[Problem]:
    """Through the extension module, since the C parser is the only one."""
    names = tree.match("corpora/*.loop")
    if not names:
        return
    done = subprocess.run(
        [sys.executable, "-c", PARSE], input=json.dumps(names), cwd=tree.root, capture_output=True, text=True
    )
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        yield Problem(names[0], 1, f"the corpus cannot be parsed: {why[0]}")
        return
    for name, why_not in json.loads(done.stdout):
        yield Problem(name, 1, f"cannot be read: {why_not}")


CHECKS = (stories, parsing)
