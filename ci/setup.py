#!/usr/bin/env python3
"""Brings a fresh checkout to the point where it runs, then runs the demo or the tests.

    ci/setup.py demo [OPTIONS]    then ci/demo.py OPTIONS       (what ci/demo does)
    ci/setup.py test [OPTIONS]    then ci/check.py test OPTIONS (what ci/test does)
    ci/setup.py check ARGUMENTS   then ci/check.py ARGUMENTS
    ci/setup.py sanitizers NAME   then sanitizers/sanitize.py NAME (what sanitizers/run does)

System packages by apt where allowed, a virtual environment in .venv, the project in it. Each step is
left out while the inputs that it was done for have not changed. Needs python3 >= 3.10, nothing else.
Whatever the user's environment says, bytecode is kept: the tests start thousands of interpreters.
Exit status 2: the machine lacks something that only its owner can provide; the message says what.
"""

from __future__ import annotations

import os
import sys

if sys.version_info < (3, 10):
    sys.exit("ci: python3 is %d.%d here; loopcheck needs 3.10 or newer" % sys.version_info[:2])

import datetime
import json
import shutil
import subprocess

import machine
import steps
from steps import PYTHON, ROOT, VENV, Stamp, Stop, say

SCRIPTS = {
    "demo": ("ci/demo.py",),
    "test": ("ci/check.py", "test"),
    "check": ("ci/check.py",),
    "sanitizers": ("sanitizers/sanitize.py",),
}

NETWORK_SIGNS = (
    "NameResolution",
    "Temporary failure in name",
    "ConnectTimeout",
    "NewConnectionError",
    "Network is unreachable",
    "Connection refused",
    "ProxyError",
    "Read timed out",
)

READ_REQUIRES = """
import sys
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
with open(sys.argv[1], "rb") as file:
    print("\\n".join(tomllib.load(file)["build-system"]["requires"]))
"""


def interpreter() -> str:
    """What a virtual environment depends on: the interpreter that made it, and where it stands."""
    return json.dumps([sys.version, sys.base_prefix, str(ROOT)])


def venv_works() -> bool:
    if not Stamp(VENV / "loopcheck-made-by.json", interpreter()).holds():
        return False
    probe = subprocess.run([PYTHON, "-c", "import pip"], capture_output=True)
    return probe.returncode == 0


def make_venv() -> None:
    if PYTHON.exists() and venv_works():
        return
    if VENV.exists():
        say("the virtual environment .venv is broken or of another interpreter; making a new one")
        shutil.rmtree(VENV)
    steps.step("virtual environment .venv", "venv", [machine.base_python(), "-m", "venv", VENV])
    Stamp(VENV / "loopcheck-made-by.json", interpreter()).set()


def network_sentence(log: str) -> str:
    """What to say of pip's log when the network is at fault; otherwise nothing."""
    is_network = any(sign in log for sign in NETWORK_SIGNS)
    return "the Python package index cannot be reached; check the network and repeat" if is_network else ""


def pip(title: str, *words: object) -> None:
    argv = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *words]
    steps.step(title, "pip", argv, {"PIP_PROGRESS_BAR": "off"}, network_sentence)


def install_project() -> None:
    """The project, editable, with what its tests need; again only when something it is made of changed."""
    sources = steps.files(
        "pyproject.toml",
        "CMakeLists.txt",
        "CMakePresets.json",
        "ci/*.cmake",
        "contract/*.[ch]",
        "loop/**/*.[ch]",
        "python/loopcheck/*.c",
        "python/**/CMakeLists.txt",
        "contract/**/CMakeLists.txt",
        "loop/**/CMakeLists.txt",
        "fuzz/kernels/adversary.[ch]",
        "fuzz/kernels/shim*",
        "fuzz/kernels/CMakeLists.txt",
    )
    modules = [steps.relative(path) for path in steps.files("python/loopcheck/**/*.py", "loop/python/refloop/**/*.py")]
    stamp = Stamp(VENV / "loopcheck-installed.json", steps.digest(sources, *modules))
    if stamp.holds():
        return
    asked = subprocess.run([PYTHON, "-c", READ_REQUIRES, ROOT / "pyproject.toml"], capture_output=True, text=True)
    if asked.returncode != 0:
        raise Stop(f"pyproject.toml cannot be read: {asked.stderr.strip().splitlines()[-1]}")
    pip("build requirements", *asked.stdout.split("\n")[:-1])
    pip("loopcheck itself (compiles its C part)", "--no-build-isolation", "-e", f"{ROOT}[test]")
    stamp.set()


def install_uvloop() -> None:
    """The newest uvloop, looked for once a day; an older one will do when the network is away."""
    stamp = Stamp(VENV / "loopcheck-uvloop.json", datetime.date.today().isoformat())
    if stamp.holds():
        return
    had = subprocess.run([PYTHON, "-c", "import uvloop"], capture_output=True).returncode == 0
    try:
        pip("uvloop, newest", "--upgrade", "uvloop")
    except Stop as stop:
        if not had:
            raise
        say(f"{stop}; going on with the uvloop that is installed")
    stamp.set()


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in SCRIPTS or {"-h", "--help"} & set(argv):
        print((__doc__ or "").strip())
        return 0 if "-h" in argv or "--help" in argv else 2
    goal, rest = argv[0], argv[1:]
    try:
        with steps.locked("setup"):
            everything = goal in ("test", "sanitizers") or rest[:1] in (["test"], ["nightly"])
            is_sanitizers = goal == "sanitizers"
            machine.provide(everything, strict=is_sanitizers or "--strict" in rest, browser=not is_sanitizers)
            make_venv()
            install_project()
            if not is_sanitizers and (goal != "check" or everything):
                install_uvloop()
    except Stop as stop:
        say(str(stop))
        return stop.status
    except KeyboardInterrupt:
        say("stopped by the user")
        return 130
    script, *words = SCRIPTS[goal]
    command = [str(PYTHON), str(ROOT / script), *words, *rest]
    os.execve(command[0], command, {**os.environ, "LOOPCHECK_SET_UP": "1", "PYTHONDONTWRITEBYTECODE": ""})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
