"""The reproducers of docs/findings: a page names each, and each check; those in C compile by the command in their first
comment and run, those in Python run on asyncio, which does right in all but its own."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import parts
import steps
from steps import Stop

RUN_S = 60  # each ends long before
CONTROL = "asyncio:new_event_loop"
LIBRARY = re.compile(r"^ \*   cc (\S+\.c) (-l\w+) ", re.MULTILINE)
CHECK = re.compile(r"^def check_(\w+)\(", re.MULTILINE)


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


def run_on_asyncio(source: Path) -> None:
    """Stops unless asyncio behaves as the page says. What is wrong with asyncio itself depends on its version."""
    argv = [str(steps.PYTHON), str(source), CONTROL]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=RUN_S)
    if done.returncode == 0 or (done.returncode == 1 and source.name.startswith("asyncio_")):
        return
    wrong = [line for line in done.stdout.splitlines() if not line.endswith(": right")] or done.stderr.splitlines()
    raise Stop(f"{source.name} ended with status {done.returncode} on asyncio: {wrong[-1] if wrong else ''}")


def run_all() -> str:
    pages = "".join(page.read_text(encoding="utf-8") for page in steps.files("docs/findings/*.md"))
    sources, scripts = steps.files("docs/findings/*.c"), steps.files("docs/findings/*.py")
    if not sources or not scripts:
        raise Stop("docs/findings holds no reproducer")
    unnamed = [source.name for source in (*sources, *scripts) if f"({source.name})" not in pages]
    if unnamed:
        raise Stop(f"no page of docs/findings links to {unnamed[0]}")
    for script in scripts:
        for name in CHECK.findall(script.read_text(encoding="utf-8")):
            if f"`{name}`" not in pages:
                raise Stop(f"no page of docs/findings names {name} of {script.name}")
    shown = [source.stem for source in sources if shows_defect(source)]
    for script in scripts:
        run_on_asyncio(script)
    of_c = f"{len(shown)} of {len(sources)} in C show the defect with the libraries of this machine"
    return f"{of_c}; asyncio passes the {len(scripts)} in Python, but for its own"
