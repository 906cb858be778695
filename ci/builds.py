"""Builds of the C parts by the presets of CMakePresets.json, each in build/<preset>, each only once a run."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import machine
import parts
import steps
from steps import BUILD, PYTHON, ROOT, Stop

CLANG_PRESETS = ("asan", "ubsan", "tsan", "msan")
SUPPRESSIONS = ROOT / "sanitizers" / "suppressions"
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
    "LSAN_OPTIONS": "print_suppressions=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions={SUPPRESSIONS / 'tsan.txt'}",
    "MSAN_OPTIONS": "print_stats=0",
}
# ThreadSanitizer and MemorySanitizer put their shadow memory at fixed addresses. With more random bits than these in
# the addresses of a program, the two can collide, and then the program ends before main.
RANDOM_BITS_MAX = 28
RANDOM_BITS = Path("/proc/sys/vm/mmap_rnd_bits")
FIXED_SHADOW = ("tsan", "msan")

failed: set[str] = set()  # presets whose build was tried and did not end


def environment() -> dict[str, str]:
    """For configure, build and run: which clang, its symbolizer, how sanitizers report.

    What the user's own variables say comes last and counts; sanitizers/run notices when it switches one off.
    """
    found = {name: ":".join(filter(None, (ours, os.environ.get(name)))) for name, ours in SANITIZER_ENV.items()}
    clang = machine.find_clang()
    if clang is not None:
        found["LOOPCHECK_CLANG"] = clang
        symbolizer = Path(clang).resolve().parent / "llvm-symbolizer"
        if symbolizer.exists():
            for name in ("ASAN", "LSAN", "UBSAN", "TSAN", "MSAN"):
                found[f"{name}_SYMBOLIZER_PATH"] = str(symbolizer)
    return found


def need_clang() -> None:
    if machine.find_clang() is None:
        raise parts.Skipped("no clang with libFuzzer and sanitizers on this machine")


@functools.cache
def launcher(preset: str) -> tuple[str, ...]:
    """What the programs of a preset are started through, for lack of room in the address space: mostly nothing."""
    try:
        bits = int(RANDOM_BITS.read_text())
    except (OSError, ValueError):
        return ()
    if preset not in FIXED_SHADOW or bits <= RANDOM_BITS_MAX:
        return ()
    fixed = ("setarch", "-R")
    try:
        refused = subprocess.run([*fixed, "true"], capture_output=True).returncode != 0
    except OSError:
        refused = True
    if refused:
        raise Stop(
            f"this kernel randomises {bits} bits of an address, which leaves {preset} no room for its shadow memory, "
            f"and `setarch -R` may not switch that off here; as root: sysctl -w vm.mmap_rnd_bits={RANDOM_BITS_MAX}"
        )
    return fixed


def forget_moved(folder: Path) -> None:
    """A build directory that was made in another place cannot be used."""
    cache = folder / "CMakeCache.txt"
    if not cache.exists():
        return
    home = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache.read_text(errors="replace"), re.MULTILINE)
    if home is None or Path(home[1]) != ROOT:
        shutil.rmtree(folder)


@functools.cache
def build(preset: str) -> Path:
    """Configures and builds everything of a preset; returns its directory. Skipped: it needs a clang."""
    if preset in CLANG_PRESETS:
        need_clang()
    if preset in failed:
        raise Stop(f"the build of {preset} failed above")
    folder = BUILD / preset
    env = environment()
    configure = ["cmake", "--preset", preset]
    if preset in CLANG_PRESETS:
        configure.append(f"-DPython_EXECUTABLE={PYTHON}")
    try:
        with steps.locked(f"cmake-{preset}"):
            forget_moved(folder)
            steps.step(f"configure {preset}", f"configure-{preset}", configure, env)
            steps.step(f"build {preset}", f"build-{preset}", ["cmake", "--build", folder, "-j", steps.JOBS], env)
    except Stop:
        failed.add(preset)
        raise
    return folder


def ctest(preset: str, *options: str) -> str:
    """All C tests of a preset; the detail is ctest's own line."""
    folder = build(preset)
    argv = [
        *launcher(preset),
        "ctest",
        "--test-dir",
        folder,
        "--output-on-failure",
        "--no-tests=error",
        "-j",
        steps.JOBS,
        *options,
    ]
    return parts.runner(argv, r"tests passed|No tests were found", environment())


def program(preset: str, name: str) -> Path:
    """The path of a built program, or Skipped with the reason that it was not built."""
    path = build(preset) / name
    if not path.exists():
        raise parts.Skipped(f"{name} was not built in build/{preset}")
    return path
