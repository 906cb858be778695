"""What the fuzz targets reach: each the functions that its first comment names, all together the lines of loop/core and
contract. One build with clang's counters tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
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
GROWN_MAX = 4_000  # of the inputs that the fuzzer kept, if it has run
# What our own loop does not do is run on one that does.
ELSEWHERE = [["--driver", "libuv", "--random", 300, "--family", family] for family in ("loop", "servers", "connects")]
ELSEWHERE_TARGETS = ("fuzz_program", "fuzz_traces")
TARGETS = re.compile(r"Targets:(.*?)\*/", re.DOTALL)
FUNCTION = re.compile(r"\b(?:rl|rlpy|lc|settings)_\w+")
LINES_OF = ("loop/core", "contract")
LINES_PERCENT_MIN = 95.0
# What only asyncio loops can do, none of which runs in a target: the tests of contract and of python/ run it.
ASYNCIO_ONLY = ("contract/monitor_request.c", "contract/runner_requests.c")
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
    argv += [f"-DCMAKE_C_FLAGS={FLAGS}", "-DLOOPCHECK_FUZZERS=OFF", "-DBUILD_TESTING=OFF", "-DLOOPCHECK_SHIM=OFF"]
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
        runs.append([replayer, *corpus.programs(fuzzing.driver(target))])
    if grown := sorted((BUILD / "fuzz-corpus" / target).glob("*"))[:GROWN_MAX]:
        runs.append([replayer, *grown])
    has_libuv = "HAVE_LIBUV" in (FOLDER / "build.ninja").read_text(encoding="utf-8")
    if target in ELSEWHERE_TARGETS and has_libuv:
        runs += [[replayer, *words] for words in ELSEWHERE]
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


def lines(tool: Path) -> dict[str, tuple[int, int]]:
    """Of each file of LINES_OF: how many lines can run, and how many of them some target ran."""
    found = [target for target in fuzzing.targets() if (FOLDER / f"{target}.profdata").exists()]
    if not found:
        raise Stop("no target was run: the parts before tell why")
    merged = FOLDER / "all.profdata"
    steps.logged("coverage", [tool, "merge", "-o", merged, *(FOLDER / f"{target}.profdata" for target in found)])
    first, *others = [FOLDER / "fuzz" / f"{target}_replay" for target in found]
    objects = [word for other in others for word in ("-object", other)]
    argv = [tool.with_name("llvm-cov"), "export", "-summary-only", f"-instr-profile={merged}", first, *objects]
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
    if done.returncode != 0:
        raise Stop(f"llvm-cov ended with status {done.returncode}: {done.stderr.strip()[-200:]}")
    counted = {}
    for file in json.loads(done.stdout)["data"][0]["files"]:
        name = steps.relative(Path(file["filename"]))
        summary = file["summary"]["lines"]
        if name.rpartition("/")[0] in LINES_OF and name not in ASYNCIO_ONLY and summary["count"] > 0:
            counted[name] = (summary["count"], summary["covered"])
    return counted


def check_lines() -> str:
    """Stop: all targets together leave too many lines of LINES_OF unread."""
    counted = lines(profdata())
    for name, (count, covered) in sorted(counted.items()):
        print(f"{100 * covered / count:6.1f} %  {covered:4} of {count:4}  {name}")
    count, covered = (sum(pair[i] for pair in counted.values()) for i in (0, 1))
    detail = f"{100 * covered / count:.1f} % of the lines of {' and '.join(LINES_OF)}, {covered} of {count}"
    if 100 * covered < LINES_PERCENT_MIN * count:
        raise Stop(f"{detail}: below {LINES_PERCENT_MIN:.0f} %")
    return detail
