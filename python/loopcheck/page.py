"""The results of one or more checks as one HTML page that needs nothing else.

The page is made of what results.json holds. All of that is taken for hostile: the template escapes
it, and a content security policy lets nothing run but the page's own script.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from loopcheck.check import Results
from loopcheck.report import SCHEMA, fragment, to_document
from loopcheck.verdict import FAILURES

TEMPLATES = Path(__file__).resolve().parent / "templates"
WORST_FIRST = (
    "STALE",
    "CRASH",
    "SPIN",
    "HANG",
    "LEAK",
    "FAIL",
    "VACUOUS",
    "WARN",
    "DIFF",
    "INAPPLICABLE",
    "MISSING",
    "SKIP",
    "PASS",
)
MEANINGS = {3: "the kit itself failed", 130: "interrupted", 2: "something could not be used"}  # of an exit status
LOOPS_FITTING = 7  # beside one another on a narrow desktop; the table scrolls within the page when there are more
SHORT_CHARS_MAX = 200  # of a version, or of a name in a heading

Document = dict[str, Any]  # what a results.json holds


class Unreadable(Exception):
    """A file does not hold results that this version reads; str() is one sentence."""


@dataclass(frozen=True)
class Column:
    """One loop of one check."""

    name: str
    label: str  # its name without folders
    anchor: str
    version: str
    python: str
    is_control: bool
    expectation: str
    counts: list[tuple[str, int]]
    unexpected: int
    verdicts: list[dict[str, Any]]


@dataclass(frozen=True)
class CaseView:
    """One verdict, and the anchor of its case."""

    anchor: str
    verdict: dict[str, Any]

    @property
    def is_unexpected(self) -> bool:
        return is_unexpected(self.verdict)

    @property
    def kinds(self) -> str:
        """What the filter goes by."""
        failing = ["failing"] if self.verdict["verdict"] in FAILURES else []
        return " ".join(failing + ["unexpected"] * self.is_unexpected)

    @property
    def link(self) -> str:
        """The expectation's link where it leads to the web, "" for any other."""
        link = str(self.verdict.get("expectation", {}).get("link", ""))
        return link if link.startswith(("https://", "http://")) else ""


@dataclass(frozen=True)
class Cell:
    """The cases of one rule on one loop, the worst first."""

    column: Column
    anchor: str
    cases: list[CaseView]
    elsewhere: list[str]  # other rules that cases of this one were seen to break on this loop

    @property
    def counts(self) -> list[tuple[str, int]]:
        return counted(case.verdict for case in self.cases)

    @property
    def standing(self) -> str:
        """One word for what is not a pass, "" where all is well."""
        if any(case.is_unexpected for case in self.cases):
            return "unexpected"
        return "known" if any(case.verdict["standing"] == "expected" for case in self.cases) else ""


@dataclass(frozen=True)
class RuleView:
    """A row of the matrix."""

    id: str
    anchor: str
    level: str
    sentence: str
    is_proven: bool
    without: str  # why it has no cases, "" when it has some
    cells: list[Cell]

    @property
    def kinds(self) -> str:
        return " ".join(sorted({kind for cell in self.cells for case in cell.cases for kind in case.kinds.split()}))


@dataclass
class Anchors:
    """Names for fragments: what a URL holds as it is, each given once."""

    given: set[str] = field(default_factory=set)

    def give(self, text: str) -> str:
        anchor, number = fragment(text), 1
        while anchor in self.given:
            number += 1
            anchor = f"{fragment(text)}~{number}"
        self.given.add(anchor)
        return anchor


def is_unexpected(verdict: dict[str, Any]) -> bool:
    return str(verdict["standing"]).startswith("unexpected")


def counted(verdicts: Iterator[dict[str, Any]]) -> list[tuple[str, int]]:
    """How many of each kind, the worst first."""
    counts = Counter(str(verdict["verdict"]) for verdict in verdicts)
    known = [(name, counts.pop(name)) for name in WORST_FIRST if name in counts]
    return sorted(counts.items()) + known


def render(documents: Sequence[Document]) -> str:
    """The page. Raises KeyError, TypeError, ValueError or AttributeError when a document is not what a check writes."""
    anchors = Anchors()
    columns = [column for document in documents for column in _columns(document, anchors)]
    views: dict[str, list[RuleView]] = {}
    for rule in _rules(documents, columns):
        views.setdefault(str(rule["area"]), []).append(_rule_view(rule, columns, anchors))
    style = f":root {{ --loops: {len(columns)} }}\n" + (TEMPLATES / "report.css").read_text("utf-8")
    script = (TEMPLATES / "report.js").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    return environment.get_template("report.html.j2").render(
        areas=views,
        columns=columns,
        headline=headline(documents, columns),
        is_good=all(document["exit_status"] == 0 for document in documents),
        loopcheck=documents[0]["loopcheck"],
        loops_fitting=LOOPS_FITTING,
        notes=[note for document in documents for note in document["notes"]],
        rule_count=sum(map(len, views.values())),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def headline(documents: Sequence[Document], columns: Sequence[Column]) -> str:
    """One line: how many verdicts, and what they mean."""
    verdicts, unexpected = sum(len(c.verdicts) for c in columns), sum(c.unexpected for c in columns)
    meaning = f"{unexpected} unexpected" if unexpected else "all as expected"
    statuses = {document["exit_status"] for document in documents}
    grave = [text for status, text in MEANINGS.items() if status in statuses]
    loops = f"{len(columns)} loop{'s' * (len(columns) != 1)}"
    return f"{verdicts} verdict{'s' * (verdicts != 1)} on {loops}: {', '.join([*grave[:1], meaning])}"


def breakable(text: str) -> Markup:
    """The text with places where a long name may be broken."""
    return Markup("").join(escape(part) + Markup("<wbr>") * (part[-1:] in "_:./-") for part in _pieces(text))


def _pieces(text: str) -> list[str]:
    return [piece for piece in re.split(r"(?<=[_:./-])(?=\w)", text) if piece]


def from_results(results: Results) -> str:
    """The page of one check."""
    return render([to_document(results)])


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _columns(document: Document, anchors: Anchors) -> Iterator[Column]:
    for loop in document["loops"]:
        name = str(loop["name"])
        verdicts = [verdict for verdict in document["verdicts"] if verdict["loop"] == name]
        yield Column(
            name=name,
            label=name.rsplit("/", 1)[-1][:SHORT_CHARS_MAX],
            anchor=anchors.give(name),
            version=str(loop["version"])[:SHORT_CHARS_MAX],
            python=str(document["python"]),
            is_control=bool(loop["is_control"]),
            expectation=str(loop["expectation"]),
            counts=counted(iter(verdicts)),
            unexpected=sum(map(is_unexpected, verdicts)),
            verdicts=verdicts,
        )


def _rules(documents: Sequence[Document], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """All rules, then what verdicts are about and no document has as a rule."""
    rules = {rule["id"]: rule for document in documents for rule in document["rules"]}
    for verdict in (verdict for column in columns for verdict in column.verdicts):
        strange = {"id": verdict["rule"], "area": verdict["area"], "level": verdict["level"], "sentence": ""}
        rules.setdefault(verdict["rule"], {**strange, "is_proven": True, "is_monitored": True, "cases": 1})
    order = {area: number for number, area in enumerate(dict.fromkeys(rule["area"] for rule in rules.values()))}
    return sorted(rules.values(), key=lambda rule: order[rule["area"]])


def _rule_view(rule: dict[str, Any], columns: Sequence[Column], anchors: Anchors) -> RuleView:
    rule_id = str(rule["id"])[:SHORT_CHARS_MAX]
    without = ""
    if not rule["cases"]:
        without = "no case of its own" + (": judged in every case" if rule["is_monitored"] else ", not judged here")
    return RuleView(
        id=rule_id,
        anchor=anchors.give(rule_id),
        level=str(rule["level"]),
        sentence=str(rule["sentence"]),
        is_proven=bool(rule["is_proven"]),
        without=without,
        cells=[_cell(rule["id"], column, anchors) for column in columns],
    )


def _cell(rule_id: str, column: Column, anchors: Anchors) -> Cell:
    mine = [verdict for verdict in column.verdicts if verdict["rule"] == rule_id]
    other = [verdict["rule"] for verdict in column.verdicts if verdict["cites"] == rule_id]
    mine.sort(key=lambda v: (not is_unexpected(v), v["verdict"] == "PASS", WORST_FIRST.index(v["verdict"])))
    return Cell(
        column=column,
        anchor=anchors.give(f"{rule_id}/{column.anchor}"),
        cases=[CaseView(anchors.give(f"{column.anchor}/{verdict['case']}"), verdict) for verdict in mine],
        elsewhere=list(dict.fromkeys(rule for rule in other if rule != rule_id)),
    )


def load(path: Path) -> Document:
    """Reads a results.json. Raises Unreadable."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"{path}:{error.lineno}: this is not JSON, or only a part of it: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path} is not JSON: {error}") from error
    version = document.get("schema") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        line = next((n for n, text in enumerate(path.read_text("utf-8").splitlines(), 1) if '"schema"' in text), 1)
        raise Unreadable(f"{path}:{line}: schema {version} is of a newer loopcheck; this one reads schema {SCHEMA}")
    if version != SCHEMA or not isinstance(document, dict):
        raise Unreadable(f"{path} has no results of schema {SCHEMA}, which is what this loopcheck reads")
    try:
        render([document])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"{path} is not what a check writes: {type(error).__name__} {error}") from error
    return document
