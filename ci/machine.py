"""What the machine has to provide, how that is tested, and which Debian packages bring it.

Each need is tested by doing what is needed (compile, import), never by asking the package manager, so
that a compiler from elsewhere or a python3 built by hand counts too.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import steps
from steps import Stop, say

CLANG_VERSIONS = (19, 22, 21, 20, 18, 17, 16, 15, 14)  # in the order in which they are tried
APT_TRIES_MAX = 4
APT_WAIT_S = 15  # between two tries
CMAKE_MINIMUM = (3, 22)  # as CMakeLists.txt has it

FUZZ_PROBE = """
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data && size ? 0 : 0; }
"""


@dataclass(frozen=True)
class Need:
    """One thing the machine must have. `without` tells what is lost when it may be missing."""

    name: str
    packages: tuple[str, ...]
    is_met: Callable[[], bool]
    without: str = ""  # empty: nothing works without it


def compiles(compiler: str, text: str, *flags: str) -> bool:
    """Does the compiler turn this C text into a program?"""
    with tempfile.TemporaryDirectory(prefix="loopcheck-") as folder:
        source = Path(folder) / "probe.c"
        source.write_text(text)
        argv = [compiler, str(source), "-o", str(Path(folder) / "probe"), *flags]
        try:
            return subprocess.run(argv, capture_output=True).returncode == 0
        except OSError:
            return False


def has_compiler() -> bool:
    cc = shutil.which("cc") or shutil.which("gcc")
    return cc is not None and compiles(cc, "#include <stdio.h>\nint main(void) { return 0; }\n", "-pthread")


def has_cmake() -> bool:
    if shutil.which("cmake") is None:
        return False
    words = subprocess.run(["cmake", "--version"], capture_output=True, text=True).stdout.split()
    try:
        return tuple(int(part) for part in words[2].split(".")[:2]) >= CMAKE_MINIMUM
    except (IndexError, ValueError):
        return False


def has_venv() -> bool:
    argv = [base_python(), "-c", "import venv, ensurepip"]
    return subprocess.run(argv, capture_output=True).returncode == 0


def has_python_headers() -> bool:
    return (Path(sysconfig.get_path("include")) / "Python.h").exists()


def has_library(header: str, *flags: str) -> Callable[[], bool]:
    """Does a program with this header compile and link with these flags?"""

    def is_met() -> bool:
        cc = shutil.which("cc") or shutil.which("gcc")
        return cc is not None and compiles(cc, f"#include <{header}>\nint main(void) {{ return 0; }}\n", *flags)

    return is_met


def has_glib() -> bool:
    """Its headers are where only pkg-config knows."""
    argv = ["pkg-config", "--cflags", "--libs", "glib-2.0"]
    if shutil.which(argv[0]) is None:
        return False
    return has_library("glib-unix.h", *subprocess.run(argv, capture_output=True, text=True).stdout.split())()


# The loops of other people that fuzz/drivers has drivers for.
C_LOOPS = [
    Need("GLib's headers", ("libglib2.0-dev",), has_glib, "the GLib driver"),
    Need("libev's headers", ("libev-dev",), has_library("ev.h", "-lev"), "the libev driver"),
    Need(
        "libevent's headers",
        ("libevent-dev",),
        has_library("event2/bufferevent.h", "-levent_core", "-levent_pthreads"),
        "the libevent driver",
    ),
    Need("libuv's headers", ("libuv1-dev",), has_library("uv.h", "-luv"), "the libuv driver"),
    Need(
        "sd-event's headers",
        ("libsystemd-dev",),
        has_library("systemd/sd-event.h", "-lsystemd"),
        "the sd-event driver",
    ),
]


def has_cpython_tests() -> bool:
    argv = [base_python(), "-c", "import test.test_asyncio.utils"]
    return subprocess.run(argv, capture_output=True).returncode == 0


def has_browser() -> bool:
    """A Chromium and the driver that tests steer it with."""
    for name in ("chromium", "chromedriver"):
        path = shutil.which(name)
        if path is None or subprocess.run([path, "--version"], capture_output=True).returncode != 0:
            return False
    return True


@functools.cache
def find_clang() -> str | None:
    """The clang to use: one that links libFuzzer with ASan and UBSan, and TSan. None: there is none."""
    wished = os.environ.get("LOOPCHECK_CLANG")
    names = [wished] if wished else [f"clang-{version}" for version in CLANG_VERSIONS] + ["clang"]
    for name in names:
        path = shutil.which(name)
        if path is not None and clang_is_complete(path):
            return path
    return None


def clang_is_complete(path: str) -> bool:
    """Tested once for each file that a name leads to; the answer is kept under build/."""
    real = Path(path).resolve()
    stamp = steps.Stamp(steps.BUILD / "setup" / f"{Path(path).name}.json", f"{real} {real.stat().st_mtime_ns}")
    if stamp.holds():
        return True
    main = "int main(void) { return 0; }\n"
    complete = compiles(path, FUZZ_PROBE, "-fsanitize=fuzzer,address,undefined") and compiles(
        path, main, "-fsanitize=thread"
    )
    if complete:
        stamp.set()
    return complete


def base_python() -> str:
    """The interpreter that makes the virtual environment, also when run from inside one."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def clang_packages() -> tuple[str, ...]:
    """clang-19 where the distribution has it, otherwise its newest."""
    if shutil.which("apt-cache") is None:
        return ("clang", "llvm")
    found = subprocess.run(["apt-cache", "search", "--names-only", "^clang-[0-9]+$"], capture_output=True, text=True)
    offered = {line.split()[0] for line in found.stdout.splitlines() if line.strip()}
    for version in CLANG_VERSIONS:
        if f"clang-{version}" in offered:
            return (f"clang-{version}", f"libclang-rt-{version}-dev", f"llvm-{version}")
    return ("clang", "llvm")


def needs(everything: bool, browser: bool = True) -> list[Need]:
    """For the demo, or for all tests; the sanitizers need no browser."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = [
        Need("a C compiler", ("gcc", "libc6-dev"), has_compiler),
        Need("cmake", ("cmake",), has_cmake),
        Need("ninja", ("ninja-build",), lambda: shutil.which("ninja") is not None),
        Need("Python's venv and ensurepip", (f"{version}-venv",), has_venv),
        Need("Python's C headers", (f"{version}-dev",), has_python_headers),
    ]
    if everything:
        found += [
            *C_LOOPS,
            Need(
                "clang with libFuzzer and sanitizers",
                ("clang-*",),
                lambda: find_clang() is not None,
                "fuzz targets and sanitizer builds",
            ),
            Need(
                "CPython's own tests", (f"lib{version}-testsuite",), has_cpython_tests, "CPython's tests on the loops"
            ),
        ]
    if everything and browser:
        without = "the test of the report in a browser"
        found.append(Need("Chromium", ("chromium", "chromium-driver"), has_browser, without))
    return found


def packages_of(missing: list[Need]) -> list[str]:
    names: list[str] = []
    for need in missing:
        names += clang_packages() if need.packages == ("clang-*",) else need.packages
    return names


def apt_prefix() -> list[str] | None:
    """How this user may install packages; None: not at all."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def apt(prefix: list[str], *words: str) -> bool:
    """One apt-get command, repeated while another package manager holds a lock."""
    argv = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    argv += ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *words]
    for attempt in range(1, APT_TRIES_MAX + 1):
        log = steps.LOGS / "apt.log"
        log.unlink(missing_ok=True)
        if steps.logged("apt", argv) == 0:
            return True
        if "lock" not in steps.tail(log).lower() or attempt == APT_TRIES_MAX:
            return False
        say(f"apt-get is busy elsewhere; trying again in {APT_WAIT_S} s")
        time.sleep(APT_WAIT_S)
    return False


def install(missing: list[Need], prefix: list[str]) -> None:
    """Installs what is missing; says what went wrong and goes on, since the needs are tested again."""
    began = time.monotonic()
    say("reading the package lists (apt-get update) ...")
    if not apt(prefix, "update"):
        say(f"apt-get update failed (no network?); the log is {steps.relative(steps.LOGS / 'apt.log')}")
    names = packages_of(missing)
    say(f"installing {' '.join(names)} (apt-get, can take a few minutes) ...")
    if apt(prefix, "install", "--no-install-recommends", *names):
        say(f"system packages: done in {time.monotonic() - began:.0f} s")
        return
    print(steps.tail(steps.LOGS / "apt.log"), flush=True)
    for need in missing if len(missing) > 1 else []:  # one missing name must not take the others with it
        apt(prefix, "install", "--no-install-recommends", *packages_of([need]))


def advice(missing: list[Need]) -> str:
    names = " ".join(packages_of(missing))
    if shutil.which("apt-get") is None:
        return f"install what Debian calls: {names}"
    sudo = "sudo " if os.geteuid() != 0 and shutil.which("sudo") else ""
    who = " as root" if os.geteuid() != 0 and not sudo else ""
    return f"run{who}: {sudo}apt-get update && {sudo}apt-get install --no-install-recommends {names}"


def provide(everything: bool, strict: bool, browser: bool = True) -> None:
    """Makes sure that the machine has what is needed, or stops with the command that brings it."""
    missing = [need for need in needs(everything, browser) if not need.is_met()]
    if missing:
        say("missing: " + ", ".join(need.name for need in missing))
        prefix = apt_prefix()
        if prefix is not None:
            install(missing, prefix)
            find_clang.cache_clear()
            missing = [need for need in missing if not need.is_met()]
    fatal = [need for need in missing if strict or not need.without]
    if fatal:
        names = ", ".join(need.name for need in fatal)
        raise Stop(f"not on this machine: {names}. Please {advice(fatal)}", 2)
    for need in missing:
        say(f"no {need.name}: {need.without} will be skipped. To have them, {advice([need])}")
