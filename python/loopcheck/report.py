"""Results as files: results.json, summary.md, JUnit XML; page.py makes index.html."""

from __future__ import annotations

import json
import os
import platform
import re
import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from typing import Any

import loopcheck
from loopcheck.check import Results, Row
from loopcheck.rules import Rule
from loopcheck.verdict import FAILURES

JSON_NAME, SUMMARY_NAME, PAGE_NAME = "results.json", "summary.md", "index.html"  # of the files of --report
SCHEMA = 1  # the version of results.json: higher when a reader of an older one would misread it


class Unwritable(Exception):
    """A report cannot be written; str() is one sentence."""


def to_json(results: Results) -> str:
    """The whole check as JSON, as results.schema.json describes it."""
    return json.dumps(to_document(results), indent=1) + "\n"


def to_document(results: Results) -> dict[str, Any]:
    """What `to_json` writes."""
    return {
        "schema": SCHEMA,
        "loopcheck": loopcheck.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "exit_status": results.exit_status,
        "notes": [*results.notes, *results.unusable, *results.faults],
        "unexpected": [f"{row.loop} {row.case}: {row.verdict} of {row.rule}" for row in results.unexpected],
        "loops": [asdict(loop) for loop in results.loops],
        "rules": [_rule(rule, results.cases.get(rule.id, 0)) for rule in results.rules],
        "verdicts": [_verdict(row) for row in results.rows],
    }


def _rule(rule: Rule, cases: int) -> dict[str, Any]:
    return {
        "id": rule.id,
        "area": rule.area,
        "level": rule.level,
        "sentence": rule.sentence,
        "is_proven": rule.is_proven,
        "is_monitored": rule.is_monitored,
        "cases": cases,
    }


def _verdict(row: Row) -> dict[str, Any]:
    """Eight keys, three more that every verdict has, and what there is of the optional ones."""
    names = ("loop", "case", "rule", "area", "level", "verdict", "detail", "seconds", "cites", "again")
    verdict = {name: getattr(row, name) for name in names}
    verdict["standing"] = standing(row)
    if row.deviation is not None:
        verdict["expectation"] = {"reason": row.deviation.reason, "link": row.deviation.link}
    if row.program:
        verdict["program"] = row.program
    if row.trace:
        verdict["trace"] = row.trace
    if row.control is not None:
        verdict["control"] = asdict(row.control)
    return verdict


def fragment(*parts: str) -> str:
    """The anchor of loop/case, or of a rule, on the page: only what a URL holds as it is."""
    return "/".join(re.sub(r"[^A-Za-z0-9_.:/~-]+", "-", part) or "-" for part in parts)


def standing(row: Row) -> str:
    """One phrase: was it expected, and does it count?"""
    if row.verdict == "STALE":
        return "unexpected pass"
    if row.is_unexpected:
        return "unexpected"
    if row.deviation is not None:
        return "expected"
    return "unexpected" if row.verdict in FAILURES else "no failure"


def reason(row: Row) -> str:
    """Why it is expected, from the expect file, with its link; "" where it is not."""
    if row.deviation is None:
        return ""
    return " ".join(part for part in (row.deviation.reason, row.deviation.link) if part)


def areas(results: Results) -> dict[str, dict[str, list[Row]]]:
    """Rows by loop and by area: loops as they were named, areas as rules.toml has them."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in results.rows:
        found.setdefault(row.loop, {}).setdefault(row.area, []).append(row)
    order = {area: number for number, area in enumerate(results.areas)}
    return {
        loop: dict(sorted(rows.items(), key=lambda item: order.get(item[0], len(order))))
        for loop, rows in found.items()
    }


def to_markdown(results: Results) -> str:
    """A summary for people: what applied, one table a loop x area, then all that did not pass."""
    names = list(results.counts())
    lines = [f"# loopcheck {loopcheck.__version__}: {headline(results)}", ""]
    lines += [f"- {_one_line(note)}" for note in (*results.notes, *results.unusable, *results.faults)]
    lines += ["", f"| loop | area | {' | '.join(names)} | cases |", f"|---|---|{'---:|' * (len(names) + 1)}"]
    for loop, by_area in areas(results).items():
        for area, rows in by_area.items():
            counts = results.counts(rows)
            cells = [str(counts.get(name, "")) for name in names]
            lines.append(f"| {loop} | {area} | {' | '.join(cells)} | {len(rows)} |")
    left = [row for row in results.rows if row.verdict != "PASS"]
    if left:
        lines += ["", "## What did not pass"]
    for row in sorted(left, key=lambda row: not row.is_unexpected):
        lines += ["", f"### {row.verdict} {row.rule}: `{row.case}` on {row.loop} ({standing(row)})", ""]
        lines += [f"- rule: {row.rule_sentence}"] if row.rule_sentence else []
        lines += [f"- seen: {_one_line(row.detail)}"] if row.detail else []
        lines += [f"- known: {_one_line(reason(row))}"] if row.deviation else []
        lines += [f"- replay: `{row.again}`"]
        lines += [f"- trace: [{PAGE_NAME}]({PAGE_NAME}#{fragment(row.loop, row.case)})"]
    return "\n".join(lines) + "\n"


def headline(results: Results) -> str:
    """One line: how many verdicts of which kind, and what that means."""
    counts = ", ".join(f"{count} {name}" for name, count in results.counts().items())
    unexpected = len(results.unexpected)
    if results.is_interrupted:
        meaning = "interrupted"
    elif results.faults:
        meaning = "the kit itself failed"
    elif results.unusable:
        meaning = "something could not be used"
    else:
        meaning = f"{unexpected} unexpected" if unexpected else "all as expected"
    if not results.rows:
        return f"no verdicts: {meaning}"
    return f"{len(results.rows)} verdict{'s' * (len(results.rows) > 1)} ({counts}): {meaning}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("`", "'").replace("|", "\\|")


def to_junit(results: Results, page: str = "") -> str:
    """JUnit XML: one suite a loop, one test a case; an expected failure is a skip with its reason.

    `page` is where the page is, seen from the file: what did not pass says where its trace is.
    """
    root = ET.Element("testsuites", name="loopcheck")
    for loop in dict.fromkeys(row.loop for row in results.rows):
        rows = [row for row in results.rows if row.loop == loop]
        skips = [row for row in rows if not row.is_unexpected and _is_skip(row)]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_xml_text(loop),
            tests=str(len(rows)),
            failures=str(sum(row.is_unexpected for row in rows)),
            errors="0",
            skipped=str(len(skips)),
            time=f"{sum(row.seconds for row in rows):.3f}",
        )
        for row in rows:
            _junit_case(suite, row, page)
    for sentence in (*results.unusable, *results.faults):
        suite = ET.SubElement(root, "testsuite", name="loopcheck", tests="1", failures="0", errors="1", skipped="0")
        case = ET.SubElement(suite, "testcase", classname="loopcheck", name="the check itself")
        ET.SubElement(case, "error", message=_xml_text(sentence))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _is_skip(row: Row) -> bool:
    return row.verdict in ("SKIP", "MISSING") or row.deviation is not None


def _junit_case(suite: ET.Element, row: Row, page: str) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=_xml_text(f"{row.loop}.{row.area}"), name=row.case, time=f"{row.seconds:.3f}"
    )
    message = _xml_text(f"{row.verdict} {row.rule}: {row.detail}")
    lines = [f"rule: {row.rule_sentence}", f"seen: {row.detail}", f"again: {row.again}"]
    lines += [f"trace: {page}#{fragment(row.loop, row.case)}"] if page else []
    text = _xml_text("\n".join(lines))
    if row.is_unexpected:
        ET.SubElement(case, "failure", type=row.verdict, message=message).text = text
        return
    if _is_skip(row):
        ET.SubElement(case, "skipped", message=message + _xml_text(f" ({reason(row)})" if row.deviation else ""))
    if row.verdict != "PASS":
        ET.SubElement(case, "system-out").text = text


def _xml_text(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return "".join(c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" else "?" for c in text)


def seen_from(file: Path, page: Path) -> str:
    """The page's path, relative to the folder of another file."""
    return os.path.relpath(page, file.parent)


def check_writable(path: Path) -> None:
    """Raises Unwritable unless a file can be written at path; leaves what is there as it is."""
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror}") from error


def make_directory(path: Path) -> None:
    """Makes a directory for reports. Raises Unwritable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unwritable(f"{path} cannot be made: {error.strerror}") from error


def write(path: Path, text: str) -> None:
    """Writes one file. Raises Unwritable."""
    try:
        path.write_text(text, "utf-8", errors="replace")
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror}") from error
