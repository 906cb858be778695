"""What the checks of tidy share: the tree they look at and the problems they report."""

from __future__ import annotations

import fnmatch
import functools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib  # type: ignore[import-not-found, no-redef]

IGNORED_FOLDERS = {".git", ".venv", "build", "out", "__pycache__"}


@dataclass(frozen=True, order=True)
class Problem:
    """One sentence about one place."""

    path: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.sentence}"


@dataclass
class Tree:
    """A checkout: the files that git tracks or would track, as paths relative to its root."""

    root: Path
    used_exceptions: set[int] = field(default_factory=set)

    @functools.cached_property
    def names(self) -> list[str]:
        argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        found = subprocess.run(argv, cwd=self.root, capture_output=True, text=True) if self.is_checkout() else None
        if found is not None and found.returncode == 0:
            names = found.stdout.split("\0")
        else:
            names = [str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()]
        kept = {name for name in names if name and not IGNORED_FOLDERS & set(Path(name).parts)}
        return sorted(name for name in kept if (self.root / name).is_file())

    def is_checkout(self) -> bool:
        return os.path.lexists(self.root / ".git")

    def match(self, *patterns: str) -> list[str]:
        """Names that match one of the patterns; `*` goes over slashes too."""
        return [name for name in self.names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]

    def text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8", errors="replace")

    def lines(self, name: str) -> list[str]:
        return self.text(name).splitlines()

    def toml(self, name: str) -> dict[str, Any]:
        """An absent file is empty; a broken one raises tomllib.TOMLDecodeError."""
        return tomllib.loads(self.text(name)) if (self.root / name).is_file() else {}

    def line_of(self, name: str, text: str) -> int:
        """Where the text first stands, from 1; 1 when it stands nowhere."""
        for number, line in enumerate(self.lines(name), 1):
            if text in line:
                return number
        return 1

    @functools.cached_property
    def exceptions(self) -> list[dict[str, Any]]:
        """The entries of ci/tidy_exceptions.toml: check, file, optional function, reason."""
        return list(self.toml("ci/tidy_exceptions.toml").get("exception", []))

    def is_excepted(self, check: str, file: str, function: str = "") -> bool:
        for index, entry in enumerate(self.exceptions):
            if entry.get("check") == check and entry.get("file") == file and entry.get("function", "") == function:
                self.used_exceptions.add(index)
                return True
        return False


def stale_exceptions(tree: Tree) -> Iterator[Problem]:
    """An exception that nothing needs, or that gives no reason. Run after the other checks."""
    name = "ci/tidy_exceptions.toml"
    for index, entry in enumerate(tree.exceptions):
        line = tree.line_of(name, str(entry.get("function") or entry.get("file", "")))
        if not entry.get("reason"):
            yield Problem(name, line, "an exception needs a reason")
        if index not in tree.used_exceptions:
            yield Problem(name, line, f"nothing needs the exception for {entry.get('file')} any more")
