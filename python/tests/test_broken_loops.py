# real clock: each loop of conformance/broken_loops is caught with the rule that it breaks.
from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from loopcheck import paths
from loopcheck.load import Spec
from loopcheck.rules import Rules
from loopcheck.supervisor import Options, Server
from loopcheck.verdict import decide

FOLDER = paths.conformance_dir() / "broken_loops"
FILES = sorted(FOLDER.glob("*.py"))
RULES = Rules.load(paths.rules_file())
TIMEOUT_S = 2.0  # effective; a case that asks for more gets more
CAUGHT = {"FAIL", "WARN", "HANG", "SPIN", "LEAK", "CRASH"}
HEADER = re.compile(r"\A(#[^\n]*\n)+\n")


def breaks(path: Path) -> str:
    """The rule that a broken loop says it breaks."""
    found = re.search(r'^BREAKS = "([A-Z]+-\d+)"$', path.read_text(), re.MULTILINE)
    assert found, f"{path.name} has no line BREAKS"
    return found[1]


def verdicts(path: Path, rule: str) -> list[tuple[str, str, str]]:
    """(case, verdict, rule) of the cases of `rule`, up to the first that catches the loop."""
    seen = []
    with Server(Spec.parse(f"{path}:new_event_loop"), Options(timeout_s=TIMEOUT_S)) as server:
        server.start()
        for case in [case for case in server.cases.values() if case.rule == rule]:
            ruling = decide(server.run(case.id), RULES.level_of)
            seen.append((case.id, ruling.verdict, ruling.rule))
            if ruling.verdict in CAUGHT and ruling.rule == rule:
                break
    return seen


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_caught_with_its_rule(path: Path) -> None:
    rule = breaks(path)
    needed = re.search(r"^NEEDS_PYTHON = \((\d+), (\d+)\)$", path.read_text(), re.MULTILINE)
    if needed and sys.version_info < (int(needed[1]), int(needed[2])):
        pytest.skip("this Python has not what it breaks")
    seen = verdicts(path, rule)
    assert seen, f"no case cites {rule}"
    assert seen[-1][1] in CAUGHT and seen[-1][2] == rule, seen


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_says_its_defect(path: Path) -> None:
    header = HEADER.match(path.read_text())
    assert header, "the file begins with a comment that tells the defect"
    assert f"Breaks {breaks(path)}." in header[0]
    assert re.search(r"\([^()]+\)\. Breaks", header[0].replace("\n# ", " ")), "the origin stands in parentheses"
    assert breaks(path) in RULES.by_id


def test_enough_of_them() -> None:
    assert len(FILES) >= 25
    assert len({breaks(path) for path in FILES}) >= 25
