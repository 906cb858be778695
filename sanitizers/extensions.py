"""The extension modules of the project under CPython, each with a sanitizer: which they are, and how that is done.

The sanitizer's runtime comes into the uninstrumented CPython by LD_PRELOAD. CPython's own allocator is replaced by
malloc, since inside its pools no sanitizer sees where one object ends. sanitizers/site makes each interpreter, also
those that a test starts, take the modules that were built with the sanitizer.
"""

from __future__ import annotations

import functools
import platform
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import builds
import machine
import parts
import steps
from steps import PYTHON, ROOT, Stop


@dataclass(frozen=True)
class Extension:
    """A module, the folder of its sources, and what pytest is given to run its tests."""

    module: str
    folder: str
    tests: tuple[str, ...]


EXTENSIONS = (
    Extension(
        "loopcheck._contract", "python/loopcheck", ("python/tests/test_kit.py", "python/tests/test_strategies.py")
    ),
    Extension("refloop._core", "loop/python/refloop", ("loop/python/tests",)),
)

SITE = ROOT / "sanitizers" / "site"
RUNTIMES = {"asan": "asan", "ubsan": "ubsan_standalone", "tsan": "tsan"}
IMMORTAL = (3, 12)  # from here on CPython does not give interned strings back: suppressions/lsan.txt
SAYS_FILE = "import importlib, sys; print(importlib.import_module(sys.argv[1]).__file__)"


@functools.cache
def runtime(sanitizer: str) -> Path:
    """The shared runtime of the clang that compiled."""
    clang = machine.find_clang()
    names = [f"libclang_rt.{RUNTIMES[sanitizer]}-{platform.machine()}.so", f"libclang_rt.{RUNTIMES[sanitizer]}.so"]
    for name in names:
        found = subprocess.run([str(clang), f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        if Path(found).is_absolute() and Path(found).exists():
            return Path(found)
    raise Stop(f"{clang} has no {names[0]}, which CPython needs as LD_PRELOAD (Debian: libclang-rt-*-dev)")


def built(sanitizer: str, folder: str, module: str) -> Path:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return builds.program(sanitizer, f"{folder}/{module.rpartition('.')[2]}{suffix}")


def environment(sanitizer: str, modules: dict[str, Path]) -> dict[str, str]:
    """For an interpreter that is to load these modules with the sanitizer on."""
    env = builds.environment()
    env["LD_PRELOAD"] = str(runtime(sanitizer))
    env["PYTHONMALLOC"] = "malloc"
    env["PYTHONPATH"] = str(SITE)
    env["LOOPCHECK_EXTENSIONS"] = ":".join(f"{name}={path}" for name, path in modules.items())
    if sanitizer == "asan" and sys.version_info >= IMMORTAL:
        env["LSAN_OPTIONS"] += f":suppressions={builds.SUPPRESSIONS / 'lsan.txt'}"
    return env


def test(sanitizer: str, extension: Extension) -> str:
    """The extension's own tests; the file that was loaded has to be the one that was built with the sanitizer."""
    wanted = built(sanitizer, extension.folder, extension.module)
    env = environment(sanitizer, {extension.module: wanted})
    python = [*builds.launcher(sanitizer), PYTHON]
    status, text = parts.shown([*python, "-c", SAYS_FILE, extension.module], env)
    if status != 0 or str(wanted) not in text.splitlines():
        raise Stop(f"{extension.module} was not loaded from {steps.relative(wanted)}: {steps.last_line(text, '.')}")
    argv = [*python, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", *extension.tests]
    return parts.runner(argv, r"\d+ (passed|failed|error)", env)
