"""The reproducers of docs/findings: each still compiles by the command in its first comment, runs, and says which."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import parts
import steps
from steps import Stop

RUN_S = 60  # each ends long before
LIBRARY = re.compile(r"^ \*   cc (\S+\.c) (-l\w+) ", re.MULTILINE)


def shows_defect(source: Path) -> bool:
    """Does the library of this machine still behave as the page says?"""
    command = LIBRARY.search(source.read_text(encoding="utf-8"))
    if command is None or command[1] != source.name:
        raise Stop(f"{source.name}: its first comment has no command to compile it by")
    with tempfile.TemporaryDirectory(prefix="loopcheck-") as folder:
        program = str(Path(folder) / "reproducer")
        argv = ["cc", "-Wall", "-Wextra", "-Werror", str(source), command[2], "-o", program]
        built = subprocess.run(argv, capture_output=True, text=True)
        if built.returncode != 0 and f"cannot find {command[2]}" in built.stderr:
            raise parts.Skipped(f"no library for {command[2]}")
        if built.returncode != 0:
            raise Stop(f"{source.name} does not compile: {built.stderr.strip().splitlines()[0]}")
        status = subprocess.run([program], capture_output=True, timeout=RUN_S).returncode
    if status not in (0, 1):
        raise Stop(f"{source.name} ended with status {status}")
    return status == 1


def run_all() -> str:
    sources = steps.files("docs/findings/*.c")
    if not sources:
        raise Stop("docs/findings holds no reproducer")
    shown = [source.stem for source in sources if shows_defect(source)]
    return f"{len(shown)} of {len(sources)} show the defect with the libraries of this machine"
