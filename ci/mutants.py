"""Mutants: planted defects as exact text replacements in a copy of loop/, each to be found by its rule or its target.

One build directory serves all: a mutant changes one file of the copy, so that only that file is compiled
again. Random programs on the simulated kernel have to find it and name its rule; or, where a mutant names a
target of fuzz/targets as its killer, random inputs of that target have to. The seeds are fixed, so that a
mutant is killed by the same program every time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass

import builds
import steps
from steps import BUILD, ROOT, Stop, say
from tidy_base import Tree

FOLDER = BUILD / "mutants"
COPY = FOLDER / "loop"
CMAKE = FOLDER / "cmake"
PROGRAMS_MAX = 20_000  # random programs that a mutant may survive
INPUTS_MAX = 20_000  # random inputs of a target
PROGRAM_TARGET = "fuzz_program"
FAILURES_MAX = 25  # programs that may fail by another rule before the named one speaks
RUN_S = 60  # of one run of the replayer
FAILED = re.compile(r"^seed (\d+): (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One [[mutant]] of fuzz/mutants/*.toml."""

    id: str
    file: str  # relative to loop/
    rule: str  # empty if a target is the killer
    old: str
    new: str
    story: str
    killer: str = PROGRAM_TARGET  # of fuzz/targets


def load() -> list[Mutant]:
    tree = Tree(ROOT)
    entries = [entry for name in tree.match("fuzz/mutants/*.toml") for entry in tree.toml(name).get("mutant", [])]
    return [Mutant(**{"rule": "", **entry, "file": entry["file"].removeprefix("loop/")}) for entry in entries]


def fresh_copy() -> None:
    """loop/ as it is now; files that did not change keep their times, so that they are not compiled again."""
    wanted = {path.relative_to(ROOT / "loop") for path in (ROOT / "loop").rglob("*") if path.is_file()}
    for path in [path for path in COPY.rglob("*") if path.is_file()]:
        if path.relative_to(COPY) not in wanted:
            path.unlink()
    for name in wanted:
        source, target = ROOT / "loop" / name, COPY / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def configure() -> None:
    builds.forget_moved(CMAKE)
    options = [
        f"-DREFLOOP_DIR={COPY}",
        "-DLOOPCHECK_LIBUV=OFF",
        "-DBUILD_TESTING=OFF",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
    ]
    steps.step("configure mutants", "configure-mutants", ["cmake", "-S", ROOT, "-B", CMAKE, "-G", "Ninja", *options])


def replayer(target: str) -> str:
    return f"{target}_replay"


def compile_copy(target: str) -> None:
    argv = ["cmake", "--build", CMAKE, "-j", steps.JOBS, "--target", replayer(target)]
    if steps.logged("build-mutants", argv) != 0:
        raise Stop(f"does not compile; see {steps.relative(steps.LOGS / 'build-mutants.log')}")


def run_random(target: str, *options: object) -> str:
    """Runs a replayer with random inputs; what it says of the first that fails, or nothing."""
    words = [str(word) for word in (CMAKE / "fuzz" / replayer(target), *options)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=RUN_S)
    except subprocess.TimeoutExpired:
        raise Stop(f"{replayer(target)} {' '.join(words[1:])} took more than {RUN_S} s") from None
    if done.returncode == 0:
        return ""
    if not FAILED.search(done.stdout):
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise Stop(f"ended with status {done.returncode} and named no input: {last}")
    return done.stdout


def first_failure(seed: int, count: int) -> tuple[int, set[str]] | None:
    """The first seed from `seed` on whose program fails, and what it says (rules, HANG, CRASH)."""
    text = run_random(PROGRAM_TARGET, "--driver", "refloop_sim", "--random", count, "--seed", seed)
    found = FAILED.findall(text)
    return (int(found[0][0]), {rule for _seed, rule in found}) if found else None


def hunt_by_target(target: str) -> str | None:
    """Runs random inputs of a target until one fails; a sentence about it, or None."""
    found = FAILED.search(run_random(target, "--random", INPUTS_MAX))
    return f"{target} at input {found[1]}" if found else None


def hunt(rule: str) -> str | None:
    """Runs programs until one breaks the rule; a sentence about it, or None. Stop: only other rules spoke."""
    seed, others = 1, set[str]()
    for _ in range(FAILURES_MAX):
        failure = first_failure(seed, PROGRAMS_MAX - seed + 1)
        if failure is None:
            break
        if rule in failure[1]:
            return f"{rule} at program {failure[0]}"
        others |= failure[1]
        seed = failure[0] + 1
    if others:
        raise Stop(f"programs failed, but by {', '.join(sorted(others))}, not by {rule}")
    return None


def kill(mutant: Mutant) -> str:
    """Applies one mutant to the copy, hunts it, takes it back. Stop: it survives or cannot be applied."""
    path = COPY / mutant.file
    if not path.exists():
        raise Stop(f"loop/{mutant.file} does not exist")
    original = path.read_text(encoding="utf-8")
    if original.count(mutant.old) != 1 or mutant.old == mutant.new:
        raise Stop(f"its text stands {original.count(mutant.old)} times in loop/{mutant.file}, not once")
    path.write_text(original.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        compile_copy(mutant.killer)
        found = hunt(mutant.rule) if mutant.rule else hunt_by_target(mutant.killer)
    finally:
        path.write_text(original, encoding="utf-8")
    if found is None:
        raise Stop(f"survived {PROGRAMS_MAX if mutant.rule else INPUTS_MAX} random inputs of {mutant.killer}")
    return found


def check_unchanged(killers: set[str]) -> None:
    """The unchanged copy must pass."""
    for killer in sorted(killers):
        compile_copy(killer)
        if killer != PROGRAM_TARGET and hunt_by_target(killer) is not None:
            raise Stop(f"the unchanged loop fails {killer}")
    clean = first_failure(1, PROGRAMS_MAX)
    if clean is not None:
        raise Stop(f"the unchanged loop fails at program {clean[0]} by {', '.join(sorted(clean[1]))}")


def kill_all() -> str:
    """The unchanged copy must pass and every mutant must be killed."""
    found = load()
    if not found:
        raise Stop("fuzz/mutants/ holds no mutant")
    with steps.locked("mutants"):
        fresh_copy()
        configure()
        check_unchanged({PROGRAM_TARGET} | {mutant.killer for mutant in found})
        survivors = [mutant.id for mutant in found if not is_killed(mutant)]
    if survivors:
        raise Stop(f"{len(found) - len(survivors)} of {len(found)} killed; not {', '.join(survivors)}")
    return f"{len(found)} of {len(found)} killed, each by its rule or its target"


def is_killed(mutant: Mutant) -> bool:
    began = time.monotonic()
    try:
        outcome, how = "killed", kill(mutant)
    except Stop as stop:
        outcome, how = "NOT KILLED", str(stop)
    say(f"mutant {mutant.id}: {outcome}: {how} ({time.monotonic() - began:.1f} s)")
    return outcome == "killed"
