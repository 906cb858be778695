#!/usr/bin/env python3
"""Ops and programs per second of CPU on the C drivers, monitor included: random programs and the corpus.

    bench/programs.py [--smoke] [--record]

--smoke: so little, of build/dev, that only the script is tried; --record: adds the table to RESULTS.md.
Builds what it measures in build/bench: -O3 with link-time optimisation, asserts on; the same once more in
build/bench-profiled, guided by a profile of random programs (not of the corpus, which it then runs); and, where clang
is, with AddressSanitizer and UndefinedBehaviorSanitizer in build/bench-asan. "virtual": on virtual time, waits cost
nothing.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys

import measure
from measure import ROOT, Rate, Stop

FAST = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"]
BUILDS = {  # by folder: what cmake is told
    "bench": FAST,
    "bench-profiled": FAST,
    "bench-asan": [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_TOOLCHAIN_FILE=ci/clang.cmake",
        "-DLOOPCHECK_FUZZERS=OFF",
        "-DCMAKE_C_FLAGS=-fsanitize=address,undefined -fno-sanitize-recover=all",
    ],
}
PROGRAMS = ("fuzz_program_replay", "fuzz_program_virtual")
SORTS = {"bench-asan": ", ASan and UBSan", "bench-profiled": ", profile-guided"}
PROFILE = ROOT / "build" / "bench-profiled" / "profile"
TO_PROFILE = f"-fprofile-generate -fprofile-dir={PROFILE}"
BY_PROFILE = f"-fprofile-use -fprofile-dir={PROFILE} -Wno-missing-profile"
PROFILED_PROGRAMS = 20_000
ROUNDS = 9
RANDOM = {"refloop_sim": 50_000, "refloop_epoll": 1_000, "libuv": 1_000}
# How often the whole corpus runs: build folder, program, driver.
CORPUS = {
    ("bench", "fuzz_program_replay", "refloop_sim"): 500,
    ("bench-profiled", "fuzz_program_replay", "refloop_sim"): 500,
    ("bench-asan", "fuzz_program_replay", "refloop_sim"): 200,
    ("bench", "fuzz_program_virtual", "refloop_epoll"): 50,
    ("bench", "fuzz_program_virtual", "libuv"): 50,
}


def corpus(driver: str) -> list[str]:
    """The programs that are not known to break the driver's loop."""
    paths = sorted(ROOT.glob("corpora/**/*.loop"))
    return [str(path.relative_to(ROOT)) for path in paths if f"\n# breaks: {driver} " not in path.read_text("utf-8")]


def build(folder: str, flags: str = "") -> bool:
    """Builds the replayers. False: the compiler that it takes is not here."""
    options = ["-G", "Ninja", "-DBUILD_TESTING=OFF", "-DLOOPCHECK_SHIM=OFF", *BUILDS[folder]]
    options += [f"-DCMAKE_C_FLAGS={flags}"] if flags else []
    target = ROOT / "build" / folder
    for argv in (
        ["cmake", "-S", ROOT, "-B", target, *options],
        ["cmake", "--build", target, "--target", *PROGRAMS],
    ):
        if subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True).returncode != 0:
            return False
    return True


def build_profiled(folder: str) -> bool:
    """Builds the replayers, runs random programs, builds them again by what was seen. False: the compiler cannot."""
    shutil.rmtree(PROFILE, ignore_errors=True)
    if not build(folder, TO_PROFILE):
        return False
    measure.run([ROOT / "build" / folder / "fuzz" / PROGRAMS[0], "--random", PROFILED_PROGRAMS])
    return build(folder, BY_PROFILE)


def built_folders() -> set[str]:
    """Those of BUILDS that this machine can build. Raises Stop without the plain one."""
    built = {folder for folder in BUILDS if (build_profiled if folder == "bench-profiled" else build)(folder)}
    if "bench" not in built:
        raise Stop("build/bench does not build; cmake --build build/bench says why")
    return built


def once(folder: str, program: str, *arguments: object) -> dict[str, float]:
    """One run of a replayer."""
    asan = ["env", "ASAN_OPTIONS=quarantine_size_mb=1"]  # more than a program frees, and it stays in the caches
    text, cpu_s, _ = measure.run([*asan, ROOT / "build" / folder / "fuzz" / program, *arguments])
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
