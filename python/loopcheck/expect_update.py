"""`loopcheck check LOOP --update-expect [FILE]`: what was seen becomes the expect file.

What differs from the file is run twice more. New deviations are added, to be explained by a person; stale entries are
taken out; an entry that saw other verdicts gets them. All else stays as it was written: reasons, comments, order.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loopcheck import paths, report
from loopcheck.check import Check, Results, Row, which
from loopcheck.expect import Deviation, Expectations, ExpectError, holds
from loopcheck.load import KitFault, Spec
from loopcheck.pool import Done, Task
from loopcheck.verdict import FAILURES, VERDICTS, Facts, Ruling

UNEXPLAINED = "to be explained"  # begins a reason that nobody has written yet; tidy does not let it through
ANY_RULE = "*"  # of an entry about crashes and hangs, which have none of their own
RUNS = 3  # of a case that differs from the file
REASON_CHARS_MAX = 120
_HEADER = re.compile(r"^\[\[\s*deviation\s*\]\]")
_VERDICT = re.compile(r"""^(verdict\s*=\s*)(\[[^\]]*\]|"[^"]*"|'[^']*')""", re.MULTILINE)

Seen = dict[str, list[Ruling]]  # by case: one ruling a run


@dataclass
class Entry:
    """One entry as text: what stands between it and the one before, and its own lines."""

    lead: str
    body: str
    deviation: Deviation


@dataclass
class Book:
    """An expect file that can be edited: `text()` of one that nobody changed is what was read."""

    entries: list[Entry]
    end: str = ""  # what follows the last entry

    @classmethod
    def read(cls, text: str, deviations: list[Deviation]) -> Book:
        """Takes a file apart, which was read as these deviations. Raises ExpectError."""
        lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")] if text else []
        heads = [number for number, line in enumerate(lines) if _HEADER.match(line)]
        if len(heads) != len(deviations):
            raise ExpectError("the file is laid out in a way that cannot be edited: each [[deviation]] needs a line")
        entries, begin = [], 0
        for head, after, deviation in zip(heads, [*heads, len(lines)][1:], deviations, strict=True):
            last = after
            while last > head + 1 and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
                last -= 1
            entries.append(Entry("".join(lines[begin:head]), "".join(lines[head:last]), deviation))
            begin = last
        return cls(entries, "".join(lines[begin:]))

    def text(self) -> str:
        """The whole file."""
        return "".join(entry.lead + entry.body for entry in self.entries) + self.end

    def remove(self, entry: Entry) -> None:
        """Takes an entry out, with a comment right above it; the file's first words and a section's stay."""
        place = self.entries.index(entry)
        del self.entries[place]
        kept = entry.lead[: entry.lead.rfind("\n\n") + 1].rstrip("\n")
        kept = kept or (entry.lead.rstrip("\n") if place == 0 else "")
        kept += "\n" * bool(kept)
        if place == len(self.entries):
            self.end = kept + self.end
        elif kept or place:
            self.entries[place].lead = kept + self.entries[place].lead
        else:
            self.entries[place].lead = self.entries[place].lead.lstrip("\n")

    def widen(self, entry: Entry, verdicts: set[str]) -> None:
        """Writes other verdicts into an entry. Raises ExpectError."""
        ordered = tuple(name for name in VERDICTS if name in verdicts)
        entry.body, count = _VERDICT.subn(lambda match: match[1] + _verdicts(ordered), entry.body, count=1)
        if count == 0:
            raise ExpectError(f"the verdict of {entry.deviation.case} stands in a form that cannot be edited")
        entry.deviation = replace(entry.deviation, verdicts=ordered)

    def add(self, deviation: Deviation) -> None:
        """Puts an entry behind those of the same file of cases, or else behind all of its kind."""
        file = deviation.case.partition("::")[0]
        kind = [n for n, entry in enumerate(self.entries) if entry.deviation.under == deviation.under]
        beside = [n for n in kind if self.entries[n].deviation.case.partition("::")[0] == file]
        place = max(beside or kind or [len(self.entries) - 1]) + 1
        lines = ["[[deviation]]", f"case = {_quoted(deviation.case)}", f"verdict = {_verdicts(deviation.verdicts)}"]
        lines += [f"rule = {_quoted(deviation.rule)}", f"reason = {_quoted(deviation.reason)}"]
        lines += [f"under = {_quoted(deviation.under)}"] if deviation.under else []
        lead = "\n" if place else self.end + "\n" * bool(self.end)
        self.end = self.end if place else ""
        self.entries.insert(place, Entry(lead, "\n".join(lines) + "\n", deviation))


@dataclass
class Changes:
    """What became other, one sentence each."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.widened)

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.removed)} taken out, {len(self.widened)} changed"


class Update:
    """Carries over what was seen into a book. `is_complete`: all cases were run, so what is about none is stale."""

    def __init__(self, book: Book, expectations: Expectations, seen: Seen, *, is_complete: bool) -> None:
        self.book = book
        self.expectations = expectations
        self.seen = seen
        self.is_complete = is_complete
        self.changes = Changes()
        under = expectations.under
        self.under = "faults" if "faults" in under else "virtual-time" if under else ""

    def carry_out(self) -> Changes:
        """Raises ExpectError when an entry cannot be edited."""
        for entry in [entry for entry in self.book.entries if self._may_touch(entry) and self._is_stale(entry)]:
            self._remove(entry)
        for case_id in self.seen:
            self._cover(case_id)
        for entry in filter(self._may_touch, self.book.entries):
            if "PASS" not in entry.deviation.verdicts and any(r.verdict == "PASS" for r in self._rulings(entry)):
                self._widen(entry, {*entry.deviation.verdicts, "PASS"})
        return self.changes

    def _may_touch(self, entry: Entry) -> bool:
        """Is the entry about runs like this one? Others are nobody's business here."""
        it, here = entry.deviation, self.expectations
        return it.under == self.under and holds(it.python, here.python) and holds(it.loop_version, here.loop_version)

    def _is_about(self, entry: Entry, case_id: str) -> bool:
        return entry.deviation.applies_to(case_id, self.expectations.python, self.expectations.loop_version)

    def _rulings(self, entry: Entry) -> list[Ruling]:
        return [ruling for case_id in self.seen if self._is_about(entry, case_id) for ruling in self.seen[case_id]]

    def _is_stale(self, entry: Entry) -> bool:
        rulings = self._rulings(entry)
        if not rulings:
            return self.is_complete
        return "PASS" not in entry.deviation.verdicts and all(ruling.verdict == "PASS" for ruling in rulings)

    def _cover(self, case_id: str) -> None:
        """Sees to it that every failure of a case is expected."""
        about = [entry for entry in self.book.entries if self._is_about(entry, case_id)]
        about = [entry for entry in about if entry.deviation.under in ("", *self.expectations.under)]
        for rule, rulings in _uncovered(about, self.seen[case_id]).items():
            verdicts = {ruling.verdict for ruling in self.seen[case_id] if ruling.rule == rule and _is_failure(ruling)}
            own = [entry for entry in about if entry.deviation.case == case_id and self._may_touch(entry)]
            same = [entry for entry in own if entry.deviation.rule == rule]
            if same:
                had = set(same[0].deviation.verdicts)
                self._widen(same[0], verdicts | had if had & {*verdicts, "PASS"} else verdicts)
                continue
            for entry in [entry for entry in own if self._is_past(entry, case_id) and entry in self.book.entries]:
                self._remove(entry)
            self._add(case_id, rule, verdicts, rulings[0].detail)

    def _is_past(self, entry: Entry, case_id: str) -> bool:
        """Does something else happen now, and nothing of what the entry expects?"""
        it = entry.deviation
        was_seen = any(ruling.rule == it.rule and ruling.verdict in it.verdicts for ruling in self.seen[case_id])
        return not was_seen and it.rule != ANY_RULE and "PASS" not in it.verdicts

    def _add(self, case_id: str, rule: str, verdicts: set[str], detail: str) -> None:
        if any(ruling.verdict == "PASS" for ruling in self.seen[case_id]):
            verdicts = verdicts | {"PASS"}
        ordered = tuple(name for name in VERDICTS if name in verdicts)
        first = (detail.splitlines() or [""])[0][:REASON_CHARS_MAX].strip()
        reason = f"{UNEXPLAINED}: {first or 'nothing was said'}"
        self.book.add(Deviation(case_id, ordered, rule, reason, under=self.under))
        self.changes.added.append(f"added: {case_id}: {' or '.join(ordered)} of {rule}")

    def _remove(self, entry: Entry) -> None:
        self.book.remove(entry)
        it = entry.deviation
        self.changes.removed.append(f"taken out: {it.case}: {' or '.join(it.verdicts)} of {it.rule} ({it.reason})")

    def _widen(self, entry: Entry, verdicts: set[str]) -> None:
        had = entry.deviation
        self.book.widen(entry, verdicts)
        now = " or ".join(entry.deviation.verdicts)
        self.changes.widened.append(f"changed: {had.case}: {now} of {had.rule}, was {' or '.join(had.verdicts)}")


class UpdateCheck(Check):
    """A check of one loop that ends with a file in which everything is expected."""

    def __init__(self, *arguments: Any, file: Path) -> None:
        super().__init__(*arguments)
        self.file = file
        self.spec = self.plan.loops[0]
        self.seen: Seen = {}

    def run(self) -> Results:
        """Also raises report.Unwritable. What was not seen to the end is not written."""
        results = super().run()
        hindrances = results.faults + results.unusable + ["it was interrupted"] * results.is_interrupted
        if not hindrances and self.pool.server_of(self.spec.text).plain:
            hindrances = ["it is only the stdlib's loop under another name"]
        if hindrances:
            self._say(f"{paths.short(self.file)} was not written: {hindrances[0]}")
        else:
            self._write()
        return results

    def _expectations_for(self, spec: Spec, choice: str) -> Expectations:
        if spec != self.spec:
            return super()._expectations_for(spec, choice)
        return Expectations.load(self.file) if self.file.exists() else Expectations()

    def _decide(self, spec: Spec, facts: Facts) -> Ruling:
        ruling = super()._decide(spec, facts)
        if spec == self.spec:
            self.seen.setdefault(facts.case.id, []).append(ruling)
        return ruling

    def _compare_with_control(self) -> None:
        """What differs is run again first; the control itself is compared with nothing."""
        differ = [row.case for row in self.results.unexpected if not self._is_plain(row)]
        if differ:
            self._say(f"running {len(differ)} of the cases {RUNS - 1} times more, to tell what is flaky")
            self.pool.run([Task(self.spec, case_id) for case_id in differ for _ in range(1, RUNS)], self._look_again)
        if not self.spec.is_control:
            super()._compare_with_control()

    def _look_again(self, done: Done) -> None:
        if done.facts is None:
            raise KitFault(f"{done.task.case_id} could not be run again: {done.error!r}")
        self._decide(done.task.spec, done.facts)

    def _write(self) -> None:
        expectations = self._expectations[self.spec.text]
        name = paths.short(self.file)
        version = f" {expectations.loop_version}" if expectations.loop_version else ""
        text = self.file.read_text("utf-8") if expectations.path else f"# What {self.spec.module}{version} breaks.\n"
        book = Book.read(text, expectations.deviations)
        order = {row.case: self.seen[row.case] for row in self.results.rows}
        changes = Update(book, expectations, order, is_complete=not self.plan.is_filtered).carry_out()
        if not changes:
            self._say(f"{name}: nothing to change")
            return
        report.write(self.file, book.text())
        self._say(f"wrote {name}: {changes}")
        for sentence in (*changes.added, *changes.removed, *changes.widened):
            self._say(f"  {sentence}")
        now = Expectations.load(self.file)
        if now.deviations != [entry.deviation for entry in book.entries]:
            raise KitFault(f"{name} does not hold what was to be written")
        self._judge_anew(replace(expectations, path=now.path, deviations=now.deviations))

    def _judge_anew(self, expectations: Expectations) -> None:
        """The rows in the light of the new file."""
        self.results.rows = [self._judged_anew(row, expectations) for row in self.results.rows]
        self.results.loops = [replace(loop, expectation=which(expectations)) for loop in self.results.loops]

    def _judged_anew(self, row: Row, expectations: Expectations) -> Row:
        judged = expectations.judge(row.case, self.seen[row.case][0])
        ruling = judged.ruling
        row = replace(row, verdict=ruling.verdict, detail=ruling.detail, deviation=judged.deviation)
        row = replace(row, is_unexpected=judged.is_unexpected)
        return replace(row, trace="", program="", control=None) if ruling.verdict == "PASS" else row

    def _say(self, sentence: str) -> None:
        self.results.notes.append(sentence)
        self.watcher.note(sentence)


def file_for(spec: Spec) -> Path | None:
    """The file that is shipped for a loop, or the one that would be; None for the loop of a file."""
    shipped = [path for name in spec.expect_names if (path := paths.shipped_expect_file(name))]
    names = spec.expect_names
    return shipped[0] if shipped else paths.conformance_dir() / "expect" / f"{names[-1]}.toml" if names else None


def _is_failure(ruling: Ruling) -> bool:
    return ruling.verdict in FAILURES


def _uncovered(about: list[Entry], rulings: list[Ruling]) -> dict[str, list[Ruling]]:
    """By rule: the failures that no entry expects."""

    known = {(verdict, entry.deviation.rule) for entry in about for verdict in entry.deviation.verdicts}
    left: dict[str, list[Ruling]] = {}
    for ruling in filter(_is_failure, rulings):
        if known.isdisjoint({(ruling.verdict, ruling.rule), (ruling.verdict, ANY_RULE)}):
            left.setdefault(ruling.rule, []).append(ruling)
    return left


def _verdicts(names: tuple[str, ...]) -> str:
    listed = ", ".join(map(_quoted, names))
    return listed if len(names) == 1 else f"[{listed}]"


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    plain = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")
