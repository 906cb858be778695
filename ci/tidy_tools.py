"""Other people's checkers, with their findings as problems: ruff, mypy, clang-format."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tidy_base import Problem, Tree

PACKAGES = ("python/loopcheck", "loop/python/refloop")
PLACE = re.compile(r"^(?P<path>[^:\s][^:]*):(?P<line>\d+)(?::\d+)?: (?P<text>.*)$")


def tool(name: str) -> str:
    """Beside this interpreter, otherwise wherever PATH finds it."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def findings(tree: Tree, argv: list[str]) -> Iterator[Problem]:
    """Runs a checker in the tree; each of its lines that names a place becomes a problem."""
    try:
        done = subprocess.run([tool(argv[0]), *argv[1:]], cwd=tree.root, capture_output=True, text=True)
    except OSError as error:
        yield Problem("pyproject.toml", 1, f"{argv[0]} cannot be run: {error.strerror}")
        return
    found = [place for place in map(PLACE.match, (done.stdout + done.stderr).splitlines()) if place]
    for place in found:
        if not place["text"].startswith("note:"):
            yield Problem(place["path"], int(place["line"]), f"{argv[0]}: {place['text']}")
    if done.returncode != 0 and not found:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        yield Problem("pyproject.toml", 1, f"{argv[0]} failed: {last[0]}")


def ruff(tree: Tree) -> Iterator[Problem]:
    yield from findings(tree, ["ruff", "check", "--output-format=concise", "--quiet", "."])
    yield from findings(tree, ["ruff", "format", "--check", "--output-format=concise", "."])


def mypy(tree: Tree) -> Iterator[Problem]:
    packages = [package for package in PACKAGES if tree.match(f"{package}/*.py")]
    yield from findings(tree, ["mypy", "--strict", "--no-error-summary", *packages])


def clang_format(tree: Tree) -> Iterator[Problem]:
    """One problem a file: the first place that differs."""
    seen: set[str] = set()
    names = tree.match("*.c", "*.h")
    for problem in findings(tree, ["clang-format", "--dry-run", "--Werror", *names]) if names else ():
        if problem.path not in seen:
            seen.add(problem.path)
            yield Problem(problem.path, problem.line, f"not formatted (run: clang-format -i {problem.path})")


CHECKS = (ruff, mypy, clang_format)
