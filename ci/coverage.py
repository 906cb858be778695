"""Does each fuzz target reach the functions that its first comment names? One build with clang's counters tells."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import builds
import corpus
import fuzzing
import machine
import parts
import steps
from steps import BUILD, ROOT, Stop

FOLDER = BUILD / "coverage"
FLAGS = "-fprofile-instr-generate -fcoverage-mapping"
INPUTS = 2_000  # random ones, of each target
TARGETS = re.compile(r"Targets:(.*?)\*/", re.DOTALL)
FUNCTION = re.compile(r"\b(?:rl|rlpy|lc|settings)_\w+")
COUNT = re.compile(r"^  (?:.*[:;])?(\w+):\n    Hash: .*\n    Counters: \d+\n    Function count: (\d+)", re.MULTILINE)


def named(target: str) -> list[str]:
    """The functions that the first comment of a target says it is for."""
    source = (ROOT / "fuzz" / "targets" / f"{target}.c").read_text(encoding="utf-8")
    found = TARGETS.search(source)
    functions = FUNCTION.findall(found[1]) if found else []
    if not functions:
        raise Stop(f"the first comment of {target}.c names no function after 'Targets:'")
    return functions


def profdata() -> Path:
    clang = machine.find_clang()
    if clang is None:
        raise parts.Skipped("no clang on this machine")
    path = Path(clang).resolve().parent / "llvm-profdata"
    if not path.exists():
        raise parts.Skipped(f"{path} is not there")
    return path


def build() -> None:
    builds.forget_moved(FOLDER)
    argv = ["cmake", "-S", ROOT, "-B", FOLDER, "-G", "Ninja", "-DCMAKE_TOOLCHAIN_FILE=ci/clang.cmake"]
    argv += [f"-DCMAKE_C_FLAGS={FLAGS}", "-DLOOPCHECK_FUZZERS=OFF", "-DBUILD_TESTING=OFF"]
    steps.step("configure coverage", "configure-coverage", argv, builds.environment())
    argv = ["cmake", "--build", FOLDER, "-j", steps.JOBS]
    steps.step("build coverage", "build-coverage", argv, builds.environment())


def counts(target: str, tool: Path) -> dict[str, int]:
    """How often each function ran on random inputs and, where programs are the inputs, on the corpus."""
    replayer, merged = FOLDER / "fuzz" / f"{target}_replay", FOLDER / f"{target}.profdata"
    if not replayer.exists():
        raise parts.Skipped(f"{target} was not built")
    runs = [[replayer, "--random", INPUTS]]
    if fuzzing.reads_programs(target):
        runs.append([replayer, *corpus.programs()])
    folder = FOLDER / "profiles" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for argv in runs:
        if steps.logged("coverage", argv, {"LLVM_PROFILE_FILE": f"{folder}/%p.profraw"}) != 0:
            raise Stop(f"{target} failed; see {steps.relative(steps.LOGS / 'coverage.log')}")
    (steps.LOGS / "coverage-counts.log").unlink(missing_ok=True)
    steps.logged("coverage", [tool, "merge", "-o", merged, *sorted(folder.iterdir())])
    steps.logged("coverage-counts", [tool, "show", "--all-functions", merged])
    text = (steps.LOGS / "coverage-counts.log").read_text(encoding="utf-8")
    return {name: int(count) for name, count in COUNT.findall(text)}


def check(target: str) -> str:
    """Stop: a function that the target names never ran, or is none."""
    tool, functions = profdata(), named(target)
    ran = counts(target, tool)
    missing = [name for name in functions if ran.get(name, 0) == 0]
    if missing:
        raise Stop(f"{target} names {', '.join(missing)} and never calls it")
    return f"{len(functions)} functions named, all of them called"
