"""Hypothesis state machines that look for a program on which a loop breaks a rule, or for a task program that it runs
otherwise than the model.

A machine writes a program: its rules add ops on handles that exist, or a whole random program of the one generator
(contract/program_generate.c). At the end of an example the program is run in containment and judged. What fails is
made small by the one shrinker, printed as a program, and saved where `loopcheck replay` reads it. `find` is the way
in; conformance/machines/ has the tests. Needs the package hypothesis (the extra "test").
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from loopcheck import _contract, strategies, task_programs
from loopcheck.batch import COLLECT, CONFIRM, SHRINK, Limits, run_alone
from loopcheck.expect import RANDOM_CASE, Expectations
from loopcheck.findings import renumbered
from loopcheck.programs import generate
from loopcheck.rules import Rules
from loopcheck.supervisor import Server
from loopcheck.verdict import FAILURES, VERDICT_OF_LEVEL, Ruling, decide

PROFILES = {"dev": 50, "ci": 80, "nightly": 3000}  # examples of each machine
STEPS = 30  # of a machine in one example
SHRINK_TRIES_MAX = 250
DIGEST_CHARS = 8
HANDLES_MAX = 15  # of one kind: a handle has four bits for its number
LINES_KEPT = 120  # of a machine's program: the ops of a generated one are many
TASK_CASE = "test_task_programs.py::test_tasks_at_each_step_first_{}"


@dataclass(frozen=True)
class Broken:
    """What a program showed."""

    rule: str
    sentence: str


Judge = Callable[[str, Limits], Broken | None]  # of a program's text


class Counterexample(AssertionError):
    """A program that fails, in its text; what it shows; and the file that it was saved in."""


def register_profiles() -> None:
    """Makes known what `--hypothesis-profile` takes; ci has the same examples each time. dev is in use then."""
    for name, examples in PROFILES.items():
        settings.register_profile(
            name,
            max_examples=examples,
            stateful_step_count=STEPS,
            derandomize=name == "ci",
            deadline=None,
            database=None,  # a counterexample is kept as a program
            suppress_health_check=list(HealthCheck),
        )
    settings.load_profile("dev")


def judge_of_programs(server: Server, rules: Rules, expectations: Expectations) -> Judge:
    """Runs a program in containment. What is expected of the loop's random programs is no counterexample."""

    def judge(text: str, limits: Limits) -> Broken | None:
        ran = run_alone(server, _contract.parse(text), rules.level_of, limits)
        rulings = [Ruling(VERDICT_OF_LEVEL[rules.level_of(one)], one, sentence) for one, sentence in ran.violations]
        for ruling in [*([ran.ruling] if ran.ruling else []), *rulings]:
            if ruling.verdict in FAILURES and expectations.judge(RANDOM_CASE, ruling).is_unexpected:
                return Broken(ruling.rule, ruling.detail)
        return None

    return judge


def judge_of_tasks(server: Server, rules: Rules, factory: str = "lazy") -> Judge:
    """Runs a task program in containment, with tasks that begin at once if `factory` is "eager"."""

    def judge(text: str, limits: Limits) -> Broken | None:
        if not text:
            return None
        ruling = decide(server.run(TASK_CASE.format(factory), text.encode()), rules.level_of)
        return Broken(ruling.rule, ruling.detail) if ruling.verdict in FAILURES else None

    return judge


class Machine(RuleBasedStateMachine):
    """What both machines share: the lines so far, and their judgement when the example is over."""

    judge: Judge
    found: list[tuple[str, Broken]]  # (text, what it shows): of all examples

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def teardown(self) -> None:
        text = "".join(f"{line}\n" for line in self.lines)
        broken = type(self).judge(text, COLLECT)
        if broken is not None:
            type(self).found.append((text, broken))
            note(text)
            raise Counterexample(f"{broken.rule}: {broken.sentence}")


class ProgramMachine(Machine):
    """Writes programs of loop operations (contract/program.h)."""

    fds = Bundle("fds")
    sources = Bundle("sources")
    wakers = Bundle("wakers")
    streams = Bundle("streams")

    def __init__(self) -> None:
        super().__init__()
        self._count = dict.fromkeys("ctwpfs", 0)

    def _new(self, letter: str) -> str:
        self._count[letter] = self._count[letter] % HANDLES_MAX + 1
        return f"{letter}{self._count[letter]}"

    def _add(self, line: str) -> None:
        if len(self.lines) < LINES_KEPT:
            self.lines.append(line)

    @rule(target=fds, kind=st.sampled_from(("pair", "tcp")))
    def connected(self, kind: str):  # type: ignore[no-untyped-def]  # what `multiple` returns has no public name
        one, other = self._new("f"), self._new("f")
        self._add(f"{kind} {one} {other}")
        return multiple(one, other)

    @rule(target=sources, ms=st.none() | st.integers(0, strategies.DELAYS_MS))
    def call(self, ms: int | None) -> str:
        handle = self._new("c" if ms is None else "t")
        self._add(f"soon {handle}" if ms is None else f"timer {handle} {ms}ms")
        return handle

    @rule(target=sources, fd=fds, way=st.sampled_from(("in", "out", "in+out")))
    def watch(self, fd: str, way: str) -> str:
        handle = self._new("w")
        self._add(f"watch {handle} {fd} {way}")
        return handle

    @rule(target=wakers)
    def waker(self) -> str:
        handle = self._new("p")
        self._add(f"waker {handle}")
        return handle

    @rule(target=streams, fd=consumes(fds))
    def stream(self, fd: str) -> str:
        handle = self._new("s")
        self._add(f"stream {handle} {fd}")
        return handle

    @rule(handle=sources, verb=st.sampled_from(("cancel", "rearm", "destroy")))
    def change(self, handle: str, verb: str) -> None:
        self._add(f"{verb} {handle}")

    @rule(handle=st.one_of(wakers, streams))
    def destroy(self, handle: str) -> None:
        self._add(f"destroy {handle}")

    @rule(waker=wakers, us=st.none() | st.integers(1, 900))
    def post(self, waker: str, us: int | None) -> None:
        self._add(f"post {waker}" + (f" {us}us" if us else ""))

    @rule(fd=fds, verb=st.sampled_from(("put", "take", "fill", "shut", "recycle", "hangup", "rst")))
    def at_the_other_end(self, fd: str, verb: str) -> None:
        self._add(f"{verb} {fd}" + (" 3" if verb == "put" else ""))

    @rule(handle=streams, verb=st.sampled_from(strategies.STREAM_VERBS))
    def use(self, handle: str, verb: str) -> None:
        self._add(verb.format(handle))

    @rule(handle=st.one_of(sources, wakers), verb=strategies.inside())
    def inside(self, handle: str, verb: str) -> None:
        self._add(f"on {handle}: {verb}")

    @rule(
        handle=streams, event=st.sampled_from(strategies.STREAM_EVENTS), verb=st.sampled_from(strategies.STREAM_VERBS)
    )
    def inside_stream(self, handle: str, event: str, verb: str) -> None:
        self._add(f"on {handle}.{event}: {verb.format(handle)}")

    @rule(line=st.sampled_from(("step", "step poll", "run 2", "advance 2ms")))
    def go_on(self, line: str) -> None:
        self._add(line)

    @precondition(lambda self: not self.lines)
    @rule(seed=st.integers(0, 2**32 - 1))
    def generated(self, seed: int) -> None:
        for line in _contract.format(generate(seed)).splitlines():
            self._add(line)


class TaskMachine(Machine):
    """Writes task programs (task_programs.py)."""

    tasks = st.integers(0, task_programs.TASKS - 1)

    @rule(task=tasks, verb=st.sampled_from(task_programs.VERBS), about=tasks)
    def line(self, task: int, verb: str, about: int) -> None:
        self.lines += task_programs.format_lines([(task, verb, about)]).splitlines()

    @rule(task=tasks, child=tasks)
    def begin(self, task: int, child: int) -> None:
        self.lines += task_programs.format_lines([(task, "spawn", child)]).splitlines()

    @precondition(lambda self: not self.lines)
    @rule(seed=st.integers(0, 2**32 - 1))
    def generated(self, seed: int) -> None:
        self.lines += task_programs.format_lines(task_programs.generate(seed)).splitlines()


def find(machine: type[Machine], judge: Judge, corpus: Path, origin: str) -> None:
    """Runs a machine by the profile in use. Raises Counterexample with the small program, which is in `corpus` then.

    What does not show again, alone and with ample time, is no counterexample.
    """
    found: list[tuple[str, Broken]] = []
    made = type(machine.__name__, (machine,), {"judge": staticmethod(judge), "found": found})
    once = settings(phases=[Phase.generate], report_multiple_bugs=False, verbosity=Verbosity.quiet)
    try:
        run_state_machine_as_test(made, settings=once)
    except Exception:  # also where Hypothesis found that a failure does not repeat
        if not found:
            raise
    if not found:
        return
    text, broken = min(found, key=lambda one: len(one[0]))
    small = (_small_tasks if machine is TaskMachine else _small)(text, broken.rule, judge)
    shown = judge(small, CONFIRM)
    if shown is None:  # it needs what was left out after all, or was the fault of a busy machine
        small, shown = text, judge(text, CONFIRM)
    if shown is None:
        return
    path = save(small, shown, corpus, origin, ".tasks" if machine is TaskMachine else ".loop")
    raise Counterexample(f"{shown.rule}: {shown.sentence}\n\n{small}\nsaved as {path}")


def _small(text: str, rule_id: str, judge: Judge) -> str:
    def fails(program: bytes) -> bool:
        broken = judge(_contract.format(program), SHRINK)
        return broken is not None and broken.rule == rule_id

    return _contract.format(renumbered(_contract.shrink(_contract.parse(text), fails, SHRINK_TRIES_MAX)))


def _small_tasks(text: str, rule_id: str, judge: Judge) -> str:
    def fails(lines: list[task_programs.Line]) -> bool:
        return judge(task_programs.format_lines(lines), SHRINK) is not None

    return task_programs.format_lines(task_programs.shrunk(task_programs.parse_lines(text), fails))


def save(text: str, broken: Broken, corpus: Path, origin: str, suffix: str) -> Path:
    """Writes a program under a name that is the same for the same program; returns the file."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]
    path = corpus / f"{broken.rule.lower()}-{digest}{suffix}"
    corpus.mkdir(parents=True, exist_ok=True)
    effect = " ".join(broken.sentence.split())
    path.write_text(f"# found: {origin}, by Hypothesis     rule: {broken.rule}     effect: {effect}\n{text}", "utf-8")
    return path
