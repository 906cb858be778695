#!/usr/bin/env python3
"""The project under one sanitizer, or under each of them.

    sanitizers/run asan     AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer together
    sanitizers/run ubsan    UndefinedBehaviorSanitizer alone
    sanitizers/run tsan     ThreadSanitizer; the planted races too
    sanitizers/run msan     MemorySanitizer: the C parts alone
    sanitizers/run all      these four

For each: is it on (flags and canaries), C tests, corpus and random programs on every driver, the stress of the mailbox,
the extension modules under CPython. Sets up by itself what it needs (see ci/setup.py). Exit status 0: all parts passed;
1: one failed or was skipped; 2: the machine lacks something, or bad arguments.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

CI = Path(__file__).resolve().parent.parent / "ci"
NAMES = ("asan", "ubsan", "tsan", "msan")
COMMANDS = (*NAMES, "all")

if __name__ == "__main__":
    if len(sys.argv) == 1 or {"-h", "--help"} & set(sys.argv):
        print((__doc__ or "").strip())
        sys.exit(0 if len(sys.argv) > 1 else 2)
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        print(f"sanitizers/run: {' '.join(sys.argv[1:])}: not one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    if os.environ.get("LOOPCHECK_SET_UP") != "1":
        os.execv(sys.executable, [sys.executable, str(CI / "setup.py"), "sanitizers", *sys.argv[1:]])

sys.path.insert(0, str(CI))

import builds
import corpus
import extensions
import is_on
import parts
import races
import stress

# On a driver whose library has no MemorySanitizer inside, everything that the library writes looks uninitialised.
DRIVERS = {**dict.fromkeys(NAMES, corpus.C_DRIVERS), "msan": ("refloop_sim", "refloop_epoll")}
IN_PYTHON = ("asan", "ubsan", "tsan")  # msan: CPython itself would have to be built with it


def programs(sanitizer: str, driver: str) -> str:
    return f"{corpus.replay(sanitizer, driver)}; {corpus.random(sanitizer, driver)}"


def one(run: parts.Run, name: str) -> None:
    """All parts of one sanitizer. When it is not on, the others would say nothing, and are not run."""
    if not run.part(f"is on, {name}", lambda: is_on.in_c(name)):
        return
    run.part(f"C tests, {name}", lambda: builds.ctest(name))
    for driver in DRIVERS[name]:
        run.part(f"programs on {driver}, {name}", lambda driver=driver: programs(name, driver))
    run.part(f"stress, {name}", lambda: stress.run(name))
    if name in IN_PYTHON and run.part(f"is on under CPython, {name}", lambda: is_on.in_python(name)):
        for extension in extensions.EXTENSIONS:
            tests = functools.partial(extensions.test, name, extension)
            run.part(f"{extension.module}, {name}", tests)
    if name == "tsan":
        run.part("planted races, tsan", races.find_all)


def main() -> int:
    wish = sys.argv[1]
    run = parts.Run(strict=True)
    try:
        for name in NAMES if wish == "all" else (wish,):
            one(run, name)
    except KeyboardInterrupt:
        print("\nsanitizers: stopped by the user", flush=True)
        return 130
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
