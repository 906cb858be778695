"""The corpus: can it be read, which part of it covers as much, and how a found input becomes an entry of it."""

from __future__ import annotations

import re
import shutil
from argparse import Namespace
from pathlib import Path

import builds
import corpus
import fuzzing
import steps
import tidy_corpus
from steps import BUILD, PYTHON, ROOT, Stop
from tidy_base import Tree

PROGRAMS_MIN = 150  # what the corpus holds at least
TARGET = "fuzz_program"
MERGED = BUILD / "minimised" / TARGET
TEXTS = BUILD / "minimised" / "programs"
AREA = re.compile(r"[a-z]+")
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

# Writes inputs as text: argv = target folder, then the files.
DECODE = """
import pathlib, sys
from loopcheck import _contract
for name in sys.argv[2:]:
    text = _contract.format(pathlib.Path(name).read_bytes())
    pathlib.Path(sys.argv[1], pathlib.Path(name).name + ".loop").write_text(text, encoding="utf-8")
"""


def validate() -> str:
    """Every program can be read, tells its story and cites a rule; and there are enough of them."""
    problems = [problem for check in tidy_corpus.CHECKS for problem in check(Tree(ROOT))]
    for problem in problems:
        print(problem)
    if problems:
        raise Stop(f"{len(problems)} problems")
    count = len(corpus.programs())
    if count < PROGRAMS_MIN:
        raise Stop(f"{count} programs, fewer than {PROGRAMS_MIN}")
    return f"{count} programs, each with its story"


def decode(folder: Path, files: list[Path]) -> None:
    """Writes inputs of a fuzzer as texts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    steps.step("inputs as text", "decode", [PYTHON, "-c", DECODE, folder, *files])


def minimise() -> str:
    """The fewest of the stored programs and of those that the fuzzer kept that cover what all do; none in the tree."""
    program = builds.program("asan", f"fuzz/{TARGET}")
    shutil.rmtree(MERGED, ignore_errors=True)
    MERGED.mkdir(parents=True)
    grown = BUILD / "fuzz-corpus" / TARGET
    grown.mkdir(parents=True, exist_ok=True)
    stored = fuzzing.seeds(TARGET)
    argv = [program, "-merge=1", MERGED, stored, grown]  # what comes first is kept first
    if steps.logged("minimise", argv, builds.environment()) != 0:
        raise Stop(f"the fuzzer ended with an error; see {steps.relative(steps.LOGS / 'minimise.log')}")
    kept = sorted(MERGED.iterdir())
    if not kept:
        raise Stop("nothing was kept")
    decode(TEXTS, kept)
    count = len(list(stored.iterdir())) + len(list(grown.iterdir()))
    return f"{len(kept)} of {count} programs cover what all do: {steps.relative(TEXTS)}"


def text_of(path: Path) -> str:
    """The ops of a program, from a text or from a fuzzer's input."""
    if path.suffix != ".loop":
        folder = BUILD / "promoted"
        decode(folder, [path])
        path = folder / f"{path.name}.loop"
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.startswith("#"))


def promote(options: Namespace) -> str:
    """Makes a program an entry of corpora/regress, under the next number of its area."""
    path = Path(options.file)
    if not path.is_file():
        raise Stop(f"{path} is no file")
    if not AREA.fullmatch(options.area) or not SLUG.fullmatch(options.slug):
        raise Stop("an area is like timers, a slug like order-of-no-delay")
    ops = text_of(path)
    folder = ROOT / "corpora" / "regress" / options.area
    folder.mkdir(exist_ok=True)
    number = 1 + max((int(entry.name[:4]) for entry in folder.glob("[0-9]*.loop")), default=0)
    entry = folder / f"{number:04d}-{options.slug}.loop"
    labels = f"# found: {options.found}     rule: {options.rule}     effect: {options.effect}"
    entry.write_text(f"# {options.story}\n{labels}\n{ops}\n", encoding="utf-8")
    try:
        validate()
        corpus.run("dev", "refloop_sim", entry)
    except Stop:
        entry.unlink()
        raise
    return f"{steps.relative(entry)}: also see what `ci/check.py corpus` says of it on the other loops"
