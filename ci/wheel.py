"""The wheel, tested as a stranger would use it: in its own environment, from outside the checkout."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import machine
import steps
from steps import BUILD, PYTHON, ROOT, Stop

FOLDER = BUILD / "wheel"
VENV = FOLDER / "venv"
PROGRAM = "import asyncio, refloop; print(refloop.run(asyncio.sleep(0.01, 'refloop ran')))"
COMMANDS = (
    ("python", "-c", PROGRAM),
    ("loopcheck", "rules", "FD-1"),
    ("loopcheck", "check", "asyncio:new_event_loop", "-k", "test_watchers", "--report", "report"),
    ("loopcheck", "page", "report/results.json"),
    ("loopcheck", "check", "refloop:new_event_loop", "-k", "test_scheduling"),
)


def build() -> str:
    """Builds the wheel and returns its path."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    argv = [PYTHON, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", FOLDER, ROOT]
    steps.step("wheel", "wheel", argv)
    found = sorted(FOLDER.glob("loopcheck-*.whl"))
    if len(found) != 1:
        raise Stop(f"{len(found)} wheels were built, not one")
    return str(found[0])


def test() -> str:
    """Rules, cases and the page's template are in the wheel; returns the last line that a command printed."""
    wheel = build()
    steps.step("environment for the wheel", "wheel-venv", [machine.base_python(), "-m", "venv", VENV])
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", wheel]
    steps.step("wheel installed", "wheel-install", pip)
    line = ""
    with tempfile.TemporaryDirectory(prefix="loopcheck-") as elsewhere:
        for words in COMMANDS:
            argv = [str(VENV / "bin" / words[0]), *words[1:]]
            done = subprocess.run(argv, cwd=elsewhere, capture_output=True, text=True)
            print(done.stdout + done.stderr, flush=True)
            line = steps.last_line(done.stdout, r"\S") or steps.last_line(done.stderr, r"\S") or line
            if done.returncode != 0:
                raise Stop(f"{' '.join(words)} ended with status {done.returncode}: {line}")
        if not (Path(elsewhere) / "index.html").exists():
            raise Stop("loopcheck page wrote no index.html")
    return line
