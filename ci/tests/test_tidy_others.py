"""tidy finds corpus programs without a story, what the tools complain of, and a page of rules that is out of date."""

from __future__ import annotations

import pytest
import rules_page
import tidy
import tidy_corpus
import tidy_tools

RULES = '[[rule]]\nid = "FD-1"\narea = "watchers"\nlevel = "MUST"\nsentence = "A."\nsources = ["seed T1"]\nneeds = []\n'
RULES += "judged_by = []\nseen_failing = []\n"
STORY = "# found: seed T1     rule: FD-1     effect: spin\n"
PLACE = "corpora/regress/watchers/0001-idle.loop"


def test_story(plant):
    assert list(tidy_corpus.stories(plant({PLACE: STORY + "step\n", "contract/rules.toml": RULES}))) == []


@pytest.mark.parametrize(
    ("place", "story"),
    [
        (PLACE, STORY.replace("found:", "")),
        (PLACE, STORY.replace("effect: spin", "effect:")),
        (PLACE, STORY.replace("FD-1", "FD-9")),
        (PLACE, "step\n" + STORY),
        (PLACE, STORY + "# breaks: libuv\n"),
        (PLACE, STORY + "# breaks: libuv (docs/none.md)\n"),
        ("corpora/regress/watchers/idle.loop", STORY),
        ("corpora/idle.loop", STORY),
    ],
)
def test_no_story(plant, place, story):
    assert list(tidy_corpus.stories(plant({place: story, "contract/rules.toml": RULES})))


def test_program_that_cannot_be_read(plant):
    tree = plant({PLACE: STORY + "step\n", "corpora/seeds/timers/bad.loop": STORY + "flap w1\n"})
    assert [problem.path for problem in tidy_corpus.parsing(tree)] == ["corpora/seeds/timers/bad.loop"]


def test_ruff(plant):
    found = list(tidy_tools.ruff(plant({"ci/a.py": "import os\nx = [1,\n  2]\n"})))
    assert {("ci/a.py", 1)} <= {(problem.path, problem.line) for problem in found}
    assert any("reformatted" in problem.sentence for problem in found)


def test_mypy(plant):
    found = list(tidy_tools.mypy(plant({"python/loopcheck/a.py": "x: int = 1\ny: str = x\n"})))
    assert [(problem.path, problem.line) for problem in found] == [("python/loopcheck/a.py", 2)]


def test_clang_format(plant):
    found = list(tidy_tools.clang_format(plant({"loop/a.c": "int   a;\nint   b;\n", "loop/b.c": "int a;\n"})))
    assert [(problem.path, problem.line) for problem in found] == [("loop/a.c", 1)]


def test_tool_that_is_not_there(plant):
    assert "cannot be run" in next(tidy_tools.findings(plant({}), ["no-such-tool-at-all"])).sentence


def test_page_of_rules(plant):
    tree = plant({"contract/rules.toml": RULES})
    assert len(list(rules_page.is_current(tree))) == 1
    rules_page.write(tree)
    assert list(rules_page.is_current(plant({}))) == []
    assert list(rules_page.is_current(plant({"contract/rules.toml": RULES.replace('"A."', '"B."')})))


def test_broken_toml_is_a_problem(plant):
    found = list(tidy.problems(plant({"contract/rules.toml": "[[rule"}), ["rules"]))
    assert found and all("cannot be read" in problem.sentence for problem in found)


def test_unknown_group():
    assert tidy.main(["nothing"]) == 2
