"""Operator mutants of loop/core by universalmutator: as many as the time allows, another choice each day.

A change of one operator, constant or statement that compiles should be found by the target of its file, by the corpus
or by random programs. What survives is either listed in fuzz/mutants/operators.toml, with the reason why nobody can
tell, or it is a rule or a check that is missing: such ones are told. Too many of them are a failure. What is compiled
to the same machine code is the same program, and is not run.
"""

from __future__ import annotations

import datetime
import random
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import mutants
import parts
import steps
from steps import BUILD, ROOT, Stop, say
from tidy_base import Tree

VERSION = "1.14.1"  # of universalmutator
VENV = BUILD / "universalmutator"
TRIAGED = "fuzz/mutants/operators.toml"
KILLED_PERCENT_MIN = 80.0  # of those that compile and are not known to survive
INPUTS = 3_000  # random ones, of the target of a file
PROGRAMS = 3_000  # random ones
TARGETS = {
    "chunks": "fuzz_chunks",
    "flow": "fuzz_chunks",
    "heap": "fuzz_timers",
    "list": "fuzz_ready",
    "packets": "fuzz_packets",
    "ready": "fuzz_ready",
    "stream": "fuzz_stream",
    "timers": "fuzz_timers",
    "turn": "fuzz_turn",
    "watch": "fuzz_watch",
}
# What a validator or an assertion says is about our own mistakes; names are for people; a comment is for nobody.
LEFT_OUT = re.compile(r"^\s*(?:assert\(|/?\*|//|#)|\(void\)|\"")
COPY = mutants.Copy(
    "operators",
    (mutants.replayer(mutants.PROGRAM_TARGET),),
    ("-DBUILD_TESTING=OFF", "-DCMAKE_C_FLAGS=-Werror=return-type"),  # a function that returns nothing does not compile
)


@dataclass(frozen=True)
class Change:
    """One line of a file, and what stands there instead."""

    file: str  # of loop/core
    line: int  # from 1
    old: str
    new: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.file, self.old.strip(), self.new.strip()


def install() -> Path:
    """The program that makes the mutants."""
    program = VENV / "bin" / "mutate"
    if not program.exists():
        steps.step("environment of universalmutator", "universalmutator", [sys.executable, "-m", "venv", VENV])
        argv = [VENV / "bin" / "pip", "install", "-q", f"universalmutator=={VERSION}"]
        if steps.logged("universalmutator", argv) != 0:
            raise parts.Skipped("universalmutator cannot be installed; see build/logs/universalmutator.log")
    return program


def changes_of(path: Path, program: Path) -> list[Change]:
    """What the operators make of a file, one changed line each; not of its validator."""
    folder = BUILD / "operators" / "made" / path.stem
    shutil.rmtree(folder, ignore_errors=True)  # those of an earlier state of the file
    folder.mkdir(parents=True)
    argv = [program, path, "c", "--noCheck", "--mutantDir", folder]
    if steps.logged("operators", argv) != 0:
        raise Stop("universalmutator failed; see build/logs/operators.log")
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((i for i, line in enumerate(lines) if re.match(r"(?:static )?int \w*check\w*\(", line)), len(lines))
    found = set()
    for mutant in folder.glob("*.c"):
        changed = mutant.read_text(encoding="utf-8", errors="replace").splitlines()
        differ = [i for i, pair in enumerate(zip(lines, changed, strict=False)) if pair[0] != pair[1]]
        if (
            len(changed) == len(lines)
            and len(differ) == 1
            and differ[0] < end
            and not LEFT_OUT.search(lines[differ[0]])
        ):
            found.add(Change(path.name, differ[0] + 1, lines[differ[0]], changed[differ[0]]))
    return sorted(found, key=lambda change: (change.line, change.new))


def is_found(target: str) -> bool:
    """Does this replayer, on random inputs or, if programs are its inputs, on the corpus too, find anything?"""
    replayer = COPY.build / "fuzz" / mutants.replayer(target)
    runs = [[str(replayer), "--random", str(PROGRAMS if target == mutants.PROGRAM_TARGET else INPUTS)]]
    if target == mutants.PROGRAM_TARGET:
        runs.insert(0, [str(replayer), *(steps.relative(path) for path in steps.files("corpora/**/*.loop"))])
    for argv in runs:
        try:
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=mutants.RUN_S)
        except subprocess.TimeoutExpired:
            return True
        if done.returncode != 0:
            return True
    return False


def machine_code(path: Path) -> bytes:
    """What a source of loop/core is compiled to, without names of lines; nothing if it is not C."""
    target = BUILD / "operators" / "compiled.o"
    target.parent.mkdir(parents=True, exist_ok=True)
    argv = ["cc", "-std=c11", "-O2", "-g0", f"-I{COPY.loop}", f"-I{COPY.loop}/include", "-c", path, "-o", target]
    done = subprocess.run([str(word) for word in argv], capture_output=True)
    return target.read_bytes() if done.returncode == 0 else b""


def outcome(change: Change) -> str:
    """killed, survived, same: the same machine code, or invalid: it does not compile."""
    path = COPY.loop / "core" / change.file
    original = path.read_text(encoding="utf-8")
    before = machine_code(path)
    lines = original.splitlines()
    lines[change.line - 1] = change.new
    targets = dict.fromkeys((TARGETS[Path(change.file).stem], mutants.PROGRAM_TARGET))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    after = machine_code(path)
    if after in (b"", before):
        path.write_text(original, encoding="utf-8")
        return "same" if after else "invalid"
    try:
        for target in targets:  # most die by the first, so that the other need not be linked
            COPY.compile(mutants.replayer(target))
            if is_found(target):
                return "killed"
        return "survived"
    except Stop:
        return "invalid"
    finally:
        path.write_text(original, encoding="utf-8")


def triaged() -> set[tuple[str, str, str]]:
    """The survivors that are known."""
    entries = Tree(ROOT).toml(TRIAGED).get("survivor", [])
    return {(str(entry["file"]), str(entry["old"]), str(entry["new"])) for entry in entries}


def hunt(seconds: float, seed: int | None = None) -> str:
    """Tries mutants in the order of a seed (today's) until the time is over. Stop: too few are killed."""
    program, ends = install(), time.monotonic() + seconds
    known, counts, survivors = triaged(), {"killed": 0, "survived": 0, "same": 0, "invalid": 0}, []
    with steps.locked(COPY.name):
        COPY.make()
        changes = [change for stem in TARGETS for change in changes_of(ROOT / "loop" / "core" / f"{stem}.c", program)]
        random.Random(datetime.date.today().toordinal() if seed is None else seed).shuffle(changes)
        for change in changes:
            if time.monotonic() > ends:
                break
            result = outcome(change)
            counts[result] += 1
            if result == "survived" and change.key not in known:
                survivors.append(change)
                say(f"survivor: loop/core/{change.file}:{change.line}: {change.old.strip()}  =>  {change.new.strip()}")
    tried = sum(counts.values())
    detail = f"{tried} of {len(changes)} tried: {', '.join(f'{count} {name}' for name, count in counts.items())}"
    if tried == 0:
        raise parts.Skipped("the time was over before the first was tried")
    if survivors:
        detail += f"; {len(survivors)} not yet in {TRIAGED}"
    if 100 * counts["killed"] < KILLED_PERCENT_MIN * (counts["killed"] + len(survivors)) or counts["killed"] == 0:
        raise Stop(f"{detail}: fewer than {KILLED_PERCENT_MIN:.0f} % were killed")
    return detail
