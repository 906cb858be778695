# Rules are found by id and by area, whatever the case, and a wrong name is answered with near ones.
from __future__ import annotations

from pathlib import Path

import pytest
from loopcheck import paths
from loopcheck.load import KitFault
from loopcheck.rules import LEVELS, Rules, UnknownRule
from two_cases import RULES


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    return load(tmp_path, RULES)


def load(path: Path, text: str) -> Rules:
    (path / "rules.toml").write_text(text)
    return Rules.load(path / "rules.toml")


def test_find(rules: Rules) -> None:
    assert [rule.id for rule in rules.find("soon-5")] == ["SOON-5"]
    assert [rule.id for rule in rules.find("Scheduling")] == ["SOON-5", "SOON-6"]
    assert rules.find_id("soon-6") == "SOON-6"


def test_unknown_rule_is_answered_with_near_ones(rules: Rules) -> None:
    with pytest.raises(UnknownRule, match=r"near it: SOON-[56], SOON-[56]"):
        rules.find("SOON5")
    with pytest.raises(UnknownRule, match="near it: scheduling"):
        rules.find("schedulling")
    with pytest.raises(UnknownRule, match="lists them all"):
        rules.find_id("§§")
    with pytest.raises(UnknownRule, match="'Scheduling' is an area, not a rule; its rules are SOON-5, SOON-6"):
        rules.find_id("Scheduling")


def test_a_rule_never_seen_to_fail_is_unproven(rules: Rules) -> None:
    assert [rule.is_proven for rule in rules.by_id.values()] == [True, False, False]


def test_what_is_not_in_the_file_is_a_must(rules: Rules) -> None:
    assert (rules.level_of("SOON-6"), rules.level_of("KIT-1")) == ("SHOULD", "MUST")
    assert (rules.area_of("SOON-6"), rules.area_of("KIT-1")) == ("scheduling", "kit")
    assert rules.sentence_of("KIT-1") == ""


@pytest.mark.parametrize(
    "text",
    [
        "[[rule",
        "rule = 3",
        RULES.replace("MUST", "MIGHT"),
        RULES.replace("area", "aera"),
        RULES.replace('["PEP 3156"]', '"PEP"'),
    ],
)
def test_bad_file_is_the_kits_fault(tmp_path: Path, text: str) -> None:
    with pytest.raises(KitFault, match=r"rules\.toml cannot be read"):
        load(tmp_path, text)


def test_our_own_rules() -> None:
    rules = Rules.load(paths.rules_file())
    assert len(rules.by_id) >= 25
    assert all(rule.level in LEVELS and rule.sentence.endswith(".") for rule in rules.by_id.values())
