"""Programs on the drivers that were built: the corpus, and random ones from fixed seeds."""

from __future__ import annotations

import builds
import parts
import steps
from steps import PYTHON, Stop

# How many random programs fit a few seconds: the simulated kernel does not wait, real ones do.
RANDOM = {"refloop_sim": 50_000, "refloop_epoll": 500, "libuv": 500}
C_DRIVERS = tuple(RANDOM)
PYTHON_LOOPS = ("asyncio:new_event_loop", "uvloop:new_event_loop", "refloop:new_event_loop")
REPLAYER = "fuzz/fuzz_program_replay"


def programs() -> list[str]:
    found = [steps.relative(path) for path in steps.files("corpora/**/*.loop")]
    if not found:
        raise Stop("corpora/ holds no program")
    return found


def run(preset: str, driver: str, *arguments: object) -> str:
    """The replayer with these arguments; the detail is its own last line."""
    replayer = builds.program(preset, REPLAYER)
    status, text = parts.shown(
        [*builds.launcher(preset), replayer, "--driver", driver, *arguments], builds.environment()
    )
    if status == 2 and "no such driver" in text:
        raise parts.Skipped(f"the driver {driver} was not built in build/{preset}")
    line = steps.last_line(text, r"\S")
    if status != 0:
        raise Stop(line or f"ended with status {status}")
    return line


def replay(preset: str, driver: str) -> str:
    return run(preset, driver, *programs())


def random(preset: str, driver: str) -> str:
    return run(preset, driver, "--random", RANDOM[driver])


def replay_python(loop: str) -> str:
    """The corpus as cases: every verdict as expected."""
    programs()
    argv = [PYTHON, "-m", "loopcheck", "check", loop, "-k", "test_programs"]
    return parts.runner(argv, r"\d+ .*PASS|as expected")
