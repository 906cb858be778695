"""Is a sanitizer on? Every file was compiled with its flag; each canary is reported by name, in C and under CPython."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import builds
import extensions
import parts
import steps
from steps import PYTHON, Stop

# By sanitizer: what it has to report, and the words of that report.
CANARIES: dict[str, dict[str, str]] = {
    "asan": {
        "leak": "LeakSanitizer: detected memory leaks",
        "heap_overflow": "AddressSanitizer: heap-buffer-overflow",
        "use_after_free": "AddressSanitizer: heap-use-after-free",
        "undefined_shift": "runtime error: shift exponent",
    },
    "ubsan": {"undefined_shift": "runtime error: shift exponent"},
    "tsan": {"data_race": "ThreadSanitizer: data race", "use_after_free": "ThreadSanitizer: heap-use-after-free"},
    "msan": {"uninitialised": "MemorySanitizer: use-of-uninitialized-value"},
}
FLAGS = {
    "asan": {"address", "undefined"},
    "ubsan": {"undefined"},
    "tsan": {"thread"},
    "msan": {"memory"},
}
QUIET = "none"  # the canary without a defect
PROGRAM = "sanitizers/canary"
RUN = "import sys, _canary; _canary.run(sys.argv[1])"


def set_by_user() -> str:
    """The variables with which the user may have switched it off, as the end of a sentence."""
    found = [f"{name}={os.environ[name]}" for name in builds.SANITIZER_ENV if os.environ.get(name)]
    return f" ({', '.join(found)} is set)" if found else ""


def judge(name: str, words: str, status: int, text: str) -> None:
    """Stop unless the output of a canary is the report that it has to cause."""
    if words not in text:
        raise Stop(f"the canary {name} was not reported: the sanitizer is not on{set_by_user()}")
    if f"canary_{name}" not in text:
        raise Stop(f"the report of the canary {name} does not name its function (is llvm-symbolizer there?)")
    if status == 0:
        raise Stop(f"the canary {name} was reported, yet ended with status 0: others go unnoticed{set_by_user()}")


def judge_quiet(status: int, text: str) -> None:
    """Stop unless the harmless canary passed in silence: otherwise programs do not even start here."""
    if status != 0:
        raise Stop(f"a program without a defect ended with status {status}: {steps.last_line(text, 'Sanitizer|rror')}")


def flags_of(command: str) -> set[str]:
    """What a compiler's command line switches on by -fsanitize= and does not take back."""
    found: set[str] = set()
    for word in shlex.split(command):
        if word.startswith("-fsanitize="):
            found |= set(word.partition("=")[2].split(","))
        elif word.startswith("-fno-sanitize="):
            off = set(word.partition("=")[2].split(","))
            found = set() if "all" in off else found - off
    return found


def uninstrumented(folder: Path, wanted: set[str]) -> tuple[list[str], int]:
    """The files of a build that lack a flag, and the number of all files."""
    entries = json.loads((folder / "compile_commands.json").read_text(encoding="utf-8"))
    if not entries:
        raise Stop("nothing was compiled")
    lacking = [steps.relative(Path(entry["file"])) for entry in entries if wanted - flags_of(entry["command"])]
    return lacking, len(entries)


def check_flags(sanitizer: str) -> str:
    lacking, count = uninstrumented(builds.build(sanitizer), FLAGS[sanitizer])
    if lacking:
        raise Stop(f"{len(lacking)} of {count} files were compiled without the sanitizer: {', '.join(lacking[:5])}")
    return f"{count} files with the flag"


def check_canaries(argv: list[object], sanitizer: str, env: dict[str, str]) -> str:
    """Runs `argv` + the name of each canary of this sanitizer."""
    judge_quiet(*parts.shown([*argv, QUIET], env))
    for name, words in CANARIES[sanitizer].items():
        judge(name, words, *parts.shown([*argv, name], env))
    return f"reported: {', '.join(CANARIES[sanitizer])}"


def in_c(sanitizer: str) -> str:
    flags = check_flags(sanitizer)
    argv = [*builds.launcher(sanitizer), builds.program(sanitizer, PROGRAM)]
    return f"{flags}; {check_canaries(argv, sanitizer, builds.environment())}"


def in_python(sanitizer: str) -> str:
    """The same as an extension module: with the runtime preloaded, CPython's allocator off, and the suppressions."""
    env = extensions.environment(sanitizer, {"_canary": extensions.built(sanitizer, "sanitizers", "_canary")})
    return check_canaries([*builds.launcher(sanitizer), PYTHON, "-c", RUN], sanitizer, env)
