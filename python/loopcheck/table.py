"""What a check looks like on a terminal, or in a log."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.box import Box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from loopcheck.check import Results, Row, Watcher
from loopcheck.load import Spec
from loopcheck.report import areas, headline, reason, standing
from loopcheck.rules import Rule

COLOURS = {"PASS": "green", "WARN": "yellow", "DIFF": "cyan", "SKIP": "dim", "MISSING": "blue", "INAPPLICABLE": "dim"}
FAILURE_COLOUR = "red"
# A rule under the head, one between loops, and no frame.
TABLE_BOX = Box("    \n    \n ── \n    \n ── \n ── \n    \n    \n")
DETAIL_CHARS_MAX = 600  # on the terminal; the files have all of it
KNOWN_WHOLE_MAX = 12  # more verdicts that are as expected are told by their reasons
KNOWN_CASES_MAX = 3  # that are named for one reason
SLOWEST, SLOWEST_OF = 5, 200  # so many of so many verdicts are told


def colour(verdict: str) -> str:
    """The style of a verdict's name."""
    return COLOURS.get(verdict, FAILURE_COLOUR)


class Live(Watcher):
    """Shows progress: a bar on a terminal, a line a loop elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._bars: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self._bad: dict[str, int] = {}
        if console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", style="red"),
                console=console,
                transient=True,
            )
            self._progress.start()

    def opened(self, spec: Spec, cases: int, expectation: str) -> None:
        """Says what will be run, and which expectations apply."""
        self._left[spec.text] = cases
        self.console.print(
            Text.assemble((spec.text, "bold"), f": {cases} case{'s' * (cases != 1)}, {expectation}"), soft_wrap=True
        )
        self._bar(spec.text, cases)

    def _bar(self, name: str, cases: int) -> None:
        if self._progress is not None:
            self._bars[name] = self._progress.add_task(name, total=cases, note="")

    def unusable(self, sentence: str) -> None:
        """The sentence itself goes to standard error, at the end."""

    def done(self, row: Row) -> None:
        """Moves the bar, or says that a loop is done."""
        self._left[row.loop] -= 1
        self._bad[row.loop] = self._bad.get(row.loop, 0) + row.is_unexpected
        bad = f"{self._bad[row.loop]} unexpected" if self._bad[row.loop] else ""
        if self._progress is not None:
            self._progress.update(self._bars[row.loop], advance=1, note=bad)  # type: ignore[arg-type]
        elif self._left[row.loop] == 0:
            self.console.print(Text(f"{row.loop}: done, {bad or 'all as expected'}"), soft_wrap=True)

    def control(self, cases: int) -> None:
        """Says why something else runs now."""
        what = "a case" if cases == 1 else f"{cases} cases"
        text = f"trying {what} on the control too, to tell the loop's fault from the kit's"
        self.console.print(Text(text, style="dim"), soft_wrap=True)

    def note(self, sentence: str) -> None:
        """A line that stays."""
        self.console.print(Text(sentence, style="dim"), soft_wrap=True)

    def stop(self) -> None:
        """Takes the bars away."""
        if self._progress is not None:
            self._progress.stop()


def print_results(console: Console, results: Results) -> None:
    """The table, then what is not PASS: in short what is expected, if it is much, and whole what is not; then one line
    that sums up."""
    if results.rows:
        console.print()
        console.print(_table(results))
        _print_slowest(console, results)
    left = [row for row in results.rows if row.verdict != "PASS"]
    known = [row for row in left if not row.is_unexpected]
    if len(known) > KNOWN_WHOLE_MAX:
        _print_in_short(console, known)
        known = []
    for row in [*known, *(row for row in left if row.is_unexpected)]:
        _print_row(console, row)
    console.print()
    style = "bold green" if results.exit_status == 0 else "bold red"
    console.print(Text(headline(results), style=style))


def _print_slowest(console: Console, results: Results) -> None:
    """Which cases a long run has spent its time on."""
    if len(results.rows) >= SLOWEST_OF:
        slowest = sorted(results.rows, key=lambda row: row.seconds, reverse=True)[:SLOWEST]
        text = ", ".join(f"{row.case.rpartition('::')[2]} {row.seconds:.1f} s" for row in slowest)
        console.print(Text(f"\nslowest: {text}", style="dim"), soft_wrap=True)


def _table(results: Results) -> Table:
    """One line with the sums of a loop, then one a loop x area."""
    names = list(results.counts())
    table = Table(box=TABLE_BOX, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("loop and area", overflow="fold")
    for name in names:
        table.add_column(Text(name, style=colour(name)), justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)

    def add(label: Text, rows: list[Row], style: str) -> None:
        counts = results.counts(rows)
        cells = [Text(str(counts.get(name, "")), style=f"{style} {colour(name)}") for name in names]
        table.add_row(label, *cells, f"{sum(row.seconds for row in rows):.1f}")

    for loop, by_area in areas(results).items():
        table.add_section()
        add(Text(loop, style="bold"), [row for rows in by_area.values() for row in rows], "bold")
        for area, rows in by_area.items():
            add(Text(f"  {area}"), rows, "")
    return table


def _print_row(console: Console, row: Row) -> None:
    """One verdict that is not PASS."""
    head = Text.assemble(
        (row.verdict, f"bold {colour(row.verdict)}"),
        f" {row.rule} ",
        (standing(row), "bold red" if row.is_unexpected else "dim"),
        f"  {row.loop}",
    )
    console.print()
    console.print(head, soft_wrap=True)
    for label, text in (
        ("case", row.case),
        ("rule", row.rule_sentence),
        ("seen", _shorten(row.detail)),
        ("known", reason(row)),
    ):
        if text:
            _print_labelled(console, label, text)
    console.print(Text(f"  again {row.again}", style="cyan"), soft_wrap=True)


def _print_in_short(console: Console, rows: list[Row]) -> None:
    """Verdicts that are as expected: each reason once, with some of its cases."""
    by_reason: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        why = reason(row) or (row.detail.splitlines() or [row.rule_sentence])[0]
        by_reason.setdefault((row.loop, row.verdict, _shorten(why)), []).append(row)
    text = f"{len(rows)} verdicts other than PASS are as expected; each whole: --report DIR, or -k CASE"
    console.print(Text(f"\n{text}", style="dim"), soft_wrap=True)
    for (loop, verdict, why), same in by_reason.items():
        rules = ", ".join(dict.fromkeys(row.rule for row in same))
        head = Text.assemble((verdict, f"bold {colour(verdict)}"), f" {rules} ", ("expected", "dim"), f"  {loop}")
        cases = ", ".join(row.case for row in same[:KNOWN_CASES_MAX])
        more = len(same) - KNOWN_CASES_MAX
        console.print()
        console.print(head, soft_wrap=True)
        _print_labelled(console, "known", why)
        _print_labelled(console, "cases", f"{cases}, and {more} more" if more > 0 else cases)


def _print_labelled(console: Console, label: str, text: str) -> None:
    """A label of five letters and a text that hangs beside it, wrapped to the console."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, max(20, console.width - 8)) or [""]]
    console.print(Text.assemble((f"  {label:5} ", "dim"), lines[0]), soft_wrap=True)
    for line in lines[1:]:
        console.print(Text(f"        {line}"), soft_wrap=True)


def _shorten(detail: str) -> str:
    """Beginning and end: a traceback says at its end what was raised."""
    half = DETAIL_CHARS_MAX // 2
    return detail if len(detail) <= DETAIL_CHARS_MAX else f"{detail[:half]} ... {detail[-half:]}"


def print_rules(console: Console, rules: Sequence[Rule]) -> None:
    """Rules with everything that is known of them, grouped as they come."""
    area = ""
    for rule in rules:
        if rule.area != area:
            area = rule.area
            console.print(Text(f"\n[{area}]", style="bold"))
        mark = ("", "") if rule.is_proven else ("  unproven: never seen to fail", "yellow")
        console.print()
        console.print(Text.assemble((rule.id, "bold cyan"), f" {rule.level}", mark))
        for line in textwrap.wrap(rule.sentence, console.width - 2):
            console.print(Text(f"  {line}"))
        for label, values in (
            ("sources", rule.sources),
            ("needs", rule.needs),
            ("judged by", rule.judged_by),
            ("seen failing on", rule.seen_failing),
        ):
            if values:
                for line in textwrap.wrap(f"{label}: {'; '.join(values)}", console.width - 2, subsequent_indent="  "):
                    console.print(Text(f"  {line}", style="dim"))
