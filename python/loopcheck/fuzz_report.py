"""What a campaign looks like on a terminal or in a log, and the files it leaves."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn
from rich.text import Text

from loopcheck import _contract, processes, report
from loopcheck.batch import Totals
from loopcheck.bench import Bench
from loopcheck.check import EXIT_EXPECTED, EXIT_INTERRUPTED, EXIT_UNEXPECTED, expectations_for, expectations_in
from loopcheck.expect import RANDOM_CASE, Expectations
from loopcheck.findings import DIFF, DIFF_SENTENCE, Finding, header, op_count
from loopcheck.fuzz import Campaign, Outcome, Plan, Progress
from loopcheck.rules import Rules
from loopcheck.table import colour
from loopcheck.verdict import FAILURES, Ruling

LINE_S = 5.0  # between two lines of progress in a log
TRACE_LINES_MAX = 40


class Live(Progress):
    """Progress: one line that changes on a terminal, a line every few seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Bar | None = None
        self._task = 0
        self._printed_s = processes.clock_s()
        self._looked = self._to_look = 0
        if console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
            self._bar = Bar(*columns, console=console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("")

    def _say(self, text: str, *, is_due: bool) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=text)  # type: ignore[arg-type]
        elif is_due:
            self._printed_s = processes.clock_s()
            self.console.print(Text(text), soft_wrap=True)

    def collected(self, totals: Totals, findings: int, seconds: float) -> None:
        """Says how fast it goes."""
        is_due = processes.clock_s() - self._printed_s > LINE_S
        self._say(f"{seconds:.0f} s: {summary(totals, seconds)}, {count(findings, 'finding')} so far", is_due=is_due)

    def looking(self, findings: int) -> None:
        """Says that the second half begins."""
        self._to_look = findings
        if findings:
            self._say(f"shrinking and repeating {count(findings, 'finding')}", is_due=True)

    def looked(self, finding: Finding) -> None:
        """Counts them."""
        self._looked += 1
        self._say(
            f"looked into {self._looked} of {self._to_look}", is_due=processes.clock_s() - self._printed_s > LINE_S
        )

    def stop(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()


def count(number: int, noun: str) -> str:
    """1 finding, 2 findings."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def summary(totals: Totals, seconds: float) -> str:
    """Programs, their rate, and how much of them did anything."""
    rate = totals.programs / seconds if seconds else 0.0
    return f"{count(totals.programs, 'program')}, {rate:.0f} a second, {totals.executed_share:.0%} of the ops executed"


def run(plan: Plan, rules: Rules, console: Console, directory: Path | None) -> int:
    """Carries the plan out and prints what it found. Returns the exit status; raises Unusable or KitFault."""
    bench = Bench(plan.workers, plan.options)
    live = Live(console)
    try:
        server = bench.open(plan.loop)
        if plan.expect:
            expectations = expectations_in(plan.expect, rules)
        else:
            expectations = expectations_for(plan.loop, "")
        expectations.loop_version = server.version
        expectations.under = plan.options.shim.conditions
        if plan.against is not None:
            bench.open(plan.against)
        if server.plain:
            console.print(Text(f"note: {server.plain}"), soft_wrap=True)
        outcome = Campaign(plan, bench, rules, live).run()
    finally:
        live.stop()
        bench.close()
    for number, finding in enumerate(outcome.findings, 1):
        if finding.is_lost:
            continue
        finding.expected = reason_for(finding, expectations)
        files = save(directory, number, finding, plan) if directory is not None else []
        print_finding(console, number, finding, plan, rules, files)
    print_rest(console, outcome, plan)
    if outcome.is_interrupted:
        return EXIT_INTERRUPTED
    is_bad = outcome.is_vacuous or any(is_failure(finding) for finding in outcome.findings)
    return EXIT_UNEXPECTED if is_bad else EXIT_EXPECTED


def is_failure(finding: Finding) -> bool:
    """Does it count for the exit status? Not what was never seen again, nor a SHOULD."""
    verdicts = {one.sign.verdict for one in (finding, *finding.also)}
    return bool(verdicts & (FAILURES | {DIFF})) and not finding.is_lost and not finding.expected


def reason_for(finding: Finding, expectations: Expectations) -> str:
    """Why the loop's random programs may show all that the finding shows, by its expect file; empty: they may not."""
    reasons = []
    for one in (finding, *finding.also):
        judged = expectations.judge(RANDOM_CASE, Ruling(one.sign.verdict, one.sign.rule, one.sentence))
        if one.sign.verdict in FAILURES | {DIFF} and judged.deviation is None:
            return ""
        if judged.deviation is not None:
            reasons.append(f"{judged.deviation.reason} {judged.deviation.link}".strip())
    return "; ".join(dict.fromkeys(reasons))


# Printing.


def print_finding(console: Console, number: int, finding: Finding, plan: Plan, rules: Rules, files: list[Path]) -> None:
    """One finding: rule, program, traces, reproducer."""
    sign = finding.sign
    head = Text.assemble(
        f"\n{number}. ", (sign.verdict, f"bold {colour(sign.verdict)}"), f" {sign.rule}  {plan.loop.text}"
    )
    console.print(head, soft_wrap=True)
    sentence = DIFF_SENTENCE if finding.is_difference else rules.sentence_of(sign.rule)
    if sentence:
        _labelled(console, "rule", sentence)
    _labelled(console, "seen", finding.sentence)
    for other in finding.also:
        _labelled(console, "also", f"{other.sign.rule or other.sign.verdict}: {other.sentence}")
    if finding.expected:
        _labelled(console, "known", finding.expected)
    first = f"program {finding.number} of seed {finding.seed}, and {count(finding.count - 1, 'other program')}"
    _labelled(console, "from", first)
    _labelled(console, "again", again(finding))
    console.print(Text(f"  program, {count(op_count(finding.program), 'op')}:", style="dim"))
    console.print(Text(textwrap.indent(finding.text, "      ")), soft_wrap=True, end="")
    _print_traces(console, finding, plan)
    _print_script(console, finding, plan, files)


def again(finding: Finding) -> str:
    """How steadily it comes."""
    if finding.before:
        return f"only after the {len(finding.before)} programs that ran before it in its process; not shrunk"
    if finding.repeats == 0:
        return "interrupted: not shrunk and not repeated"
    text = f"{finding.shown} of {finding.repeats} times"
    return text if finding.is_steady else f"{text}: not steady"


def _labelled(console: Console, label: str, text: str) -> None:
    lines = textwrap.wrap(text, max(20, console.width - 8)) or [""]
    console.print(Text.assemble((f"  {label:5} ", "dim"), lines[0]), soft_wrap=True)
    for line in lines[1:]:
        console.print(Text(f"        {line}"), soft_wrap=True)


def trace_lines(records: bytes) -> list[str]:
    """A trace without sequence numbers and clock, what the kit looked up for itself, and steps in which nothing was."""
    lines = [line.partition("thread ")[2] for line in _contract.format_run(records).splitlines()]
    lines = [line.partition("  ")[2] if line.startswith("0 ") else f"thread {line}" for line in lines]
    shown: list[str] = []
    for line in map(str.rstrip, lines):
        if line == "stepped -> 0" and shown[-1:] == ["step poll"]:
            shown.pop()
        elif " is fd " not in line and not line.startswith(("tick ", "open ")) and not line.endswith(": 0 bytes -> 0"):
            shown.append(line)
    return shown


def _print_traces(console: Console, finding: Finding, plan: Plan) -> None:
    """The trace beside the control's, where there is one."""
    ours, theirs = trace_lines(finding.records), trace_lines(finding.control_records)
    width = min(max([len(line) for line in ours], default=0), 46) if theirs else 0
    name = plan.against.text if plan.against is not None else "the reference loop" if plan.loop.is_driver else "asyncio"
    console.print(Text(f"  trace{f', and beside it that of {name}' if theirs else ''}:", style="dim"), soft_wrap=True)
    for i in range(min(max(len(ours), len(theirs)), TRACE_LINES_MAX)):
        left, right = (lines[i] if i < len(lines) else "" for lines in (ours, theirs))
        line = f"{left[:width]:{width}} | {right}" if theirs else left
        console.print(Text(f"      {line}".rstrip()), soft_wrap=True)
    if max(len(ours), len(theirs)) > TRACE_LINES_MAX:
        console.print(Text("      ...", style="dim"))


def _print_script(console: Console, finding: Finding, plan: Plan, files: list[Path]) -> None:
    if plan.loop.is_driver:
        name = shlex.quote(str(files[0])) if files else "PROGRAM.loop"
        command = f"loopcheck replay --driver {shlex.quote(plan.loop.text)} {name}"
        shown = f"(verified {finding.shown} of {finding.repeats})"
        console.print(Text.assemble(("  replay ", "dim"), (command, "cyan"), f" {shown}"), soft_wrap=True)
    if finding.script_note:
        _labelled(console, "note", finding.script_note)
    if not finding.script and plan.loop.is_driver:
        pass  # the command has to do
    elif finding.is_reproduced or (finding.script and not finding.script_runs):
        verified = (
            f"verified {finding.script_shown} of {finding.script_runs}" if finding.script_runs else "not verified"
        )
        text = f"stand-alone reproducer, {verified}"
        what = ", of which this is the program (the whole is in the file)" if files else ""
        console.print(Text(f"  {text}{what}:", style="dim"), soft_wrap=True)
        console.print(
            Text(textwrap.indent(script_body(finding.script) if files else finding.script, "      ")), soft_wrap=True
        )
    else:
        shown = f" (shown {finding.script_shown} of {finding.script_runs} times)" if finding.script_runs else ""
        console.print(Text(f"  not reproduced stand-alone{shown}", style="yellow"))
    for file in files:
        console.print(Text.assemble(("  file  ", "dim"), str(file)), soft_wrap=True)


def script_body(script: str) -> str:
    """The function of a reproducer that holds the program."""
    if "static void program(" in script:
        begin = script.index("static void in_") if "static void in_" in script else script.index("static void program(")
        return script[begin : script.index("\n}\n", script.index("static void program(")) + 2]
    begin = script.index("def program(")
    return script[begin : script.index("\n\n\nclass ", begin)]


def print_rest(console: Console, outcome: Outcome, plan: Plan) -> None:
    """What is not a finding of this loop, and the last line."""
    console.print()
    for finding in outcome.of_the_control:
        lines = "; ".join(finding.text.splitlines())
        text = f"the control does so too: {finding.sign.rule}, {finding.sentence}, in the program: {lines}"
        console.print(Text(text), soft_wrap=True)
    for finding in outcome.findings:
        if finding.is_lost:
            sign, origin = finding.sign, f"program {finding.number} of seed {finding.seed}"
            text = f"seen once and never again: {sign.verdict} {sign.rule} {finding.sentence} ({origin})"
            console.print(Text(" ".join(text.split())), soft_wrap=True)
    for sentence in outcome.missing:
        console.print(Text(f"MISSING: {sentence}"), soft_wrap=True)
    if outcome.unstable:
        text = f"not compared: {count(outcome.unstable, 'program')} on which the control differs from itself"
        console.print(Text(text), soft_wrap=True)
    if outcome.masked:
        text = f"masked: {count(outcome.masked, 'signature')} that more than half of the programs showed"
        console.print(Text(text), soft_wrap=True)
    if outcome.unlooked:
        console.print(Text(f"{count(outcome.unlooked, 'more finding')} left aside: the rarest"), soft_wrap=True)
    if outcome.is_vacuous:
        console.print(Text("VACUOUS: no program had a callback, so that nothing was tested", style="bold red"))
    left = [finding for finding in outcome.findings if not finding.is_lost]
    expected = sum(bool(finding.expected) for finding in left)
    known = f", {'all' if expected == len(left) else expected} of them known" if expected else ""
    ran = f"in {outcome.seconds:.0f} s {summary(outcome.totals, outcome.seconds)}"  # shrinking takes time of its own
    text = f"{count(len(left), 'finding')}{known}; {ran}; seed {plan.seed}"
    console.print(Text(text, style="bold red" if expected < len(left) else "bold green"), soft_wrap=True)


# Files.


def save(directory: Path, number: int, finding: Finding, plan: Plan) -> list[Path]:
    """Writes program, reproducer and traces; returns the files, the program first. Raises Unwritable."""
    name = f"{number:02}-{(finding.sign.rule or finding.sign.verdict).lower()}"
    contents = {f"{name}.loop": header(finding, plan.loop.text) + finding.text}
    if finding.script:
        contents[f"{name}{finding.script_suffix}"] = finding.script
    contents[f"{name}.trace.txt"] = _contract.format_run(finding.records)
    if finding.control_records:
        contents[f"{name}.control.txt"] = _contract.format_run(finding.control_records)
    for i, program in enumerate(finding.before):
        contents[f"{name}.before-{i + 1:02}.loop"] = _contract.format(program)
    files = [directory / file for file in contents]
    for file, text in zip(files, contents.values(), strict=True):
        report.write(file, text)
    return files
