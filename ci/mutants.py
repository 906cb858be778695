"""Mutants: planted defects as exact text replacements in a copy of loop/ or contract/, each found by rule or target.

One build directory serves all: a mutant changes one file of the copy, so that only that file is compiled
again. A program of the corpus, or a random one, on the simulated kernel has to find it and name its rule; or, where a
mutant names a target of fuzz/targets as its killer, a random input of that target. The seeds are fixed, so that a
mutant is killed by the same program every time. sanitizers/races.py plants races with the same means.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import builds
import steps
from steps import BUILD, ROOT, Stop, say
from tidy_base import Tree

PROGRAMS_MAX = 20_000  # random programs that a mutant may survive
INPUTS_MAX = 20_000  # random inputs of a target
INPUTS_MAX_OF = {"fuzz_mailbox": 1_000, "fuzz_sweep": 2_000}  # where an input is threads, or many runs
REAL_PROGRAMS_MAX = 2_000  # on a real kernel, though on virtual time
PROGRAM_TARGET = "fuzz_program"
UNIT_TEST = "rl_test_"  # so the name of a killer begins that is a test of loop/tests (mutants_units.py)
VIRTUAL = "fuzz_program_virtual"  # the same on virtual time, for a driver on a real kernel
FAILURES_MAX = 200  # programs that may fail by another rule before the named one speaks
RUN_S = 60  # of one run of the replayer
FAILED = re.compile(r"^seed (\d+): (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One [[mutant]] of a TOML file."""

    id: str
    file: str  # relative to loop/, or "contract/..."
    old: str
    new: str
    story: str
    rule: str = ""  # fuzz/mutants: the rule that names it; empty if a target is the killer
    killer: str = PROGRAM_TARGET  # of fuzz/targets, or a unit test
    driver: str = "refloop_sim"  # on which programs hunt it
    case: str = ""  # fuzz/mutants/extension.toml: the case of conformance/ that finds it
    shown_as: str = ""  # sanitizers/races.toml: how it is shown


def load(pattern: str) -> list[Mutant]:
    """The mutants of the files that match."""
    tree = Tree(ROOT)
    entries = [entry for name in tree.match(pattern) for entry in tree.toml(name).get("mutant", [])]
    found = [Mutant(**{**entry, "file": entry["file"].removeprefix("loop/")}) for entry in entries]
    if not found:
        raise Stop(f"{pattern} holds no mutant")
    return found


def load_hunted() -> list[Mutant]:
    """Those of fuzz/mutants that programs and targets hunt."""
    every = load("fuzz/mutants/*.toml")
    return [mutant for mutant in every if not mutant.case and not mutant.killer.startswith(UNIT_TEST)]


def take_over(source: Path, target: Path) -> None:
    """Makes one folder what the other is."""
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for path in [path for path in target.rglob("*") if path.is_file()]:
        if path.relative_to(target) not in wanted:
            path.unlink()
    for name in wanted:
        if not (target / name).exists() or (target / name).read_bytes() != (source / name).read_bytes():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


@dataclass(frozen=True)
class Copy:
    """A copy of loop/ and contract/ in which mutants are planted one at a time, and the folder that compiles it."""

    name: str  # of its folder in build/ and of its logs
    targets: tuple[str, ...]  # what compile() makes unless it is told
    options: tuple[str, ...]  # of cmake
    env: dict[str, str] = field(default_factory=dict)

    @property
    def loop(self) -> Path:
        return BUILD / self.name / "loop"

    @property
    def contract(self) -> Path:
        return BUILD / self.name / "contract"

    @property
    def build(self) -> Path:
        return BUILD / self.name / "cmake"

    def make(self) -> None:
        """The unchanged copy, compiled."""
        self.refresh()
        builds.forget_moved(self.build)
        options = [f"-DREFLOOP_DIR={self.loop}", f"-DCONTRACT_DIR={self.contract}"]
        options += ["-DLOOPCHECK_LOOPS=OFF", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
        argv = ["cmake", "-S", ROOT, "-B", self.build, "-G", "Ninja", *options, *self.options]
        steps.step(f"configure {self.name}", f"configure-{self.name}", argv, self.env)
        self.compile()

    def refresh(self) -> None:
        """Both as they are now; files that did not change keep their times, so that they are not compiled again."""
        for source, target in ((ROOT / "loop", self.loop), (ROOT / "contract", self.contract)):
            take_over(source, target)

    def compile(self, *targets: str) -> None:
        argv = ["cmake", "--build", self.build, "-j", steps.JOBS, "--target", *(targets or self.targets)]
        if steps.logged(f"build-{self.name}", argv, self.env) != 0:
            raise Stop(f"does not compile; see {steps.relative(steps.LOGS / f'build-{self.name}.log')}")

    @contextlib.contextmanager
    def planted(self, mutant: Mutant, *targets: str) -> Iterator[None]:
        """The copy with this mutant, compiled. Stop: it cannot be applied."""
        path = (self.contract.parent if mutant.file.startswith("contract/") else self.loop) / mutant.file
        if not path.exists():
            raise Stop(f"{steps.relative(path)} does not exist")
        original = path.read_text(encoding="utf-8")
        if original.count(mutant.old) != 1 or mutant.old == mutant.new:
            raise Stop(f"its text stands {original.count(mutant.old)} times in {mutant.file}, not once")
        path.write_text(original.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            self.compile(*targets)
            yield
        finally:
            path.write_text(original, encoding="utf-8")


def replayer(target: str) -> str:
    """The program that a killer is."""
    return target if target == VIRTUAL or target.startswith(UNIT_TEST) else f"{target}_replay"


COPY = Copy("mutants", (replayer(PROGRAM_TARGET), VIRTUAL), ("-DBUILD_TESTING=OFF",))


def run_random(target: str, *options: object) -> str:
    """Runs a replayer with random inputs; what it says of the first that fails, or nothing."""
    words = [str(word) for word in (COPY.build / "fuzz" / replayer(target), *options)]
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


def programs_max(driver: str) -> int:
    return PROGRAMS_MAX if driver == "refloop_sim" else REAL_PROGRAMS_MAX


def first_failure(seed: int, count: int, driver: str) -> tuple[int, set[str]] | None:
    """The first seed from `seed` on whose program fails, and what it says (rules, HANG, CRASH)."""
    target = PROGRAM_TARGET if driver == "refloop_sim" else VIRTUAL
    text = run_random(target, "--driver", driver, "--random", count, "--seed", seed)
    found = FAILED.findall(text)
    return (int(found[0][0]), {rule for _seed, rule in found}) if found else None


def hunt_by_target(target: str, first: int = 1) -> str | None:
    """Runs random inputs of a target until one fails; a sentence about it, or None."""
    count = INPUTS_MAX_OF.get(target, INPUTS_MAX)
    found = FAILED.search(run_random(target, "--random", count, "--seed", first))
    return f"{target} at input {found[1]}" if found else None


def in_corpus(rule: str, driver: str) -> str | None:
    """The first program of the corpus that breaks the rule."""
    names = [steps.relative(path) for path in steps.files("corpora/**/*.loop")]
    argv = [str(COPY.build / "fuzz" / replayer(PROGRAM_TARGET)), "--driver", driver, *names]
    try:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=RUN_S)
    except subprocess.TimeoutExpired:
        return None
    found = re.search(rf"^corpora/(\S+): {re.escape(rule)} ", done.stdout, re.MULTILINE)
    return found[1] if found else None


def hunt(rule: str, driver: str) -> str | None:
    """Runs programs until one breaks the rule; a sentence about it, or None. Stop: only other rules spoke."""
    if stored := in_corpus(rule, driver):
        return f"{rule} at {stored}"
    return hunt_random(rule, driver)


def hunt_random(rule: str, driver: str, first: int = 1) -> str | None:
    """As hunt, with random programs only, from the seed `first` on."""
    seed, others = first, set[str]()
    for _ in range(FAILURES_MAX):
        failure = first_failure(seed, programs_max(driver) - (seed - first), driver)
        if failure is None:
            break
        if rule in failure[1]:
            return f"{rule} at program {failure[0]}"
        others |= failure[1]
        seed = failure[0] + 1
    if others:
        raise Stop(f"programs failed, but by {', '.join(sorted(others))}, not by {rule}")
    return None


def find(mutant: Mutant) -> str | None:
    """Hunts a mutant of fuzz/mutants, which is planted, by its rule or its target."""
    return hunt(mutant.rule, mutant.driver) if mutant.rule else hunt_by_target(mutant.killer)


def check_unchanged(killers: set[str]) -> None:
    """The unchanged copy must pass."""
    COPY.compile(*(replayer(killer) for killer in sorted(killers)))
    for killer in sorted(killers - {PROGRAM_TARGET}):
        if hunt_by_target(killer) is not None:
            raise Stop(f"the unchanged loop fails {killer}")
    clean = first_failure(1, PROGRAMS_MAX, "refloop_sim")
    if clean is not None:
        raise Stop(f"the unchanged loop fails at program {clean[0]} by {', '.join(sorted(clean[1]))}")


def kill(copy: Copy, mutant: Mutant, find: Callable[[Mutant], str | None]) -> str:
    """Plants one mutant in the copy, hunts it, takes it back. Stop: it survives or cannot be applied."""
    targets = (replayer(mutant.killer),) if mutant.killer != PROGRAM_TARGET else ()
    with copy.planted(mutant, *targets):
        found = find(mutant)
    if found is None:
        raise Stop("survived")
    return found


def is_killed(copy: Copy, mutant: Mutant, find: Callable[[Mutant], str | None]) -> bool:
    began = time.monotonic()
    try:
        outcome, how = "killed", kill(copy, mutant, find)
    except Stop as stop:
        outcome, how = "NOT KILLED", str(stop)
    say(f"mutant {mutant.id}: {outcome}: {how} ({time.monotonic() - began:.1f} s)")
    return outcome == "killed"


def kill_each(copy: Copy, found: list[Mutant], find: Callable[[Mutant], str | None]) -> str:
    """`find` says how it found a planted mutant, or None; every mutant must be found."""
    survivors = [mutant.id for mutant in found if not is_killed(copy, mutant, find)]
    if survivors:
        raise Stop(f"{len(found) - len(survivors)} of {len(found)} killed; not {', '.join(survivors)}")
    return f"{len(found)} of {len(found)} killed"


def kill_all() -> str:
    """The unchanged copy must pass and every mutant that programs and targets hunt must be killed."""
    found = load_hunted()
    with steps.locked(COPY.name):
        COPY.make()
        check_unchanged({PROGRAM_TARGET} | {mutant.killer for mutant in found})
        return kill_each(COPY, found, find) + ", each by its rule or its target"
