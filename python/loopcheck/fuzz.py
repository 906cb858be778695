"""A fuzzing campaign: random programs on one loop, in rounds; findings are collected first and looked into later.

What a campaign does depends on its seed alone, as far as the loop is deterministic: the programs of a
round are chosen by what all rounds before it found, never by what came first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from loopcheck import _contract, processes, programs, reproduce, reproduce_c
from loopcheck.batch import COLLECT, CONFIRM, SHRINK, Limits, Ran, Totals, run_alone, run_batch
from loopcheck.bench import Bench
from loopcheck.findings import (
    Finding,
    Signature,
    can_do,
    differences,
    features,
    merge,
    missing,
    renumbered,
    signatures,
)
from loopcheck.load import Spec, Unusable
from loopcheck.rules import Rules
from loopcheck.supervisor import Options, Server

BATCH, BATCH_COMPARED = 64, 32  # programs in one process; a trace has room for about so many
ROUND = 512  # programs between two decisions about what is masked
MASK_SHARE = 0.5  # of programs from which on a signature is masked
MASK_AFTER = 32  # programs before which no share counts
MASK_TRIES = 8  # other programs that are tried instead of a masked one
FINDINGS_MAX = 40  # that are looked into, the commonest first
REPEATS = 5
SHRINK_TRIES_MAX, SHRINK_SLOW_TRIES_MAX = 250, 40  # the latter of what hangs
CONTROL = "asyncio:SelectorEventLoop"
REFERENCE = "loopcheck_refloop_epoll.so"
NS_PER_MS = 1_000_000
EXACT_DELAY_NS_MAX = 1 << 40
SLOW = ("HANG", "SPIN")


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    loop: Spec
    against: Spec | None = None  # compare with this loop as well
    seconds: float = 0.0  # 0: no limit
    runs: int = 0  # 0: no limit
    seed: int = 0
    workers: int = 4
    options: Options = field(default_factory=Options)


class Progress:
    """Is told how a campaign goes. This one does not care."""

    def collected(self, totals: Totals, findings: int, seconds: float) -> None:
        """A batch more was run."""

    def looking(self, findings: int) -> None:
        """Collecting is over; so many findings are looked into."""

    def looked(self, finding: Finding) -> None:
        """One of them was."""


@dataclass
class Outcome:
    """What a campaign found."""

    findings: list[Finding] = field(default_factory=list)
    of_the_control: list[Finding] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # sentences: what the loop does not implement
    unlooked: int = 0  # findings beyond FINDINGS_MAX
    totals: Totals = field(default_factory=Totals)
    seconds: float = 0.0
    masked: int = 0  # signatures
    unstable: int = 0  # programs on which the control differs from itself
    is_interrupted: bool = False

    @property
    def is_vacuous(self) -> bool:
        """Did programs run, and no callback of any?"""
        return self.totals.programs > 0 and self.totals.callbacks == 0 and not self.findings


@dataclass
class _Batch:
    """What came of the programs of one process."""

    numbers: range
    rans: list[Ran] = field(default_factory=list)
    signs: list[dict[Signature, str]] = field(default_factory=list)  # what each program shows
    totals: Totals = field(default_factory=Totals)
    unstable: int = 0  # programs on which the control differs from itself


class Campaign:
    """Carries a plan out on a bench, which is opened already for the plan's loops."""

    def __init__(self, plan: Plan, bench: Bench, rules: Rules, progress: Progress) -> None:
        self.plan = plan
        self.bench = bench
        self.rules = rules
        self.progress = progress
        self.outcome = Outcome()
        self._found: dict[Signature, Finding] = {}
        self._masks: dict[Signature, frozenset[tuple[int, int, int]]] = {}
        self._profile = bench.open(plan.loop).profile
        self._driver_name = bench.open(plan.loop).version if plan.loop.is_driver else ""
        self._reference = self._find_reference()
        self._generate = self._generator()

    @property
    def control(self) -> Spec | None:
        """What traces are shown beside and rules are tried on: none for the control itself."""
        if self.plan.against is not None:
            return self.plan.against
        if self.plan.loop.is_driver:
            return self._reference
        if self.plan.loop.text in (CONTROL, "asyncio:new_event_loop"):
            return None
        return Spec.parse(CONTROL)

    def run(self) -> Outcome:
        """Collects, then looks into what was found. After Ctrl-C the outcome has what there is."""
        began_s = processes.clock_s()
        try:
            self._collect(began_s)
            self.outcome.seconds = processes.clock_s() - began_s
            self._look()
        except KeyboardInterrupt:
            self.outcome.seconds = self.outcome.seconds or processes.clock_s() - began_s
            self.outcome.is_interrupted = True
            self._sort(list(self._found.values()))
        return self.outcome

    def _find_reference(self) -> Spec | None:
        """For a C loop: the driver of the reference loop, if it was built into the same folder."""
        beside = Path(self.plan.loop.path).parent / REFERENCE
        if not self.plan.loop.is_driver or not beside.is_file() or beside == Path(self.plan.loop.path):
            return None
        try:
            reference = Spec.driver(str(beside))
            self.bench.open(reference)
        except Unusable:
            return None
        return reference

    # Collecting.

    def _generator(self) -> Callable[[int], bytes]:
        profile = self._profile
        if not profile:
            return programs.generate
        tick_ns = max(NS_PER_MS if profile["is_exact"] else 1, profile["tick_ns"])
        delay_ns_max = EXACT_DELAY_NS_MAX if profile["is_exact"] else max(4 * NS_PER_MS, 3 * tick_ns)
        return lambda seed: _contract.generate(seed, profile["capabilities"], delay_ns_max, tick_ns)

    def program(self, number: int) -> bytes:
        """The program of this number: another one where it would only show a masked signature."""
        for attempt in range(MASK_TRIES):
            program = self._generate((self.plan.seed << 32) + number * MASK_TRIES + attempt)
            if not any(mask <= features(program) for mask in self._masks.values()):
                break
        return program if self.plan.against is None else _contract.settle(program)

    def _collect(self, began_s: float) -> None:
        plan, number = self.plan, 0

        def is_over() -> bool:
            return bool(plan.seconds) and processes.clock_s() - began_s >= plan.seconds

        while not is_over() and not (plan.runs and number >= plan.runs):
            end = min(number + ROUND, plan.runs or number + ROUND)
            size = min(BATCH if plan.against is None else BATCH_COMPARED, -(-(end - number) // plan.workers))
            batches = [range(first, min(first + size, end)) for first in range(number, end, size)]
            for found in self.bench.each(batches, lambda batch: None if is_over() else self._run(batch)):
                if found is not None:
                    self._take_all(found)
                self.progress.collected(self.outcome.totals, len(self._found), processes.clock_s() - began_s)
            number = end
            self._mask()

    def _run(self, numbers: range) -> _Batch:
        """Runs a batch, on the control as well where the two are compared."""
        programs = [self.program(number) for number in numbers]
        with self.bench.server(self.plan.loop) as server:
            batch = _Batch(numbers)
            batch.rans = run_batch(server, programs, self.rules.level_of, COLLECT, batch.totals)
        batch.signs = [self._signatures(ran) for ran in batch.rans]
        if self.plan.against is not None:
            with self.bench.server(self.plan.against) as server:
                twice = [program for program in programs for _ in range(2)]
                control = run_batch(server, twice, self.rules.level_of, COLLECT)
            for i, ran in enumerate(batch.rans):
                if differences(control[2 * i], control[2 * i + 1]):  # what it does now so and now so is not compared
                    batch.unstable += 1
                else:
                    batch.signs[i] |= differences(ran, control[2 * i])
        return batch

    def _signatures(self, ran: Ran) -> dict[Signature, str]:
        return signatures(ran, self.rules) | missing(ran, self._profile)

    def _take_all(self, batch: _Batch) -> None:
        sums = self.outcome.totals
        sums.programs += batch.totals.programs
        sums.ops += batch.totals.ops
        sums.executed += batch.totals.executed
        sums.callbacks += batch.totals.callbacks
        self.outcome.unstable += batch.unstable
        for number, ran, signs in zip(batch.numbers, batch.rans, batch.signs, strict=True):
            self._take(number, ran, signs)

    def _take(self, number: int, ran: Ran, signs: dict[Signature, str]) -> None:
        for sign, sentence in signs.items():
            finding = self._found.get(sign)
            if finding is None:
                finding = self._found[sign] = Finding(sign, sentence, self.plan.seed, number, before=ran.before)
            finding.add(ran.program)

    def _mask(self) -> None:
        """A signature that most programs show hides others: its programs are replaced from now on."""
        programs = self.outcome.totals.programs
        for sign, finding in self._found.items():
            if sign in self._masks or programs < MASK_AFTER or finding.count <= MASK_SHARE * programs:
                continue
            with self.bench.server(self.plan.loop) as server:
                small = self._shrunk(server, None, finding, finding.program)
            finding.programs = [small]
            self._masks[sign] = features(small)
            self.outcome.masked += 1

    # Looking into findings.

    def _look(self) -> None:
        self.outcome.missing = sorted(sign.shape for sign in self._found if sign.verdict == "MISSING")
        found = [finding for finding in self._found.values() if finding.sign.verdict != "MISSING"]
        found.sort(key=lambda finding: -finding.count)
        self.outcome.unlooked = max(0, len(found) - FINDINGS_MAX)
        found = sorted(found[:FINDINGS_MAX], key=lambda finding: finding.number)
        self.progress.looking(len(found))
        if self.control is not None:
            self.bench.open(self.control)
        for finding in self.bench.each(found, self._look_into):
            self.progress.looked(finding)
        self._sort(found)

    def _sort(self, found: list[Finding]) -> None:
        """The steady and reproduced first; what the control does too apart."""
        merged = merge(found)
        self.outcome.of_the_control = [finding for finding in merged if finding.is_of_the_control]
        own = [finding for finding in merged if not finding.is_of_the_control]
        self.outcome.findings = sorted(own, key=lambda one: (not one.is_reproduced, not one.is_steady, one.number))

    def _look_into(self, finding: Finding) -> Finding:
        with self.bench.server(self.plan.loop) as server:
            if self.control is None:
                self._examine(finding, server, None)
            else:
                with self.bench.server(self.control) as control:
                    self._examine(finding, server, control)
        return finding

    def _examine(self, finding: Finding, server: Server, control: Server | None) -> None:
        """Shrinks, repeats, tries the control, and writes and runs the reproducer."""
        if not finding.before:
            start = next((p for p in finding.programs if self._shows(server, control, finding, p, COLLECT)), None)
            if start is not None:
                finding.programs = [self._shrunk(server, control, finding, start)]
        finding.repeats = REPEATS
        for _ in range(REPEATS):
            ran, found = self._try(server, control, finding, finding.program, CONFIRM)
            finding.shown += finding.sign in found
            if finding.sign in found or not finding.records:
                finding.records = ran.records
                finding.sentence = found.get(finding.sign, finding.sentence)
            if control is not None:
                ran = run_alone(control, finding.program, self.rules.level_of, CONFIRM)
                finding.control_records = ran.records if can_do(finding, ran) else b""
                finding.control_shown += finding.sign in self._signatures(ran)
        if finding.is_of_the_control or finding.before:
            return
        if self.plan.loop.is_driver:
            reproduce_c.write_and_run(finding, self._driver_name, self.rules)
        else:
            reproduce.write_and_run(finding, self.plan.loop, self.control, self.rules)
        if self.control is None and finding.script and not finding.is_reproduced:
            finding.script_note = (
                "a stand-alone script shows what a loop does otherwise than asyncio, which this one is"
            )
        if finding.script_runs and not finding.is_reproduced and self.plan.options.shim.faults:
            finding.script_note = "it was found with faults of the kernel, which a stand-alone reproducer does not have"

    def _try(
        self, server: Server, control: Server | None, finding: Finding, program: bytes, limits: Limits
    ) -> tuple[Ran, dict[Signature, str]]:
        """Runs it once; what it shows of the finding's kind."""
        ran = run_alone(server, program, self.rules.level_of, limits)
        if not finding.is_difference or control is None:
            return ran, self._signatures(ran)
        other = run_batch(control, [program, program], self.rules.level_of, limits)
        return ran, {} if differences(*other) else differences(ran, other[0])

    def _shows(self, server: Server, control: Server | None, finding: Finding, program: bytes, limits: Limits) -> bool:
        if finding.is_difference:
            program = _contract.settle(program)
        return finding.sign in self._try(server, control, finding, program, limits)[1]

    def _shrunk(self, server: Server, control: Server | None, finding: Finding, program: bytes) -> bytes:
        """A small program that shows the same; of a difference a settled one."""
        limits = SHRINK if finding.sign.verdict not in ("CRASH", "LEAK") else COLLECT
        tries_max = SHRINK_SLOW_TRIES_MAX if finding.sign.verdict in SLOW else SHRINK_TRIES_MAX
        shows = partial(self._shows, server, control, finding, limits=limits)
        small = _contract.shrink(program, lambda candidate: shows(candidate), tries_max)
        small = renumbered(small)
        return _contract.settle(small) if finding.is_difference else small
