"""One check: loops x cases -> rows, with expectations, the control and the exit status."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from loopcheck import paths, trace
from loopcheck.expect import Deviation, Expectations, ExpectError, Judged
from loopcheck.load import CONTROL, Case, KitFault, Spec, Unusable
from loopcheck.pool import Done, Pool, Task
from loopcheck.rules import Rule, Rules
from loopcheck.supervisor import Options, Server
from loopcheck.verdict import FAILURES, VERDICTS, Facts, Ruling, decide
from loopcheck.watch import Ending

EXIT_EXPECTED, EXIT_UNEXPECTED, EXIT_UNUSABLE, EXIT_KIT, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
EXPECTED_HANG_SHARE = 0.3  # of its time for a case of which nothing but a hang is expected
WORKERS_MAX = 4  # unless asked for: more make cases on the real clock unfair
NO_EXPECTATIONS = "none"
CANNOT_RUN = FAILURES | {"MISSING"}
# What a loop that fails all of these does in others says nothing. Each needs another part of it.
BASIC_CASES = (
    "test_scheduling.py::test_fifo_at_top_level",
    "test_tasks.py::test_new_task_waits_its_turn",
    "test_threads.py::test_post_before_the_run",
    "test_timers.py::test_later_armed_but_due_earlier",
)


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    loops: tuple[Spec, ...]
    pattern: str = ""  # a part of a case id, or a pattern with * ? [
    rules: tuple[str, ...] = ()  # only cases that cite one of them
    is_quick: bool = False  # of a suite of tests, only its quick choice
    is_until_first: bool = False  # ends at the first unexpected verdict
    workers: int = 0  # 0: as many as there are cpus, at most WORKERS_MAX
    options: Options = field(default_factory=Options)
    expect: str = ""  # "": what is shipped; "none"; or a file

    @property
    def is_filtered(self) -> bool:
        return bool(self.pattern or self.rules or self.is_quick)

    @property
    def worker_count(self) -> int:
        return self.workers or min(WORKERS_MAX, os.cpu_count() or 1)


@dataclass(frozen=True)
class Loop:
    """A loop that was checked."""

    name: str
    version: str  # of its distribution, "" when unknown
    is_control: bool
    expectation: str  # which expect file applies


@dataclass(frozen=True)
class ControlRun:
    """What the control did in the same case."""

    verdict: str
    trace: str


@dataclass(frozen=True)
class Row:
    """One verdict on one case of one loop. A case that passed keeps no trace."""

    loop: str
    case: str
    rule: str
    area: str
    level: str
    verdict: str
    detail: str
    seconds: float
    is_unexpected: bool = False
    deviation: Deviation | None = None
    rule_sentence: str = ""
    again: str = ""  # the one command that repeats it
    cites: str = ""  # the rule that the case is about; the verdict may be about another
    trace: str = ""  # an excerpt
    program: str = ""  # a small program that breaks the rule
    control: ControlRun | None = None  # None: the control did not run the case


@dataclass
class Results:
    """Everything that came out of a check."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)  # sentences: a loop, library or program that could not be used
    faults: list[str] = field(default_factory=list)  # sentences: the kit itself failed
    is_interrupted: bool = False
    loops: list[Loop] = field(default_factory=list)
    rules: tuple[Rule, ...] = ()  # all of them, in the order of rules.toml
    cases: dict[str, int] = field(default_factory=dict)  # rule -> cases that cite it, selected or not

    @property
    def areas(self) -> list[str]:
        """In the order of rules.toml."""
        return list(dict.fromkeys(rule.area for rule in self.rules))

    @property
    def unexpected(self) -> list[Row]:
        return [row for row in self.rows if row.is_unexpected]

    @property
    def exit_status(self) -> int:
        if self.is_interrupted:
            return EXIT_INTERRUPTED
        if self.faults:
            return EXIT_KIT
        if self.unusable:
            return EXIT_UNUSABLE
        return EXIT_UNEXPECTED if self.unexpected else EXIT_EXPECTED

    def add(self, other: Results) -> None:
        """Takes over what another check found."""
        self.rows += other.rows
        self.notes += other.notes
        self.unusable += other.unusable
        self.faults += other.faults
        self.is_interrupted |= other.is_interrupted
        self.loops += other.loops
        self.rules, self.cases = other.rules, other.cases

    def counts(self, rows: Sequence[Row] | None = None) -> dict[str, int]:
        """How many verdicts there are of each kind that occurs, in the usual order."""
        seen = [row.verdict for row in (self.rows if rows is None else rows)]
        return {name: seen.count(name) for name in VERDICTS if name in seen}


class Watcher:
    """Is told how a check goes. This one does not care."""

    def opened(self, spec: Spec, cases: int, expectation: str) -> None:
        """A loop can be used; `cases` will be run on it."""

    def unusable(self, sentence: str) -> None:
        """A loop cannot be used."""

    def done(self, row: Row) -> None:
        """One verdict more."""

    def control(self, cases: int) -> None:
        """The control runs as many cases, because a loop failed them."""

    def note(self, sentence: str) -> None:
        """Something that is worth a line."""


class NothingSelected(Exception):
    """No case is left; str() is one sentence."""


class Check:
    """Carries a plan out. `run` may end early by KeyboardInterrupt; `results` then has what there is."""

    def __init__(self, plan: Plan, rules: Rules, watcher: Watcher) -> None:
        self.plan = plan
        self.rules = rules
        self.watcher = watcher
        self.results = Results(rules=tuple(rules.by_id.values()))
        self.pool = Pool(plan.worker_count, plan.options)
        self._expectations: dict[str, Expectations] = {}
        self._order: dict[tuple[str, str], int] = {}
        self._control_runs: dict[str, ControlRun] = {}  # by case, with whole traces
        self._is_over = False  # by the first unexpected verdict
        self._places: dict[tuple[str, str], trace.Place] = {}  # by loop and case: where the trace is worth a look

    def run(self) -> Results:
        """Raises KitFault, ExpectError or NothingSelected; a loop that cannot be used is a result."""
        try:
            expected = {spec.text: self._expectations_for(spec, self.plan.expect) for spec in self.plan.loops}
            tasks = [task for spec in self.plan.loops for task in self._open(spec, expected[spec.text])]
            self.pool.run(self._first(tasks), self._judge)
            self._compare_with_control()
            self._note_unused()
        except KeyboardInterrupt:
            self.results.is_interrupted = True
            left = len(self._order) - len(self.results.rows)
            self.results.notes.append(f"interrupted: {left} of {len(self._order)} cases were not run to the end")
        finally:
            self.pool.close()
            self.results.rows = [self._beside_control(row) for row in self.results.rows]
            self.results.rows.sort(key=lambda row: self._order[row.loop, row.case])
        return self.results

    # Before the cases.

    def _open(self, spec: Spec, expectations: Expectations) -> list[Task]:
        """The tasks of one loop; none when it cannot be used or is not a loop of its own."""
        try:
            server = self.pool.open(spec)
        except Unusable as error:
            self._cannot_run(str(error))
            return []
        expectations.loop_version = server.version
        expectations.under = self.plan.options.shim.conditions
        self._expectations[spec.text] = expectations
        cases = self._selected(server)
        for case in cases:
            self._order[spec.text, case.id] = len(self._order)
        self.results.cases = dict(Counter(case.rule for case in server.cases.values()))
        self._note(spec, server, expectations)
        self.watcher.opened(spec, len(cases), which(expectations))
        if server.plain:
            for case in cases:
                facts = Facts(case, self.plan.options.timeout_s, Ending(), plain=server.plain)
                self._rule(spec, facts, 0.0)
            return []
        return [Task(spec, case.id, limit_s=self._limit_s(case, expectations)) for case in cases]

    def _limit_s(self, case: Case, expectations: Expectations) -> float:
        """A case that is expected to hang is given less time to do so; 0: as any other."""
        limit_s = max(self.plan.options.timeout_s, case.timeout_s or 0.0)
        return limit_s * EXPECTED_HANG_SHARE if expectations.is_bound_to_hang(case.id) else 0.0

    def _first(self, tasks: list[Task]) -> list[Task]:
        """Runs the basic cases, if all that there are were asked for; returns the tasks that are left."""
        basic = [task for task in tasks if task.case_id in BASIC_CASES and not self.plan.is_filtered]
        if len(basic) < len(BASIC_CASES):
            return tasks
        self.pool.run(basic, self._judge)
        left = [task for task in tasks if task not in basic]
        if self._is_over:
            return []
        for loop in dict.fromkeys(task.spec.text for task in basic):
            rows = [row for row in self.results.rows if row.loop == loop]
            if rows and all(row.verdict in CANNOT_RUN for row in rows):
                count = sum(task.spec.text == loop for task in left)
                left = [task for task in left if task.spec.text != loop]
                seen = f"{rows[0].verdict}, {(rows[0].detail.splitlines() or [''])[-1]}"
                self._cannot_run(f"{loop} cannot run: it fails each basic case ({seen}); {count} others were not tried")
                del self._expectations[loop]
        return left

    def _cannot_run(self, sentence: str) -> None:
        self.results.unusable.append(sentence)
        self.watcher.unusable(sentence)

    def _selected(self, server: Server) -> list[Case]:
        """The cases that the plan asks for. Raises NothingSelected."""
        pattern, rules = self.plan.pattern, self.plan.rules
        cases = [case for case in server.cases.values() if not rules or case.rule in rules]
        if pattern in server.cases:
            cases = [case for case in cases if case.id == pattern]
        elif pattern:
            is_glob = any(letter in pattern for letter in "*?[")
            cases = [c for c in cases if (fnmatchcase(c.id, pattern) if is_glob else pattern in c.id)]
        if not cases:
            asked = [f"-k {pattern}"] if pattern else []
            asked += [f"--rule {rule}" for rule in rules]
            known = len(server.cases)
            raise NothingSelected(f"none of the {known} cases is selected by {' '.join(asked) or 'this check'}")
        return cases

    def _note(self, spec: Spec, server: Server, expectations: Expectations) -> None:
        self.results.loops.append(Loop(spec.text, server.version, spec.is_control, which(expectations)))
        version = f" {server.version}" if server.version else ""
        mode = "; it starts threads when imported, so each case gets a fresh interpreter" if server.is_exec else ""
        self.results.notes.append(f"{spec.text}{version}: {which(expectations)}{mode}")

    # Results.

    def _judge(self, done: Done) -> None:
        """Takes one result of the pool. Raises KitFault for what should not happen."""
        if isinstance(done.error, Unusable):
            self._lose(done.task, str(done.error))
        elif done.facts is None:
            raise KitFault(f"{done.task.case_id} could not be run: {done.error!r}") from done.error
        else:
            self._rule(done.task.spec, done.facts, done.seconds)

    def _lose(self, task: Task, sentence: str) -> None:
        if sentence not in self.results.unusable:
            self._cannot_run(sentence)
        self.results.notes.append(f"not run: {task.case_id} on {task.spec.text}")

    def _rule(self, spec: Spec, facts: Facts, seconds: float) -> None:
        judged = self._expectations[spec.text].judge(facts.case.id, self._decide(spec, facts))
        row = self._row(spec.text, facts, judged, seconds)
        if spec.is_control:
            self._control_runs[row.case] = ControlRun(row.verdict, facts.trace)
        self._keep(row)

    def _keep(self, row: Row) -> None:
        self.results.rows.append(row)
        self.watcher.done(row)
        if row.is_unexpected and self.plan.is_until_first and not self._is_over:
            self._is_over = True
            self.pool.drop_waiting()
            sentence = "ended at the first unexpected verdict: what had not begun was not run"
            self.results.notes.append(sentence)
            self.watcher.note(sentence)

    def _decide(self, spec: Spec, facts: Facts) -> Ruling:
        return decide(facts, self.rules.level_of)

    def _expectations_for(self, spec: Spec, choice: str) -> Expectations:
        expectations = expectations_for(spec, choice)
        expectations.check_rules(self.rules.by_id)
        return expectations

    def _row(self, loop: str, facts: Facts, judged: Judged, seconds: float) -> Row:
        ruling = judged.ruling
        text, program = "", ""
        if ruling.verdict != "PASS":
            text, self._places[loop, facts.case.id] = trace.excerpt(facts.trace, facts.judgement)
            program = trace.shrunk_program(facts.outcome)
        return Row(
            loop=loop,
            case=facts.case.id,
            rule=ruling.rule,
            area=self.rules.area_of(ruling.rule),
            level=self.rules.level_of(ruling.rule),
            verdict=ruling.verdict,
            detail=ruling.detail,
            seconds=round(seconds, 3),
            is_unexpected=judged.is_unexpected,
            deviation=judged.deviation,
            rule_sentence=self.rules.sentence_of(ruling.rule),
            again=self._again(loop, facts.case.id),
            cites=facts.case.rule,
            trace=text,
            program=program,
        )

    def _again(self, loop: str, case_id: str) -> str:
        shim = self.plan.options.shim.arguments
        return f"loopcheck check {shlex.quote(loop)} -k {shlex.quote(case_id)}{shim}"

    # The control.

    def _compare_with_control(self) -> None:
        """A case that a loop fails unexpectedly and the control fails as well is the kit's fault."""
        suspects = [row for row in self.results.unexpected if row.verdict != "STALE" and not self._is_plain(row)]
        wanted = list(dict.fromkeys(row.case for row in suspects if row.loop != CONTROL))
        shipped = self._expectations_for(Spec.parse(CONTROL), "")
        shipped.under = self.plan.options.shim.conditions
        failed = {row.case: row for row in suspects if row.loop == CONTROL and _is_fault(row, shipped)}
        wanted = [case_id for case_id in wanted if case_id not in self._control_runs]
        if wanted:
            failed |= self._run_control(wanted, shipped)
        for row in failed.values():
            self.results.faults.append(
                f"the control {CONTROL} fails {row.case} itself ({row.verdict} of {row.rule}: {row.detail}), "
                f"{'' if shipped.path is None else f'outside {paths.short(shipped.path)}, '}"
                "so this case says nothing about other loops"
            )

    def _run_control(self, case_ids: list[str], shipped: Expectations) -> dict[str, Row]:
        control = Spec.parse(CONTROL)
        self.watcher.control(len(case_ids))
        failed: dict[str, Row] = {}

        def judge(done: Done) -> None:
            if done.facts is None:
                raise KitFault(f"the control could not run {done.task.case_id}: {done.error!r}")
            judged = shipped.judge(done.task.case_id, self._decide(control, done.facts))
            self._control_runs[done.task.case_id] = ControlRun(judged.ruling.verdict, done.facts.trace)
            if judged.is_unexpected and judged.ruling.verdict != "STALE":
                failed[done.task.case_id] = self._row(CONTROL, done.facts, judged, done.seconds)

        try:
            self.pool.ensure(control)
        except Unusable as error:
            raise KitFault(f"the control cannot be used: {error}") from error
        self.pool.run([Task(control, case_id) for case_id in case_ids], judge)
        return failed

    def _beside_control(self, row: Row) -> Row:
        """The row with what the control did, where that is worth a look."""
        if row.verdict == "PASS" or row.loop == CONTROL:
            return row
        control = self._control_runs.get(row.case)
        if control is None:
            return row
        text = trace.excerpt_at(control.trace, self._places[row.loop, row.case])
        return replace(row, control=replace(control, trace=text))

    def _is_plain(self, row: Row) -> bool:
        return bool(self.pool.server_of(row.loop).plain)

    def _note_unused(self) -> None:
        """Entries of an expect file about no case, which only a complete run can tell."""
        if self.plan.is_filtered or self._is_over:
            return
        for loop, expectations in self._expectations.items():
            for deviation in expectations.unused():
                self.results.notes.append(f"{loop}: no case is like the expected deviation {deviation.case}")


def _is_fault(row: Row, shipped: Expectations) -> bool:
    """Does the control fail this case outside its own shipped file, whatever file the user chose?"""
    return shipped.judge(row.case, Ruling(row.verdict, row.rule, row.detail)).is_unexpected


def expectations_for(spec: Spec, choice: str, folder: str = "") -> Expectations:
    """The file that applies to a loop; shipped ones are in `folder` of conformance/expect. Raises ExpectError."""
    if choice == NO_EXPECTATIONS:
        return Expectations()
    if choice:
        return Expectations.load(Path(choice))
    for name in spec.expect_names:
        path = paths.shipped_expect_file(folder + name)
        if path is not None:
            try:
                return Expectations.load(path)
            except ExpectError as error:
                raise KitFault(str(error)) from error
    return Expectations()


def which(expectations: Expectations) -> str:
    """The file that applies to a loop, in words."""
    if expectations.path is None:
        return "no expect file applies"
    count = len(expectations.deviations)
    return f"expected deviations: {paths.short(expectations.path)} ({count} {'entry' if count == 1 else 'entries'})"
