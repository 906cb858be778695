"""Programs on the drivers that were built: the corpus, and random ones from fixed seeds."""

from __future__ import annotations

import re
import subprocess

import builds
import parts
import steps
from steps import PYTHON, Stop

# How many random programs fit a few seconds: the simulated kernel does not wait, the real clock does.
RANDOM = {
    "refloop_sim": 50_000,
    "refloop_epoll": 500,
    "glib": 500,
    "libev": 500,
    "libevent": 500,
    "libuv": 500,
    "sdevent": 500,
}
C_DRIVERS = tuple(RANDOM)
# On virtual time nothing waits. libuv: before the seeds that meet docs/findings/libuv.md.
RANDOM_VIRTUAL = {
    "refloop_epoll": 10_000,
    "glib": 10_000,
    "libev": 10_000,
    "libevent": 10_000,
    "libuv": 2_000,
    "sdevent": 10_000,
}
PYTHON_LOOPS = ("asyncio:new_event_loop", "uvloop:new_event_loop", "refloop:new_event_loop")
REPLAYER = "fuzz/fuzz_program_replay"
REPLAYER_VIRTUAL = "fuzz/fuzz_program_virtual"


BREAKS = re.compile(
    r"^# breaks: (\S+) \(\S+\)$", re.MULTILINE
)  # in a program: the driver that it is too much for, a page


def breaks(name: str, driver: str) -> bool:
    """Is this program known to break a rule on this driver?"""
    return driver in BREAKS.findall((steps.ROOT / name).read_text(encoding="utf-8"))


def programs(driver: str = "") -> list[str]:
    """The corpus; without what is known to break a rule on that driver, which may hang or end the process."""
    found = [steps.relative(path) for path in steps.files("corpora/**/*.loop")]
    if not found:
        raise Stop("corpora/ holds no program")
    return [name for name in found if not driver or not breaks(name, driver)]


def run(preset: str, driver: str, *arguments: object, name: str = REPLAYER) -> str:
    """The replayer with these arguments; the detail is its own last line."""
    replayer = builds.program(preset, name)
    status, text = parts.shown(
        [*builds.launcher(preset), replayer, "--driver", driver, *arguments], builds.environment()
    )
    if status == 2 and "no such driver" in text:
        raise parts.Skipped(f"the driver {driver} was not built in build/{preset}")
    if status != 0:  # a hang is followed by its program
        raise Stop(steps.last_line(text, r": (HANG|CRASH)") or steps.last_line(text, r"\S") or f"status {status}")
    return steps.last_line(text, r"\S")


def replay(preset: str, driver: str) -> str:
    """Each program passes. Of those that are known to break a rule it is told how many do: a newer library may not."""
    detail, known = run(preset, driver, *programs(driver)), [name for name in programs() if breaks(name, driver)]
    return f"{detail}; {sum(shows(driver, name) for name in known)} of {len(known)} known break" if known else detail


def shows(driver: str, name: str) -> bool:
    try:
        run("dev", driver, name, name=REPLAYER_VIRTUAL)
    except Stop:
        return True
    return False


def random(preset: str, driver: str) -> str:
    return run(preset, driver, "--random", RANDOM[driver])


def random_virtual(preset: str, driver: str) -> str:
    return run(preset, driver, "--random", RANDOM_VIRTUAL[driver], name=REPLAYER_VIRTUAL)


def repeats(preset: str) -> str:
    """On virtual time the trace of each program on one driver is the same again."""
    replayer = builds.program(preset, REPLAYER_VIRTUAL)
    for driver in RANDOM_VIRTUAL:
        argv = [replayer, "--driver", driver, "--verbose", *programs(driver)]
        first, second = (subprocess.run(argv, capture_output=True).stderr for _ in range(2))
        if b"# trace" not in first:
            raise parts.Skipped(f"the driver {driver} was not built in build/{preset}")
        if first != second:
            raise Stop(f"on {driver} a trace differs from the one before")
    return f"{len(programs())} programs on {len(RANDOM_VIRTUAL)} drivers"


def replay_python(loop: str) -> str:
    """The corpus as cases: every verdict as expected."""
    programs()
    argv = [PYTHON, "-m", "loopcheck", "check", loop, "-k", "test_programs.py::test_corpus"]
    return parts.runner(argv, r"\d+ .*PASS|as expected")
