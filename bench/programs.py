#!/usr/bin/env python3
"""Ops and programs per second of CPU on the C drivers, monitor included: random programs and the corpus.

    bench/programs.py [--smoke] [--record]

--smoke: so little, of build/dev, that only the script is tried; --record: adds the table to RESULTS.md.
Builds what it measures in build/bench: -O3 with link-time optimisation, asserts on. Where clang and LLVM's tools are,
the same once more in build/bench-profiled, guided by a profile of random programs (not of the corpus, which it then
runs), and so in build/bench-asan, with AddressSanitizer (without use after return, which costs a seventh) and
UndefinedBehaviorSanitizer. "virtual": on virtual time, waits cost nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import measure
from measure import ROOT, Rate, Stop

FAST = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"]
CLANG = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_TOOLCHAIN_FILE=ci/clang.cmake", "-DLOOPCHECK_FUZZERS=OFF"]
PROFILE = ROOT / "build" / "bench-profiled" / "programs"  # .profraw, .profdata
TO_PROFILE = f"-fprofile-instr-generate={PROFILE}.profraw"
BY_PROFILE = (
    f"-flto -fprofile-instr-use={PROFILE}.profdata -Wno-profile-instr-unprofiled -Wno-profile-instr-out-of-date"
)
SANITIZED = "-fsanitize=address,undefined -fno-sanitize-recover=all -fsanitize-address-use-after-return=never"
# More than a program frees, and it stays in the caches. What only helps to explain a report is left to the replay of
# what was found: the call stack of each request for memory, and what is written into memory that nobody has set yet.
ASAN_OPTIONS = "quarantine_size_mb=1:malloc_context_size=0:max_malloc_fill_size=0"
BUILDS = {"bench-profiled": BY_PROFILE, "bench-asan": f"{BY_PROFILE} {SANITIZED}"}  # with clang: folder, flags
PROGRAMS = ("fuzz_program_replay", "fuzz_program_virtual")
SORTS = {"bench-asan": ", ASan and UBSan", "bench-profiled": ", profile-guided"}
PROFILED_PROGRAMS = 20_000
ROUNDS = 9
RANDOM = {"refloop_sim": 50_000, "refloop_epoll": 1_000, "libuv": 1_000}
# How often the whole corpus runs: build folder, program, driver.
CORPUS = {
    ("bench", "fuzz_program_replay", "refloop_sim"): 500,
    ("bench-profiled", "fuzz_program_replay", "refloop_sim"): 500,
    ("bench-asan", "fuzz_program_replay", "refloop_sim"): 500,
    ("bench", "fuzz_program_virtual", "refloop_epoll"): 50,
    ("bench", "fuzz_program_virtual", "libuv"): 50,
}


def corpus(driver: str) -> list[str]:
    """The programs that are not known to break the driver's loop."""
    paths = sorted(ROOT.glob("corpora/**/*.loop"))
    return [str(path.relative_to(ROOT)) for path in paths if f"\n# breaks: {driver} " not in path.read_text("utf-8")]


def build(folder: str, options: list[str], flags: str) -> bool:
    """Builds the replayers. False: the compiler that it takes is not here, or cannot."""
    asked = ["-G", "Ninja", "-DBUILD_TESTING=OFF", "-DLOOPCHECK_SHIM=OFF", *options, f"-DCMAKE_C_FLAGS={flags}"]
    target = ROOT / "build" / folder
    anew = ["--clean-first"] if BY_PROFILE in flags else []  # ninja does not know that the profile is another
    return tried(["cmake", "-S", ROOT, "-B", target, *asked]) and tried(
        ["cmake", "--build", target, *anew, "--target", *PROGRAMS]
    )


def tried(argv: Sequence[object]) -> bool:
    return subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True).returncode == 0


def llvm() -> Path | None:
    """Where the tools of the clang are that build/bench-profiled was built with."""
    cache = (ROOT / "build" / "bench-profiled" / "CMakeCache.txt").read_text(encoding="utf-8")
    clang = re.search(r"^LOOPCHECK_CLANG:\w+=(.+)$", cache, re.MULTILINE)
    found = os.environ.get("LOOPCHECK_CLANG") or (clang[1] if clang else "")
    folder = Path(shutil.which(found) or found).resolve().parent
    return folder if (folder / "llvm-profdata").exists() and (folder / "llvm-ar").exists() else None


def built_folders() -> set[str]:
    """What this machine can build: "bench", and of BUILDS what clang can. Raises Stop without the first."""
    if not build("bench", FAST, ""):
        raise Stop("build/bench does not build; cmake --build build/bench says why")
    if not build("bench-profiled", CLANG, TO_PROFILE) or (tools := llvm()) is None:
        return {"bench"}
    measure.run([ROOT / "build" / "bench-profiled" / "fuzz" / PROGRAMS[0], "--random", PROFILED_PROGRAMS])
    measure.run([tools / "llvm-profdata", "merge", "-o", f"{PROFILE}.profdata", f"{PROFILE}.profraw"])
    with_llvm = [*CLANG, f"-DCMAKE_AR={tools}/llvm-ar", f"-DCMAKE_RANLIB={tools}/llvm-ranlib"]
    return {"bench", *(folder for folder, flags in BUILDS.items() if build(folder, with_llvm, flags))}


def once(folder: str, program: str, *arguments: object) -> dict[str, float]:
    """One run of a replayer."""
    text, cpu_s, _ = measure.run(
        ["env", f"ASAN_OPTIONS={ASAN_OPTIONS}", ROOT / "build" / folder / "fuzz" / program, *arguments]
    )
    ops, programs = re.search(r"(\d+) of \d+ ops executed", text), re.search(r"(\d+) passed", text)
    if ops is None or programs is None:
        raise Stop("the replayer does not say how much it executed")
    return {"ops": int(ops[1]) / cpu_s, "programs": int(programs[1]) / cpu_s}


def row(name: str, rounds: int, folder: str, program: str, *arguments: object) -> list[str]:
    try:
        rates: dict[str, Rate] = measure.rates(lambda: once(folder, program, *arguments), rounds)
    except Stop as stop:
        if "no such driver" not in str(stop):
            raise
        return [name, "not built", "", ""]
    ops, programs = rates["ops"], rates["programs"]
    return [name, ops.absolute.text(), ops.relative.text(), programs.absolute.text()]


def table(share: float, rounds: int, built: set[str], plain: str = "bench") -> list[list[str]]:
    """`share` of the usual work, by the programs of these folders; `plain` is the one without sanitizers."""
    rows = [["what", "executed ops/s", "ops per unit of the control", "programs/s"]]
    for driver, count in RANDOM.items():
        arguments = ["--driver", driver, "--random", max(1, int(count * share))]
        rows.append(row(f"random programs, {driver}", rounds, plain, "fuzz_program_replay", *arguments))
    for (wanted, program, driver), count in CORPUS.items():
        folder = plain if wanted == "bench" else wanted
        name = f"corpus, {driver}{SORTS.get(folder, '')}{', virtual' * ('virtual' in program)}"
        arguments = ["--driver", driver, "--repeat", max(1, int(count * share)), *corpus(driver)]
        if folder in built:
            rows.append(row(name, rounds, folder, program, *arguments))
        else:
            rows.append([name, "not built", "", ""])
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    try:
        built = {"dev"} if options.smoke else built_folders()
        rows = table(0.002, 2, built, "dev") if options.smoke else table(1, ROUNDS, built)
    except Stop as stop:
        print(f"bench: {stop}", file=sys.stderr)
        return 1
    measure.report("Programs on the C drivers", "bench/programs.py", rows, is_recorded=options.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
