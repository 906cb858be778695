#!/usr/bin/env python3
"""The checks of the project, by occasion.

    ci/check.py quick       after an edit: C tests, the fast Python tests, tidy (under 2 minutes once built)
    ci/check.py test        everything a change must pass; ci/test is this, .ci/run is this with --strict
    ci/check.py nightly     what takes long: loops of the package index, campaigns, fuzz targets, every sanitizer
    ci/check.py tidy        house style, dependencies, rules and their citations, corpus, ruff, mypy, clang-format
    ci/check.py mutants     each planted defect of fuzz/mutants is found, by the rule that it names; with --seeds N:
                            how long that takes random inputs from N seeds; with --suites: how many of those of the
                            extension CPython's tests and uvloop's see
    ci/check.py corpus      corpora/ is valid; replay on every driver and loop
    ci/check.py minimise    the fewest programs that cover what all do, as texts in build/minimised
    ci/check.py promote FILE AREA SLUG --story S --found F --rule R --effect E
                            makes a program, or a fuzzer's input, an entry of corpora/regress
    ci/check.py docs        writes docs/rules.md from contract/rules.toml, loop/core/stream.md from loop/core/stream.c

Sets up by itself what it needs (see ci/setup.py). Options: --strict: a skipped part is a failure;
--fuzz-seconds N: time of each fuzz target in `test`; --minutes N: total time of `nightly`, the set-up included, which
its parts share; what it does not suffice for is left out or cut off, and counts as skipped. Exit status 0: all parts
passed; 1: one failed or the set-up did; 2: the machine lacks something, and the message says what, or bad arguments.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

NAMES = re.findall(r"^    ci/check\.py (\w+)", __doc__ or "", re.MULTILINE)  # of COMMANDS, below
BEGAN = "LOOPCHECK_BEGAN_S"  # when the command was given, of time.monotonic(); across the set-up

if __name__ == "__main__" and os.environ.get("LOOPCHECK_SET_UP") != "1":
    if len(sys.argv) < 2 or {"-h", "--help"} & set(sys.argv):
        print((__doc__ or "").strip())
        sys.exit(0 if len(sys.argv) > 1 else 2)
    if not {*NAMES} & {*sys.argv}:
        print(f"ci/check.py: {' '.join(sys.argv[1:])}: not one of {', '.join(NAMES)}", file=sys.stderr)
        sys.exit(2)
    os.environ[BEGAN] = str(time.monotonic())
    os.execv(sys.executable, [sys.executable, str(Path(__file__).with_name("setup.py")), "check", *sys.argv[1:]])

import argparse
import contextlib
import functools
import signal
import subprocess
from collections.abc import Callable

import builds
import corpus
import corpus_tools
import fuzzing
import machine
import mutants
import mutants_extension
import mutants_score
import mutants_time
import mutants_units
import nightly as night
import parts
import reproducers
import rules_page
import steps
import wheel
from steps import PYTHON, ROOT
from tidy_base import Tree

SMOKE_S = 6  # of each fuzz target in `test`
SMOKE_SEED = 1  # the same inputs each time: a change is not refused for what another one would find
MINUTES_MAX = 7 * 24 * 60
BROWSER_TEST = ROOT / "python" / "tests" / "test_page_in_browser.py"
MUTANTS = {
    "mutants": mutants.kill_all,
    "mutants of the unit tests": mutants_units.kill_all,
    "mutants of the extension": mutants_extension.kill_all,
}
PYTEST_LAST = r"\d+ (passed|failed|error)"


def pytest(*arguments: object) -> str:
    argv = [PYTHON, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", *arguments]
    return parts.runner(argv, PYTEST_LAST)


def test_files() -> list[Path]:
    """All but the one that needs a browser, which is a part of its own."""
    found = steps.files("python/tests/test_*.py", "ci/tests/test_*.py", "loop/python/tests/test_*.py")
    return [path for path in found if path != BROWSER_TEST]


def report_in_browser() -> str:
    if not machine.has_browser():
        raise parts.Skipped("no Chromium with its driver on this machine")
    return pytest(BROWSER_TEST)


def is_fast(path: Path) -> bool:
    """A file that uses the real clock says so in its first comment."""
    return "real clock" not in path.read_text(encoding="utf-8").split("\n", 1)[0]


def tidy() -> str:
    return parts.runner([PYTHON, ROOT / "ci" / "tidy.py"], r"^tidy: ")


def write_docs() -> str:
    return rules_page.write(Tree(ROOT))


def sanitizers() -> str:
    """All of them, with a table of their own."""
    builds.need_clang()
    return parts.runner([PYTHON, ROOT / "sanitizers" / "sanitize.py", "all"], r"^(PASSED|FAILED): ")


def write_stream_page() -> str:
    """The program that writes it is also the C test that compares it (loop.stream_diagram)."""
    program = builds.program("dev", "loop/tests/rl_stream_diagram")
    page = ROOT / "loop" / "core" / "stream.md"
    page.write_bytes(subprocess.run([program], check=True, capture_output=True).stdout)
    return f"{page.relative_to(ROOT)} written"


def check_refloop() -> str:
    """Our own loop keeps every rule, its C structures examined after each turn."""
    argv = [PYTHON, "-m", "loopcheck", "check", "refloop:new_event_loop"]
    return parts.runner(argv, r"\d+ verdicts", {"REFLOOP_CHECK": "1"})


def cpython(*words: str) -> str:
    """CPython's own tests of asyncio, run on one or more loops."""
    if not machine.has_cpython_tests():
        raise parts.Skipped("this Python comes without test.test_asyncio")
    return parts.runner([PYTHON, "-m", "loopcheck", "cpython", *words], r"\d+ verdicts")


def quick(run: parts.Run, _options: argparse.Namespace) -> None:
    run.part("C tests", lambda: builds.ctest("dev", "--label-exclude", "real-clock"))
    run.part("Python tests, fast", lambda: pytest(*filter(is_fast, test_files())))
    run.part("tidy", tidy)


def minimise(run: parts.Run, _options: argparse.Namespace) -> None:
    run.part("corpus, minimised", corpus_tools.minimise)


def promote(run: parts.Run, options: argparse.Namespace) -> None:
    run.part("a program of the corpus", lambda: corpus_tools.promote(options))


def replay_all(run: parts.Run, _options: argparse.Namespace) -> None:
    run.part("corpus, read", corpus_tools.validate)
    for driver in corpus.C_DRIVERS:
        run.part(f"corpus on {driver}", lambda driver=driver: corpus.replay("dev", driver))
        run.part(f"random programs on {driver}", lambda driver=driver: corpus.random("dev", driver))
    for driver in corpus.RANDOM_VIRTUAL:
        part = f"random programs on {driver}, virtual time"
        run.part(part, lambda driver=driver: corpus.random_virtual("dev", driver))
    run.part("traces repeat on virtual time", lambda: corpus.repeats("dev"))
    for loop in corpus.PYTHON_LOOPS:
        run.part(f"corpus on {loop.partition(':')[0]}", lambda loop=loop: corpus.replay_python(loop))


def only_tidy(run: parts.Run, _options: argparse.Namespace) -> None:
    run.part("tidy", tidy)


def only_docs(run: parts.Run, _options: argparse.Namespace) -> None:
    run.part("docs", write_docs)
    run.part("stream diagram", write_stream_page)


def kill_mutants(run: parts.Run, options: argparse.Namespace) -> None:
    if options.suites:
        run.part("other suites on the mutants", mutants_score.compare)
        return
    if options.seeds:
        run.part("time to kill", lambda: mutants_time.measure_all(options.seeds))
        return
    run.beside(MUTANTS)


def test(run: parts.Run, options: argparse.Namespace) -> None:
    run.part("tidy", tidy)
    run.part("C tests", lambda: builds.ctest("dev"))
    run.part("Python tests", lambda: pytest("-n", steps.JOBS, *test_files()))
    run.part("report in a browser", report_in_browser)
    run.part(
        "cases by pytest",
        lambda: pytest(
            "-n", steps.JOBS, "conformance", "--loop", "asyncio:new_event_loop", "--hypothesis-profile", "ci"
        ),
    )
    run.part("cases on refloop", check_refloop)
    run.part("CPython's tests, some", lambda: cpython("--quick", "asyncio:new_event_loop", "refloop:new_event_loop"))
    replay_all(run, options)
    run.part("wheel outside the checkout", wheel.test)
    run.part("sanitizers", sanitizers)
    run.part("build of the fuzz targets", lambda: steps.relative(builds.build("asan")))
    smoke = functools.partial(fuzzing.run, seconds=options.fuzz_seconds, seed=SMOKE_SEED)
    smokes = {f"fuzz {target}": functools.partial(smoke, target) for target in fuzzing.targets()}
    run.beside(MUTANTS | {"reproducers of findings": reproducers.run_all} | smokes)


def nightly(run: parts.Run, options: argparse.Namespace) -> None:
    night.nightly(run, options.minutes, float(os.environ.get(BEGAN) or time.monotonic()))


def minutes(text: str) -> float:
    """A number of minutes above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < MINUTES_MAX:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes between 0 and {MINUTES_MAX}")


COMMANDS: dict[str, Callable[[parts.Run, argparse.Namespace], None]] = {
    "quick": quick,
    "test": test,
    "nightly": nightly,
    "tidy": only_tidy,
    "mutants": kill_mutants,
    "corpus": replay_all,
    "minimise": minimise,
    "promote": promote,
    "docs": only_docs,
}


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would tests
    parser = argparse.ArgumentParser(
        prog="ci/check.py", usage="ci/check.py COMMAND [OPTIONS] (ci/check.py --help lists them)"
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--strict", action="store_true", help="a skipped part is a failure")
    parser.add_argument("--fuzz-seconds", type=int, metavar="N", default=SMOKE_S, help="time of each fuzz target")
    parser.add_argument("--seeds", type=int, metavar="N", default=0, help="of mutants: measures the time to kill")
    parser.add_argument("--suites", action="store_true", help="of mutants: measures what other suites see")
    parser.add_argument("--minutes", type=minutes, metavar="N", default=night.MINUTES, help="total time of nightly")
    for name in ("file", "area", "slug"):
        parser.add_argument(name, nargs="?", default="", help="of promote")
    for name in ("story", "found", "rule", "effect"):
        parser.add_argument(f"--{name}", default="", help="of promote: for the header of the entry")
    options = parser.parse_args()
    if (options.command == "promote") != bool(options.slug):
        parser.error("promote needs FILE, AREA and SLUG; no other command takes them")
    run = parts.Run(options.strict)
    try:
        COMMANDS[options.command](run, options)
    except KeyboardInterrupt:
        print("\nci: stopped by the user", flush=True)
        return 130
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
