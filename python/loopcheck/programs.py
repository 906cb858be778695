"""Programs on an asyncio loop, for a case, a batch, or a property-based test of somebody's own."""

from __future__ import annotations

import time
from collections.abc import Sequence

from loopcheck import _contract as c
from loopcheck.driver import TICK_NS, AsyncioDriver, Factory
from loopcheck.kit import Kit, case

DELAY_NS_MAX = 3 * TICK_NS  # of generated programs, which wait on the real clock
SCRATCH_BYTES = 1 << 20  # of a trace that is judged and forgotten
SHRINK_TRIES_MAX = 150
PROGRAMS_S = 1.5  # wall seconds after which no further program of a case begins
SHRINK_S = 1.0  # wall seconds after which a program is small enough


def run_on(driver: AsyncioDriver | c.Driver, program: bytes, trace: c.Trace, number: int = 0) -> c.Stats:
    """Runs it on a driver of either sort."""
    if isinstance(driver, AsyncioDriver):
        return driver.run(program, trace, number)
    return c.run(program, driver, trace, number)


def generate(seed: int, family: int = c.FAMILY_ANY) -> bytes:
    """The random program of this seed, for asyncio loops on the real clock."""
    return c.generate(seed, AsyncioDriver.capabilities, DELAY_NS_MAX, TICK_NS, family)


def check_program(factory: Factory, program: bytes | str) -> list[tuple[str, str]]:
    """Runs one program, bytes or text, on a fresh loop in this process: the rules it broke, as (id, sentence).

    For a property-based test of your own; `loopcheck check` does the same in containment. A loop
    that hangs hangs the caller. Raises ValueError for text that is no program, RuntimeError when the
    factory raises.
    """
    if isinstance(program, str):
        program = c.parse(program)
    trace = c.Trace(bytearray(SCRATCH_BYTES))
    AsyncioDriver(factory).run(program, trace)
    return [(rule, sentence) for rule, sentence, _, _ in c.judge(trace)["violations"]]


def _shrunk(factory: Factory, program: bytes, rule: str) -> bytes:
    """A small program that breaks the same rule, or the program itself if that happens only now and then."""

    began = time.monotonic()

    def fails(candidate: bytes) -> bool:
        if time.monotonic() - began > SHRINK_S:
            return False
        return any(broken == rule for broken, _ in check_program(factory, candidate))

    return c.shrink(program, fails, SHRINK_TRIES_MAX)


def run_programs(kit: Kit, programs: Sequence[bytes]) -> None:
    """Runs the programs one after another on loops of the kit's factory, all into the kit's trace.

    Breaks the rule that the monitor names first, with the shrunk program in the sentence. (The parent
    judges the same trace once more: it does not believe this process.) Stops early, and says so, on a
    loop that needs long for each program.
    """
    driver = AsyncioDriver(kit.factory)
    began = time.monotonic()
    runs: list[c.Stats] = []
    refused: list[str] = []
    ends_s = [began]
    for number, program in enumerate(programs):
        if ends_s[-1] - began > PROGRAMS_S:
            break
        runs.append(driver.run(program, kit.trace, number))
        refused += [driver.refused] * bool(driver.refused)
        ends_s.append(time.monotonic())
    kit.program_callbacks += driver.callbacks
    executed, ops = sum(run["executed"] for run in runs), sum(run["ops"] for run in runs)
    kit.remark = (
        f"{len(runs)} of {len(programs)} programs, {executed} of {ops} ops executed, {driver.callbacks} callbacks"
    )
    # What a loop leaves open whatever it does would hide all else, and LIFE-3 has cases of its own.
    for rule, sentence, _, run in sorted(c.judge(kit.trace)["violations"], key=lambda it: it[0] == "LIFE-3"):
        small = programs[run - 1]
        if ends_s[run] - ends_s[run - 1] < SHRINK_S / 2:  # a slow one would be run many times
            small = _shrunk(kit.factory, small, rule)
        kit.program_shrunk = c.format(small)
        lines = "; ".join(kit.program_shrunk.splitlines())
        kit.fail(f"{sentence}, in the program: {lines}", rule=rule)
    if len(refused) == len(runs):
        raise NotImplementedError("; ".join(dict.fromkeys(refused)))


@case("KIT-1")
def run_program(kit: Kit) -> None:
    """Runs the one program that the person gave; any rule may speak."""
    run_programs(kit, [kit.program])
