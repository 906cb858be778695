# The page shows every rule and verdict, holds nothing that a loop could run or load, and refuses other files.
from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from documents import CONTROL, MINE, document, failure, loop, rule, verdict
from loopcheck import page
from loopcheck.verdict import VERDICTS

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"


class Reader(HTMLParser):
    """Tags, ids, text and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[str]:
        """The values of one attribute."""
        return [value or "" for _, attributes in self.tags for key, value in attributes.items() if key == name]


def read(*documents: dict[str, Any]) -> Reader:
    return Reader(page.render(documents or [document()]))


def cells(reader: Reader) -> list[tuple[str, str]]:
    """Where the cells of the matrix lead, and their classes."""
    found = [attributes for tag, attributes in reader.tags if tag == "a" and "cell" in (attributes.get("class") or "")]
    return [(found["href"] or "", found["class"] or "") for found in found]


def test_cells() -> None:
    anchor = "my/loop.py:new-event-loop-"
    passed = [f"#SOON-5/{CONTROL}", "cell "]
    assert cells(read()) == [tuple(passed), (f"#SOON-5/{anchor}", "cell unexpected")]
    known = failure(standing="expected", expectation={"reason": "a reason", "link": ""})
    assert cells(read(document(known))) == [(f"#SOON-5/{anchor}", "cell known")]


def test_counts_are_of_the_worst_first() -> None:
    verdicts = [verdict(case=f"test_two.py::{kind}", verdict=kind) for kind in VERDICTS]
    text = read(document(*verdicts, verdict(verdict="CRASH"))).text
    assert re.search(r"STALE\xa01\s+CRASH\xa02\s+SPIN\xa01", text)
    assert set(page.WORST_FIRST) == set(VERDICTS)


def test_all_that_is_known_of_a_failure() -> None:
    known = {"reason": "it is old", "link": "https://example.org/7"}
    reader = read(document(failure(standing="expected", expectation=known, cites="SOON-6")))
    for word in ("it ran twice", "it is old", "open program 0", "closed", "soon c1", "the control: PASS", "7.8.9"):
        assert word in reader.text
    assert "https://example.org/7" in reader.all("href")
    assert "the case is about SOON-6, and was seen to break SOON-5" in reader.text
    assert "see SOON-5" in reader.text


def test_rules_without_cases_and_unproven_rules() -> None:
    rules = [rule("A-1", cases=0), rule("A-2", cases=0, is_monitored=True), rule("A-3", is_proven=False)]
    text = read(document(rules=rules)).text
    assert text.count("(no case of its own, not judged here)") == 1
    assert text.count("(no case of its own: judged in every case)") == 1
    assert text.count("(unproven: never seen to fail, so it does not count)") == 1
    assert len(re.findall(r"no case(?! of)", text)) == 4
    assert text.count("not run") == 2


def test_verdict_on_what_is_no_rule_has_a_row() -> None:
    reader = read(document(failure(rule="KIT-1", area="kit")))
    assert "KIT-1" in reader.all("id")
    assert "kit" in reader.all("data-area")


@pytest.mark.parametrize("key", ["case", "rule", "area", "level", "detail", "again", "cites", "trace", "program"])
def test_text_of_a_loop_is_inert(key: str) -> None:
    reader = read(document(failure(**{"rule": "KIT-1", key: EVIL})))
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in reader.tags]
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert "alert(2)" in reader.text


def test_names_versions_and_notes_are_inert() -> None:
    strange = [loop(EVIL, version=EVIL, expectation=EVIL)]
    known = {"reason": EVIL, "link": "javascript:alert(3)"}
    reader = read(document(verdict(EVIL, expectation=known), loops=strange, notes=[EVIL], python=EVIL, loopcheck=EVIL))
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in reader.tags]
    assert not [link for link in reader.all("href") if not link.startswith(("#", "data:,"))]
    assert "javascript:alert(3)" in reader.text


def test_page_needs_nothing_else() -> None:
    reader = read()
    assert not reader.all("src")
    assert not reader.all("style")
    assert all(link.startswith(("#", "data:,")) for link in reader.all("href"))
    policy = reader.all("content")[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "url(" not in page.render([document()])


def luminance(colour: str) -> float:
    """Relative luminance as of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_can_be_told_apart(scheme: int) -> None:
    blocks = (page.TEMPLATES / "report.css").read_text().split("@media")[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[scheme]))
    pairs = [(name, f"{name}-ground") for name in ("bad", "warn", "info")]
    pairs += [(name, ground) for name in ("text", "muted", "link", "good", "bad") for ground in ("ground", "raised")]
    for one, other in pairs:
        light, dark = sorted((luminance(colours[one]), luminance(colours[other])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (one, other)


def test_links_lead_somewhere_and_anchors_are_one_each() -> None:
    reader = read(document(), document(python="CPython 3.13.0"))
    ids = reader.all("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in reader.all("href") if link.startswith("#")} <= set(ids)
    assert f"{CONTROL}/test_two.py::test_wild" in ids
    assert f"{CONTROL}~2/test_two.py::test_wild" in ids


def test_headers_say_what_they_head() -> None:
    tags = read().tags
    heads = [attributes.get("scope") for tag, attributes in tags if tag == "th"]
    assert heads == ["col"] * 3 + ["rowgroup"] + ["row"] * 2
    assert ("html", {"lang": "en"}) in tags


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "1 verdict on 2 loops: all as expected"),
        (2, "1 verdict on 2 loops: something could not be used, all as expected"),
        (3, "1 verdict on 2 loops: the kit itself failed, all as expected"),
    ],
)
def test_headline(status: int, words: str) -> None:
    reader = read(document(verdict(), exit_status=status))
    assert words in reader.text
    assert ("h1", {"class": "bad" if status else "good"}) in reader.tags


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "schema 1"),
        (json.dumps(document(schema=2)), "schema 1"),
        (json.dumps(document(loops=7)), "is not what a check writes"),
        (json.dumps(document({"loop": MINE})), "is not what a check writes"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(page.Unreadable, match=word):
        page.load(tmp_path / "file.json")
    with pytest.raises(page.Unreadable, match="No such file"):
        page.load(tmp_path / "nosuch.json")
