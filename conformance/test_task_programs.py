"""Random task programs: at each of their steps the loop's tasks are those that a naive model has (TASK-6)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from loopcheck import task_programs
from loopcheck.family import family
from loopcheck.kit import Kit

PROGRAMS_A_CASE = 500
FACTORIES = ("lazy", "eager")


def differences(kit: Kit, loop: asyncio.AbstractEventLoop, lines: Sequence[task_programs.Line], factory: str) -> str:
    """What the loop does otherwise than the model, or nothing."""
    if factory == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)
    turns = kit.turns if loop is kit.loop else task_programs.turns_of(loop)
    return next(task_programs.differences(lines, loop, turns, is_eager=factory == "eager"), "")


@family("TASK-6", part={"first": 0, "second": PROGRAMS_A_CASE}, factory=FACTORIES)
def test_tasks_at_each_step(kit: Kit, part: int, factory: str) -> None:
    """all_tasks() is the runnable, the blocked and the current task at each step of random task programs (asynkit)"""
    if factory == "eager" and sys.version_info < (3, 12):
        kit.skip("this Python has no eager tasks")
    seeds = range(part, part + PROGRAMS_A_CASE)
    given = [task_programs.parse_lines(kit.program.decode())] if kit.program else map(task_programs.generate, seeds)
    for lines in given:
        if not differences(kit, kit.loop, lines, factory):
            continue
        small = task_programs.shrunk(lines, lambda some: bool(differences(kit, kit.new_loop(), some, factory)))
        kit.program_shrunk = task_programs.format_lines(small)
        seen = differences(kit, kit.new_loop(), small, factory) or "seen once, and not again"
        kit.fail(f"{seen}, in the program: {'; '.join(kit.program_shrunk.splitlines())}")
