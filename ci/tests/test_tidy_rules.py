"""tidy finds rules that nothing judges, citations that lead nowhere, and lists that leave something out."""

from __future__ import annotations

import re

import pytest
import tidy_rules

RULE = """[[rule]]
id = "FD-1"
area = "watchers"
level = "MUST"
sentence = "A watcher waits."
sources = ["PEP 3156, I/O Callbacks"]
needs = ["STOP", "asyncio"]
judged_by = ["monitor:contract/monitor_watch.c", "case:test_watchers.py::test_idle"]
seen_failing = ["mutant:eager", "broken:at_once"]
"""
FILES = {
    "contract/rules.toml": RULE,
    "contract/driver.h": "LC_CAP_STOP",
    "contract/monitor_watch.c": 'report("FD-1");\n',
    "conformance/test_watchers.py": '@case("FD-1", needs_run=True)\ndef test_idle(kit):\n    pass\n',
    "conformance/broken_loops/at_once.py": 'BREAKS = "FD-1"\n',
    "fuzz/mutants/watch.toml": '[[mutant]]\nid = "eager"\nrule = "FD-1"\n',
}


@pytest.fixture(autouse=True)
def one_proof_is_enough(monkeypatch):
    monkeypatch.setattr(tidy_rules, "PROVEN_MIN", 1)


def sentences(tree):
    return [problem.sentence for check in tidy_rules.CHECKS for problem in check(tree)]


def test_sound_tree(plant):
    assert sentences(plant(FILES)) == []


def test_family_stands_for_its_members(plant):
    source = FILES["conformance/test_watchers.py"].replace("@case", "@family")
    assert sentences(plant({**FILES, "conformance/test_watchers.py": source})) == []


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('"MUST"', '"MAYBE"', "level"),
        ("A watcher waits.", "A watcher waits", "full stop"),
        ('["PEP 3156, I/O Callbacks"]', "[]", "no source"),
        ("PEP 3156, I/O", "somebody said", "no known kind"),
        ('"STOP"', '"FLY"', "does not name"),
        ("monitor_watch.c", "monitor_none.c", "not named in"),
        ("::test_idle", "::test_busy", "no case"),
        ("mutant:eager", "mutant:lazy", "no mutant"),
        ("broken:at_once", "broken:never", "no mutant or broken loop"),
        (', "broken:at_once"', "", 'add "broken:at_once"'),
        (', "case:test_watchers.py::test_idle"', "", 'add "case:test_watchers.py::test_idle"'),
        ('"monitor:contract/monitor_watch.c", ', "", 'add "monitor:contract/monitor_watch.c"'),
        ('"FD-1"', '"FD-2"', "which is no rule"),
    ],
)
def test_defect_in_the_rules(plant, old, new, word):
    assert RULE.count(old) == 1
    assert any(word in text for text in sentences(plant({**FILES, "contract/rules.toml": RULE.replace(old, new)})))


def test_judge_twice(plant):
    judge = re.search(r'judged_by = \["(.*?)"', RULE)
    assert judge is not None
    twice = RULE.replace(f'["{judge[1]}"', f'["{judge[1]}", "{judge[1]}"')
    found = sentences(plant({**FILES, "contract/rules.toml": twice}))
    assert any(f"names {judge[1]} twice" in text for text in found)


def test_rule_twice_and_unjudged(plant):
    bare = '[[rule]]\nid = "FD-1"\narea = "a"\nlevel = "MUST"\nsentence = "A."\nsources = ["seed T1"]\n'
    found = sentences(plant({**FILES, "contract/rules.toml": RULE + bare}))
    assert any("stands twice" in text for text in found)
    assert any("judged by nothing" in text for text in found)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("conformance/test_watchers.py", '@case("FD-9")\ndef test_idle(kit):\n    pass\n'),
        ("contract/monitor_watch.c", 'report("FD-1"); report("FD-9");\n'),
        ("conformance/broken_loops/at_once.py", 'BREAKS = ("FD-1", "FD-9")\n'),
        ("fuzz/mutants/watch.toml", '[[mutant]]\nid = "eager"\nrule = "FD-9"\n'),
    ],
)
def test_citation_of_no_rule(plant, file, text):
    assert any("FD-9, which is no rule" in line for line in sentences(plant({**FILES, file: text})))


def test_too_few_proofs(plant, monkeypatch):
    monkeypatch.setattr(tidy_rules, "PROVEN_MIN", 2)
    assert any("at least 2" in text for text in sentences(plant(FILES)))
