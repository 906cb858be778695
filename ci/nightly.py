"""The nightly run: its parts share a total time.

Campaigns of random programs, every fuzz target (its corpus is kept in build/fuzz-corpus for the next run), machines of
Hypothesis, the cases on the newest loops of the package index with a report in out/nightly, asyncio again and again,
every sanitizer, CPython's own tests, what the fuzz targets reach, operator mutants of the core, and what other suites
see of the extension's mutants. Each part has a least time: when the total is too short for all, the later ones are left
out. What is over is shared by weight, and what a part does not need goes to those after it. A part that is left out or
cut off counts as skipped.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import builds
import coverage
import fuzzing
import machine
import mutants_score
import operators
import parts
import steps
import timing
from steps import BUILD, PYTHON, ROOT, Stop

MINUTES = 90.0  # unless asked for otherwise
END_S = 5.0  # for the summary
REPORT = ROOT / "out" / "nightly"
INSTALLED = BUILD / "pypi"
LOOPS = {  # of the package index, the newest of each: factory
    "uvloop": "uvloop:new_event_loop",
    "rloop": "rloop:new_event_loop",
    "veloxloop": "veloxloop:new_event_loop",
    "blazio": "blazio:new_event_loop",
    "talyn": "talyn:Loop",
    "loopmini": "loopmini:new_event_loop",
    "bracio": "bracio:BracioLoop",
}
CASES_S = {"rloop": 240, "veloxloop": 360, "talyn": 240, "bracio": 300}  # of all cases, where many hang
AGAIN_MAX = 20  # cases that are tried again alone
CAMPAIGNS = {  # least seconds; more where much is found, and looked into
    "refloop:new_event_loop": 30,
    "asyncio:SelectorEventLoop": 30,
    "uvloop:new_event_loop": 180,
}
OURS = "refloop:new_event_loop"  # what random programs find in other loops is told, and is no failure
COLLECTING_SHARE = 0.2  # of a campaign; the rest is for shrinking and repeating what it found
MACHINES_S = 900.0  # from which on machines write programs by the profile nightly
SUITE_LOOPS = ("asyncio", "refloop", "uvloop")
SANITIZERS = ("asan", "ubsan", "tsan", "msan")
ASYNCIO_ROUNDS = 20
OPERATORS_END_S = 60.0  # kept for the mutant that is tried when its time is over
SCORE_END_S = 120.0  # likewise
NOT_THERE = re.compile(r"No matching distribution|Could not find a version")


@dataclass(frozen=True)
class Part:
    """One part."""

    name: str
    least_s: float  # below which it is not worth beginning
    weight: float  # of what is over, in relation to the others
    work: Callable[[], str]


def loopcheck(*words: object) -> list[object]:
    return [PYTHON, "-m", "loopcheck", *words]


def has_expectations(loop: str) -> bool:
    return (ROOT / "conformance" / "expect" / f"{loop.partition(':')[0]}.toml").exists()


def environment(name: str) -> dict[str, str]:
    """Where the loop of this distribution is imported from; and lines so long that a summary is one."""
    paths = (str(INSTALLED / name), os.environ.get("PYTHONPATH", ""))
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"}


def install(name: str) -> None:
    """The newest version, in a folder of its own. Raises Skipped when this Python has none."""
    folder, log = INSTALLED / name, f"pypi-{name}"
    (steps.LOGS / f"{log}.log").unlink(missing_ok=True)
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    argv = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--target", fresh, name]
    status = steps.logged(log, argv, {"PIP_PROGRESS_BAR": "off"})
    if status == 0:
        shutil.rmtree(folder, ignore_errors=True)
        fresh.replace(folder)
    elif NOT_THERE.search(steps.tail(steps.LOGS / f"{log}.log")):
        raise parts.Skipped(f"the package index has no {name} for this Python")
    elif not folder.exists():
        raise Stop(f"{name} cannot be installed; see {steps.relative(steps.LOGS / log)}.log")


def seen_again(name: str) -> list[str]:
    """The cases of the loop's report whose verdict is unexpected, and is so again when they run alone."""
    rows = json.loads((REPORT / name / "results.json").read_text(encoding="utf-8"))["verdicts"]
    cases = [row["case"] for row in rows if row["standing"].startswith("unexpected")]
    if len(cases) > AGAIN_MAX:
        return cases
    runs = {case: loopcheck("check", LOOPS[name], "-k", case) for case in cases}
    return [case for case, argv in runs.items() if parts.shown(argv, environment(name))[0] != 0]


def check_loop(name: str) -> str:
    """The cases on one loop: a failure where something is not as its expect file says, twice; without such a file it is
    only told."""
    install(name)
    loop = LOOPS[name]
    status, text = parts.shown(loopcheck("check", loop, "--report", REPORT / name), environment(name))
    line = steps.last_line(text, r"\d+ verdicts|cannot be used|^loopcheck: ") or f"ended with status {status}"
    if status not in (0, 1, 2):
        raise Stop(line)
    if status == 1 and has_expectations(loop):
        if again := seen_again(name):
            raise Stop(f"{line}; again alone: {', '.join(again[:AGAIN_MAX])}")
        line += "; alone all is as expected"
    return line + ("" if status == 0 or has_expectations(loop) else "; nothing is known of it yet")


def campaign(loop: str) -> str:
    """Random programs on one loop, other ones each day."""
    name = loop.partition(":")[0]
    seed = datetime.date.today().toordinal()
    seconds = max(1.0, (timing.left() or MINUTES) * COLLECTING_SHARE)
    words = ("fuzz", loop, "--seconds", f"{seconds:.0f}", "--seed", seed, "--save", REPORT / "fuzz" / name)
    status, text = parts.shown(loopcheck(*words), environment(name))
    line = steps.last_line(text, r"\d+ findings?\b.* in \d+ s") or f"ended with status {status}"
    if status not in (0, 1) or (status == 1 and loop == OURS):
        raise Stop(line)
    return line


def machines(loop: str) -> str:
    argv = [PYTHON, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "conformance/machines"]
    profile = "ci" if (timing.left() or MACHINES_S) < MACHINES_S else "nightly"
    argv += ["--loop", loop, "--hypothesis-profile", profile, "--corpus", REPORT / "corpus"]
    return parts.runner(argv, r"\d+ (passed|failed|error)")


def page() -> str:
    """One page about all loops that were checked."""
    files = sorted(REPORT.glob("*/results.json"))
    if not files:
        raise parts.Skipped("no loop was checked")
    argv = loopcheck("page", *files, "-o", REPORT / "index.html")
    status, text = parts.shown(argv)
    if status != 0:
        raise Stop(steps.last_line(text, r"\S"))
    return f"{steps.relative(REPORT)}/index.html, {len(files)} loops"


def suite(loop: str) -> str:
    if not machine.has_cpython_tests():
        raise parts.Skipped("this Python comes without test.test_asyncio")
    return parts.runner(loopcheck("cpython", f"{loop}:new_event_loop"), r"\d+ verdicts")


def fuzz(target: str) -> str:
    builds.build("asan")
    seconds = (timing.left() or MINUTES) - timing.GRACE_S
    if seconds < 1:
        raise timing.OutOfTime("no time was left after the build")
    return fuzzing.run(target, int(seconds))


def cover() -> str:
    coverage.build()
    reached = [f"{target}: {coverage.check(target)}" for target in fuzzing.targets()]
    return "; ".join([*reached, f"all: {coverage.check_lines()}"])


def operator_mutants() -> str:
    return operators.hunt((timing.left() or MINUTES) - OPERATORS_END_S)


def other_suites() -> str:
    return mutants_score.compare((timing.left() or MINUTES) - SCORE_END_S)


def sanitizer(name: str) -> str:
    builds.need_clang()
    return parts.runner([PYTHON, ROOT / "sanitizers" / "sanitize.py", name], r"^(PASSED|FAILED): ")


def asyncio_rounds() -> str:
    """stdlib asyncio is the control: it shows no failure, round after round, as many as there is time for."""
    longest_s = 0.0
    for number in range(1, ASYNCIO_ROUNDS + 1):
        if number > 1 and (timing.left() or longest_s) < longest_s:
            return f"{number - 1} rounds, no failure"
        began = time.monotonic()
        status, text = parts.shown(loopcheck("check", "asyncio:new_event_loop"))
        if status != 0:
            raise Stop(f"round {number}: {steps.last_line(text, r'verdicts') or f'status {status}'}")
        longest_s = max(longest_s, time.monotonic() - began)
    return f"{ASYNCIO_ROUNDS} rounds, no failure"


def plan() -> list[Part]:
    """The parts in their order; what tells much in a short time comes first."""
    loops = [Part(f"cases on {name}", CASES_S.get(name, 150), 3, partial(check_loop, name)) for name in LOOPS]
    campaigns = [
        Part(f"random programs on {loop.partition(':')[0]}", least_s, 2, partial(campaign, loop))
        for loop, least_s in CAMPAIGNS.items()
    ]
    return [
        campaigns[0],
        loops[0],
        Part("build for the fuzz targets", 120, 8, lambda: f"built in {steps.relative(builds.build('asan'))}"),
        *(Part(f"fuzz {target}", 11, 3, partial(fuzz, target)) for target in fuzzing.targets()),
        *(Part(f"machines on {loop}", 20, 4, partial(machines, f"{loop}:new_event_loop")) for loop in SUITE_LOOPS[:2]),
        *loops[1:],
        Part("report", 15, 0, page),
        *campaigns[1:],
        Part("asyncio, repeated", 60, 10, asyncio_rounds),
        *(Part(f"sanitizer {name}", 240, 4, partial(sanitizer, name)) for name in SANITIZERS),
        *(Part(f"CPython's tests on {loop}", 240, 3, partial(suite, loop)) for loop in SUITE_LOOPS),
        Part("what the fuzz targets reach", 120, 1, cover),
        Part("operator mutants of the core", 240, 4, operator_mutants),
        Part("other suites on the mutants", 480, 4, other_suites),
    ]


def affordable(planned: Sequence[Part], seconds: float) -> list[Part]:
    """The parts whose least times the seconds suffice for, the first ones first."""
    chosen: list[Part] = []
    for part in planned:
        if sum(earlier.least_s for earlier in chosen) + part.least_s <= seconds:
            chosen.append(part)
    return chosen


def carry_out(run: parts.Run, planned: Sequence[Part], ends_s: float) -> None:
    """Runs the parts; `ends_s`, of time.monotonic(), is the end of the last one."""
    for number, part in enumerate(planned):
        left_s = ends_s - time.monotonic()
        chosen = affordable(planned[number:], left_s)
        if part not in chosen:
            run.part(part.name, partial(_left_out, part))
            continue
        over_s = left_s - sum(one.least_s for one in chosen)
        weights = sum(one.weight for one in chosen) or 1.0
        with timing.within(part.least_s + over_s * part.weight / weights):
            run.part(part.name, part.work)


def _left_out(part: Part) -> str:
    raise parts.Skipped(f"left out: it needs {part.least_s:.0f} s, and the total does not suffice")


def nightly(run: parts.Run, minutes: float, began_s: float) -> None:
    """All of it, in so many minutes from `began_s` on, the set-up included."""
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True)
    carry_out(run, plan(), began_s + minutes * 60 - END_S)
    (REPORT / "summary.txt").write_text(run.table() + "\n", encoding="utf-8")
