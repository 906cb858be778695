"""How long each mutant of the core lives: random inputs alone, from several seeds; the median and the slowest.

The time is that of the hunt, in seconds of the clock: planting and compiling come before it. What random inputs do not
find within their number (ci/mutants.py) is hunted by the corpus too, and counts with the time of both.
"""

from __future__ import annotations

import statistics
import time

import mutants
import steps
from steps import Stop, say

MEDIAN_S_MAX = 10.0
SEED_STEP = 1_000_000  # between the first seeds of two hunts
HUNTS_MAX = 10  # by a target's inputs: one after another, until one finds it


def hunt_on(killer: str, first: int) -> str | None:
    """As mutants.hunt_by_target, for longer."""
    for number in range(HUNTS_MAX):
        if found := mutants.hunt_by_target(killer, first + number * mutants.INPUTS_MAX):
            return found
    return None


def hunt_s(mutant: mutants.Mutant, first: int) -> tuple[float, str]:
    """Seconds until it was found, and by what. Stop: it was not."""
    began = time.monotonic()
    if not mutant.rule:
        found, by = hunt_on(mutant.killer, first), "inputs"
    else:
        try:
            found, by = mutants.hunt_random(mutant.rule, mutant.driver, first), "programs"
        except Stop:  # only other rules spoke
            found = None
        if not found:
            found, by = mutants.in_corpus(mutant.rule, mutant.driver), "programs and the corpus"
    if not found:
        raise Stop(f"mutant {mutant.id}: not found")
    return time.monotonic() - began, by


def measure(mutant: mutants.Mutant, seeds: int) -> float:
    """The median; says one line. Stop: a hunt found nothing."""
    targets = (mutants.replayer(mutant.killer),) if mutant.killer != mutants.PROGRAM_TARGET else ()
    with mutants.COPY.planted(mutant, *targets):
        hunts = [hunt_s(mutant, 1 + number * SEED_STEP) for number in range(seeds)]
    times = [seconds for seconds, _by in hunts]
    by = ", ".join(sorted({by for _seconds, by in hunts}))
    say(f"mutant {mutant.id}: median {statistics.median(times):.2f} s, slowest {max(times):.2f} s, by {by}")
    return statistics.median(times)


def measure_all(seeds: int) -> str:
    """Every mutant of the core: which median is the largest, and how many are above the limit. Stop: some are."""
    found = mutants.load_hunted()
    with steps.locked(mutants.COPY.name):
        mutants.COPY.make()
        mutants.check_unchanged({mutants.PROGRAM_TARGET} | {mutant.killer for mutant in found})
        medians = {mutant.id: measure(mutant, seeds) for mutant in found}
    slow = [name for name, seconds in medians.items() if seconds > MEDIAN_S_MAX]
    slowest = max(medians, key=lambda name: medians[name])
    middle = statistics.median(medians.values())
    detail = f"{len(found)} mutants, {seeds} seeds: the median of the medians is {middle:.2f} s, "
    detail += f"the largest {medians[slowest]:.2f} s ({slowest})"
    if slow:
        raise Stop(f"{detail}; above {MEDIAN_S_MAX:.0f} s: {', '.join(slow)}")
    return detail
