"""`loopcheck upstream`: the tests of libraries that use asyncio, on a loop and on asyncio, and where they differ.

Such a test says something about the loop only if the loop ran in it and asyncio passes the same test here. What
differs is run once more on both: what then does not differ is told, and does not count.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopcheck import probe
from loopcheck.check import Loop, Results, Row, expectations_for
from loopcheck.expect import Expectations
from loopcheck.load import CONTROL, Spec, Unusable
from loopcheck.rules import Rule
from loopcheck.upstream_run import Outcome, Runner
from loopcheck.upstream_setup import Environment, Library, provide
from loopcheck.verdict import Ruling, clean

EXPECT_FOLDER = "upstream/"  # of conformance/expect
VERDICTS = {"failed": "FAIL", "hang": "HANG", "crash": "CRASH"}
NAMES_MAX = 5  # in a note


@dataclass
class Pair:
    """The outcomes of one library's tests on the loop and on the control."""

    mine: dict[str, Outcome]
    control: dict[str, Outcome]

    def differing(self) -> tuple[str, ...]:
        """Tests that the loop does not pass, and the control does."""
        return tuple(test for test, outcome in self.mine.items() if outcome.is_bad and self._control_passes(test))

    def failing_on_both(self) -> list[str]:
        """Tests that say nothing about the loop, since asyncio does not pass them here."""
        return [test for test, outcome in self.mine.items() if outcome.is_bad and not self._control_passes(test)]

    def idle(self) -> list[str]:
        """Tests that pass, and run the loop on neither."""
        return [t for t, outcome in self.mine.items() if not outcome.is_bad and not outcome.runs and not self._ran(t)]

    def _control_passes(self, test: str) -> bool:
        return test in self.control and self.control[test].outcome == "passed"

    def _ran(self, test: str) -> bool:
        return test in self.control and self.control[test].runs > 0

    def rulings(self, rule: str, unsteady: set[str], private: Sequence[str] = ()) -> dict[str, Ruling]:
        """A ruling for each test that says something about the loop; one that asks for a name of `private` does not."""
        differing, aside = set(self.differing()), {*self.failing_on_both(), *self.idle()}
        found = {}
        for test, outcome in self.mine.items():
            detail = clean(outcome.detail)
            if test in differing and test not in unsteady:
                looks_behind = any(f"has no attribute '{name}'" in detail for name in private)
                found[test] = Ruling("INAPPLICABLE" if looks_behind else VERDICTS[outcome.outcome], rule, detail)
            elif test in aside or test in unsteady:
                continue
            elif outcome.outcome == "skipped":
                if self._control_passes(test):
                    found[test] = Ruling("SKIP", rule, detail)
            elif not outcome.runs:
                found[test] = Ruling("VACUOUS", rule, "no loop of this factory ran in it; on asyncio one does")
            else:
                found[test] = Ruling("PASS", rule, "")
        return found


class Upstream:
    """Carries it out for one loop. `say` is told what is going on."""

    def __init__(
        self, spec: Spec, timeout_s: float, pattern: str, workers: int, expect: str, say: Callable[[str], None]
    ) -> None:
        self.spec, self.timeout_s, self.pattern, self.workers, self.say = spec, timeout_s, pattern, workers, say
        self.expectations: Expectations = expectations_for(spec, expect, EXPECT_FOLDER)
        self.results = Results()

    def run(self, libraries: Sequence[Library], cache: Path) -> Results:
        """A library that cannot be used is a result; when interrupted, the results have what there is."""
        self.expectations.loop_version = probe.version_of(self.spec.module)
        which = self.expectations.path.name if self.expectations.path else "no expect file applies"
        loop = Loop(self.spec.text, self.expectations.loop_version, self.spec.is_control, which)
        self.results.loops.append(loop)
        self.results.rules = tuple(
            Rule(lib.name, lib.name, "MUST", f"The tests of {lib.text} pass as they do on asyncio.")
            for lib in libraries
        )
        try:
            for library in libraries:
                try:
                    self._judge(library, self._run(provide(library, cache, self.say)))
                except Unusable as error:
                    self.results.unusable.append(str(error))
        except KeyboardInterrupt:
            self.results.is_interrupted = True
        return self.results

    def _run(self, environment: Environment) -> tuple[Pair, set[str]]:
        """The outcomes, and which differences did not come again."""
        self.say(f"{environment.library.text}: running its tests on {self.spec.text} and on {CONTROL}")
        pair = self._both(environment, ())
        differing = pair.differing()
        if not differing:
            return pair, set()
        self.say(f"{environment.library.text}: {len(differing)} tests differ; running them once more")
        again = self._both(environment, differing)
        return pair, set(differing) - set(again.differing())

    def _both(self, environment: Environment, only: tuple[str, ...]) -> Pair:
        specs = (self.spec, Spec.parse(CONTROL))
        runners = [Runner(environment, spec, self.timeout_s, self.pattern) for spec in specs]
        errors: list[Exception] = []

        def work(runner: Runner) -> None:
            try:
                runner.run(only)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(runner,), daemon=True) for runner in runners]
        try:
            for thread in threads:
                thread.start()
                if self.workers == 1:
                    thread.join()
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            for runner in runners:
                runner.stop()
            raise
        if errors:
            raise errors[0]
        return Pair(runners[0].outcomes, runners[1].outcomes)

    def _judge(self, library: Library, outcome: tuple[Pair, set[str]]) -> None:
        pair, unsteady = outcome
        if not pair.mine:
            raise Unusable(f"no test of {library.text} is selected by -k {self.pattern}")
        for test, ruling in pair.rulings(library.name, unsteady, library.private).items():
            case = f"{library.name}::{test}"
            judged = self.expectations.judge(case, ruling)
            row = Row(
                loop=self.spec.text,
                case=case,
                rule=library.name,
                area=library.name,
                level="MUST",
                verdict=judged.ruling.verdict,
                detail=judged.ruling.detail,
                seconds=pair.mine[test].seconds,
                is_unexpected=judged.is_unexpected,
                deviation=judged.deviation,
                again=f"loopcheck upstream {shlex.quote(self.spec.text)} {library.name} -k {shlex.quote(test)}",
                cites=library.name,
            )
            self.results.rows.append(row)
        self._note(library, "fail on asyncio as well", pair.failing_on_both())
        self._note(library, "differed once, and not again", sorted(unsteady))
        lost = [test for test in pair.control if test not in pair.mine]
        self._note(library, "were not reached on the loop", lost)
        if pair.idle():
            self.results.notes.append(f"{library.text}: not counted: {len(pair.idle())} tests that run no loop")

    def _note(self, library: Library, what: str, tests: Sequence[str]) -> None:
        if tests:
            more = ", ..." if len(tests) > NAMES_MAX else ""
            self.results.notes.append(f"{library.text}: {len(tests)} {what}: {', '.join(tests[:NAMES_MAX])}{more}")
