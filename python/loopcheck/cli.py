"""The command line: check, fuzz, replay, cpython, upstream, page, rules.

Exit status: 0 every verdict as expected; 1 something unexpected; 2 the arguments or a loop cannot be
used (one sentence on standard error); 3 the kit itself failed; 130 interrupted (what there is is
written all the same).
"""

from __future__ import annotations

import functools
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.text import Text

import loopcheck
from loopcheck import cpython as suite
from loopcheck import expect_update, fuzz_report, paths, processes, report, table, upstream_setup
from loopcheck import page as html
from loopcheck.check import (
    EXIT_INTERRUPTED,
    EXIT_KIT,
    EXIT_UNUSABLE,
    WORKERS_MAX,
    Check,
    NothingSelected,
    Plan,
    Results,
    Watcher,
)
from loopcheck.expect import ExpectError
from loopcheck.fuzz import Plan as FuzzPlan
from loopcheck.load import KitFault, Spec, Unusable, describe
from loopcheck.replay import print_replayed, read_programs, replay_all
from loopcheck.replay_script import check_script, write_script
from loopcheck.rules import Rules, UnknownRule
from loopcheck.shim import Shim
from loopcheck.supervisor import Options
from loopcheck.upstream import Upstream

LOG_WIDTH = 100  # columns when standard output is not a terminal and COLUMNS does not say
STDOUT = "-"
SHIPPED = "the file that is shipped"
FAULTS_SHOWN = 3
FUZZ_S = 60.0  # unless asked for otherwise

USABLE_ERRORS = (Unusable, ExpectError, NothingSelected, UnknownRule, report.Unwritable, html.Unreadable)


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = LOG_WIDTH
    return console


def _give_up(sentence: str, status: int) -> NoReturn:
    """One sentence on standard error, and the exit status."""
    kind = "the kit itself failed: " if status == EXIT_KIT else ""
    print(f"loopcheck: {kind}{' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(status)


class Guard(click.Group):
    """The commands; whatever goes wrong ends in one sentence and the exit status it deserves."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command, and turns errors into sentences; SIGTERM is taken for Ctrl-C."""
        signal.signal(signal.SIGTERM, _terminated)
        try:
            return super().invoke(ctx)
        except USABLE_ERRORS as error:
            _give_up(str(error), EXIT_UNUSABLE)
        except (KitFault, paths.NotInstalled) as error:
            _give_up(str(error), EXIT_KIT)
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get("LOOPCHECK_TRACEBACK"):
                raise
            _give_up(f"{describe(error)} (LOOPCHECK_TRACEBACK=1 shows where)", EXIT_KIT)


@click.group(cls=Guard, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(loopcheck.__version__, prog_name="loopcheck")
def commands() -> None:
    """Finds out whether an event loop keeps the rules of an event loop.

    LOOP is module:factory (uvloop:new_event_loop) or file.py:factory.

    \b
    Exit status: 0 every verdict as expected, 1 something unexpected,
    2 the arguments or a loop cannot be used, 3 the kit itself failed.
    """


class Seconds(click.FloatRange):
    """A number of seconds above 0: neither infinite nor NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As of the base class."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return seconds


SECONDS = Seconds(min=0, min_open=True)


def _specs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Spec, ...]:
    return tuple(Spec.parse(text) for text in dict.fromkeys(values))


_timeout = click.option(
    "--timeout",
    type=SECONDS,
    default=4.0,
    show_default=True,
    metavar="S",
    help="Seconds of effective time a case may take (time spent waiting for a cpu does not count).",
)

_virtual_time = click.option(
    "--virtual-time",
    is_flag=True,
    help="The clock stands still, and jumps when all processes and threads sleep; timers are judged exactly.",
)
_faults = click.option(
    "--faults",
    type=click.Choice(["linux", "posix"]),
    help="Reads, writes and waits meet what this kernel, or any that POSIX allows, may do to them.",
)
_seed = click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Same seed, same faults.")


_until_first = click.option("-x", "--until-first", is_flag=True, help="End at the first unexpected verdict.")


@commands.command()
@click.argument("loops", nargs=-1, required=True, metavar="LOOP...", callback=_specs)
@click.option("-k", "pattern", default="", metavar="PATTERN", help="Cases whose id contains this, or fits its * and ?.")
@click.option("--rule", "rules", multiple=True, metavar="ID", help="Only cases of this rule; may be repeated.")
@click.option("-n", "workers", type=click.IntRange(1, 64), metavar="N", help="Cases at a time; by default at most 4.")
@_timeout
@_until_first
@click.option("--expect", default="", metavar="FILE|none", help="Known deviations; else what is shipped for the loop.")
@click.option(
    "--update-expect",
    "update",
    is_flag=False,
    flag_value=SHIPPED,
    metavar="[FILE.toml]",
    help="Write the known deviations: into FILE.toml, else into what is shipped for the loop. Write it last.",
)
@click.option("--json", "json_file", default="", metavar="FILE", help="Write the results as JSON; - is stdout.")
@click.option("--junit", default="", metavar="FILE", help="Write the results as JUnit XML.")
@click.option(
    "--report", "directory", default="", metavar="DIR", help="Write index.html, results.json and summary.md there."
)
@_virtual_time
@_faults
@_seed
def check(
    loops: tuple[Spec, ...],
    pattern: str,
    rules: tuple[str, ...],
    workers: int | None,
    timeout: float,
    until_first: bool,
    expect: str,
    update: str | None,
    json_file: str,
    junit: str,
    directory: str,
    virtual_time: bool,
    faults: str | None,
    seed: int,
) -> None:
    """Runs the cases on one or more loops: a table of verdicts."""
    kind = _kind(loops, expect, update)
    known = Rules.load(paths.rules_file())
    asked = tuple(known.find_id(rule) for rule in rules)
    options = Options(timeout_s=timeout, shim=Shim(virtual_time, faults or "", seed))
    plan = Plan(loops, pattern, asked, False, until_first, workers or 0, options, expect)
    files = _files(json_file, junit, directory)
    console = _console(stderr=json_file == STDOUT)
    results = _carry_out(plan, known, console, kind)
    table.print_results(console, results)
    _finish(results, files)


def _kind(loops: tuple[Spec, ...], expect: str, update: str | None) -> Kind:
    """The check, or the one that updates a file. Raises UsageError and Unwritable."""
    if update is None:
        return Check
    if expect or len(loops) != 1:
        raise click.UsageError("--update-expect takes one LOOP and no --expect: its own file is what applies")
    if update != SHIPPED and not update.endswith(".toml"):
        raise click.UsageError(f"--update-expect writes a file that ends in .toml, which {update!r} does not")
    file = expect_update.file_for(loops[0]) if update == SHIPPED else Path(update)
    if file is None:
        raise click.UsageError(f"no file is shipped for {loops[0].text}: write --update-expect FILE.toml")
    is_new = not file.exists()
    report.check_writable(file)
    if is_new:
        file.unlink()
    return functools.partial(expect_update.UpdateCheck, file=file)


Kind = Callable[[Plan, Rules, Watcher], Check]
Render = Callable[[Results], str]


def _files(json_file: str, junit: str, directory: str) -> list[tuple[str, Render]]:
    """(file, how to render it), after trying that each can be written. Raises Unwritable."""
    files: list[tuple[str, Render]] = []
    if json_file:
        files.append((json_file, report.to_json))
    folder = Path(directory)
    if junit:
        page_name = report.seen_from(Path(junit), folder / report.PAGE_NAME) if directory else ""
        files.append((junit, functools.partial(report.to_junit, page=page_name)))
    if directory:
        report.make_directory(folder)
        files.append((str(folder / report.JSON_NAME), report.to_json))
        files.append((str(folder / report.SUMMARY_NAME), report.to_markdown))
        files.append((str(folder / report.PAGE_NAME), html.from_results))
    for name, _ in files:
        if name != STDOUT:
            report.check_writable(Path(name))
    return files


def _carry_out(plan: Plan, rules: Rules, console: Console, kind: Kind = Check) -> Results:
    """Runs the plan with progress on the console."""
    live = table.Live(console)
    one_check = kind(plan, rules, live)
    try:
        return one_check.run()
    except KitFault as error:
        one_check.results.faults.append(str(error))
        return one_check.results
    finally:
        live.stop()


def _terminated(number: int, frame: object) -> NoReturn:
    """Is Ctrl-C, once: some send SIGTERM to a process and to its group, and the second must not end the report."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _finish(results: Results, files: list[tuple[str, Render]]) -> NoReturn:
    """Writes the files, says what has to be said, and exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the files are to be whole
    failed = ""
    for name, render in files:
        try:
            if name == STDOUT:
                sys.stdout.write(render(results))
                sys.stdout.flush()
            else:
                report.write(Path(name), render(results))
        except report.Unwritable as error:
            failed = str(error)
    for sentence in results.unusable:
        print(f"loopcheck: {sentence}", file=sys.stderr)
    for sentence in results.faults[:FAULTS_SHOWN]:
        print(f"loopcheck: the kit itself failed: {' '.join(sentence.split())}", file=sys.stderr)
    if len(results.faults) > FAULTS_SHOWN:
        print(f"loopcheck: ... and {len(results.faults) - FAULTS_SHOWN} more of the kind", file=sys.stderr)
    if failed:
        _give_up(failed, EXIT_UNUSABLE)
    sys.exit(results.exit_status)


@commands.command()
@click.argument("loops", nargs=-1, required=True, metavar="LOOP...", callback=_specs)
@click.option("-k", "pattern", default="", metavar="PATTERN", help="Tests whose id contains this, or fits its * and ?.")
@click.option("--quick", is_flag=True, help="Only a choice of some seventy tests.")
@_until_first
@click.option("-n", "workers", type=click.IntRange(1, 64), default=None, metavar="WORKERS", help="Tests at a time.")
@click.option("--timeout", type=SECONDS, default=10.0, show_default=True, metavar="S", help="Of a test.")
@click.option("--expect", default="", metavar="FILE|none", help="Known deviations; else what is shipped for the loop.")
@click.option("--json", "json_file", default="", metavar="FILE", help="Write the results as JSON; - is stdout.")
@click.option("--junit", default="", metavar="FILE", help="Write the results as JUnit XML.")
@click.option("--package", default=suite.PACKAGE, show_default=True, metavar="NAME", help="Where the tests are.")
def cpython(
    loops: tuple[Spec, ...],
    pattern: str,
    quick: bool,
    until_first: bool,
    workers: int | None,
    timeout: float,
    expect: str,
    json_file: str,
    junit: str,
    package: str,
) -> None:
    """Runs CPython's own tests of asyncio on one or more loops.

    Those of this interpreter; one counts when a loop under test ran in it. What fails is tried on asyncio as well.
    """
    options = Options(timeout_s=timeout, package=package)
    plan = Plan(loops, pattern, (), quick, until_first, workers or 0, options, expect)
    rules = suite.rules_of(package)
    files = _files(json_file, junit, "")
    console = _console(stderr=json_file == STDOUT)
    with suite.scratch_folder():
        results = _carry_out(plan, rules, console, suite.SuiteCheck)
    table.print_results(console, results)
    _finish(results, files)


@commands.command()
@click.argument("loop", metavar="LOOP")
@click.argument("libraries", nargs=-1, metavar="[LIBRARY...]")
@click.option("-k", "pattern", default="", metavar="PATTERN", help="Only tests whose id contains this.")
@click.option("-n", "workers", type=click.IntRange(1, 2), default=2, metavar="WORKERS", help="Loops at a time.")
@click.option("--timeout", type=SECONDS, default=30.0, show_default=True, metavar="S", help="Of a test.")
@click.option("--expect", default="", metavar="FILE|none", help="Known deviations; else what is shipped for the loop.")
@click.option("--json", "json_file", default="", metavar="FILE", help="Write the results as JSON; - is stdout.")
@click.option("--junit", default="", metavar="FILE", help="Write the results as JUnit XML.")
@click.option("--cache", default="", metavar="DIR", help="Where the libraries are installed; else the user's cache.")
def upstream(
    loop: str,
    libraries: tuple[str, ...],
    pattern: str,
    workers: int,
    timeout: float,
    expect: str,
    json_file: str,
    junit: str,
    cache: str,
) -> None:
    """Runs libraries' own tests on a loop and on asyncio.

    What differs is told. Each library is installed in an environment of its own, which needs the network and is kept.
    """
    console = _console(stderr=json_file == STDOUT)
    chosen = upstream_setup.choose(libraries)
    files = _files(json_file, junit, "")
    folder = Path(cache) if cache else upstream_setup.cache_folder()
    one = Upstream(Spec.parse(loop), timeout, pattern, workers, expect, lambda text: console.print(Text(text)))
    results = one.run(chosen, folder)
    table.print_results(console, results)
    for note in results.notes:
        console.print(Text(note), soft_wrap=True)
    _finish(results, files)


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="RESULTS.json...")
@click.option("-o", "--output", default=report.PAGE_NAME, show_default=True, metavar="FILE", help="The page to write.")
def page(files: tuple[str, ...], output: str) -> None:
    """Writes one page (HTML) about the results of several checks."""
    documents = [html.load(Path(file)) for file in files]
    report.write(Path(output), html.render(documents))


_driver = click.option("--driver", default="", metavar="PATH.so", help="The driver of a C loop (contract/driver.h).")


def _spec_of(loop: str, path: str) -> Spec:
    """The one loop that is meant. Raises UsageError."""
    if bool(loop) == bool(path):
        raise click.UsageError("either LOOP or --driver PATH.so is needed")
    return Spec.driver(path) if path else Spec.parse(loop)


@commands.command()
@click.argument("arguments", nargs=-1, required=True, metavar="LOOP... FILE|DIR...")
@_driver
@click.option("--verbose", is_flag=True, help="Print the trace of every program; else only that of a single one.")
@click.option("--script", default="", metavar="OUT.py", help="Write the program as a script for asyncio loops alone.")
@_timeout
@_virtual_time
@_faults
@_seed
def replay(
    arguments: tuple[str, ...],
    driver: str,
    verbose: bool,
    timeout: float,
    virtual_time: bool,
    faults: str | None,
    seed: int,
    script: str,
) -> None:
    """Runs stored programs on loops: traces and verdicts.

    FILE is a text of one operation a line (as in corpora/), or the bytes a fuzzer left; of a DIR all *.loop below it.
    A LOOP has a colon in its name; a FILE or DIR exists.
    """
    loops = [text for text in arguments if not Path(text).exists() and ":" in text]
    files = [Path(text) for text in arguments if text not in loops]
    specs = [Spec.parse(text) for text in dict.fromkeys(loops)] + ([Spec.driver(driver)] if driver else [])
    if not specs or not files:
        raise click.UsageError("LOOP... (or --driver PATH.so) and FILE... are needed")
    known = Rules.load(paths.rules_file())
    console = _console()
    programs, results = read_programs(files)
    if script:
        check_script(specs, programs, is_plain=not virtual_time and faults is None)
    is_verbose = verbose or len(programs) * len(specs) == 1
    options = Options(timeout_s=timeout, shim=Shim(virtual_time, faults or "", seed))
    for replayed in replay_all(specs, programs, known, options, results):
        print_replayed(console, replayed, is_verbose)
    table.print_results(console, results)
    if script and programs:
        write_script(console, programs[0].program, specs[0], known, Path(script))
    _finish(results, [])


@commands.command()
@click.argument("loop", required=False, default="", metavar="LOOP")
@_driver
@click.option("--against", default="", metavar="LOOP", help="Compare with this loop, and report what differs.")
@click.option("--seconds", type=SECONDS, default=None, metavar="S", help="Programs for so long.  [default: 60]")
@click.option("--runs", type=click.IntRange(min=1), default=None, metavar="N", help="So many programs, however long.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, metavar="N", help="Same seed, same programs.")
@click.option("--save", default="", metavar="DIR", help="Write programs, reproducers and traces there.")
@click.option("-n", "workers", type=click.IntRange(1, 64), default=None, metavar="WORKERS", help="Processes at a time.")
@_virtual_time
@_faults
def fuzz(
    loop: str,
    driver: str,
    against: str,
    seconds: float | None,
    runs: int | None,
    seed: int,
    save: str,
    workers: int | None,
    virtual_time: bool,
    faults: str | None,
) -> None:
    """Runs random programs on a loop; shrinks what breaks.

    Exit status: 0 nothing was found that is not known, 1 something was, 2 the arguments or a loop cannot be used,
    3 the kit itself failed.
    """
    spec = _spec_of(loop, driver)
    if driver and against:
        raise click.UsageError("--against compares asyncio loops, and --driver names a C loop")
    plan = FuzzPlan(
        loop=spec,
        against=Spec.parse(against) if against else None,
        seconds=seconds or (0.0 if runs else FUZZ_S),
        runs=runs or 0,
        seed=seed,
        workers=workers or 2 * min(WORKERS_MAX, os.cpu_count() or 1),
        options=Options(shim=Shim(virtual_time, faults or "", seed)),
    )
    if save:
        report.make_directory(Path(save))
    sys.exit(fuzz_report.run(plan, Rules.load(paths.rules_file()), _console(), Path(save) if save else None))


@commands.command()
@click.argument("name", required=False, metavar="[ID|AREA]")
def rules(name: str | None) -> None:
    """Prints the rules, or some, with sources and judges."""
    known = Rules.load(paths.rules_file())
    chosen = known.find(name) if name else list(known.by_id.values())
    console = _console()
    table.print_rules(console, chosen)
    unproven = sum(not rule.is_proven for rule in chosen)
    console.print(Text(f"\n{len(chosen)} rule{'s' * (len(chosen) != 1)}, {unproven} unproven"))


def main() -> NoReturn:
    """The command `loopcheck`."""
    processes.fill_standard_fds()
    try:
        commands.main(standalone_mode=False)
    except click.UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        _give_up(f"{error.format_message()}{where}", EXIT_UNUSABLE)
    except click.ClickException as error:
        _give_up(error.format_message(), EXIT_UNUSABLE)
    except USABLE_ERRORS as error:
        _give_up(str(error), EXIT_UNUSABLE)
    except (KeyboardInterrupt, click.Abort):
        _give_up("interrupted", EXIT_INTERRUPTED)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
