#!/usr/bin/env python3
"""Ops and programs per second of CPU on the C drivers, monitor included: random programs and the corpus.

    bench/programs.py [--smoke] [--record]

--smoke: so little that only the script is tried; --record: adds the table to RESULTS.md.
Needs build/dev, which ci/check.py quick makes.
"""

from __future__ import annotations

import argparse
import re
import sys

import measure
from measure import ROOT, Rate, Stop

REPLAYER = ROOT / "build" / "dev" / "fuzz" / "fuzz_program_replay"
SIM_OPS_S = 1_000_000  # what the simulated kernel's path has to reach
ROUNDS = 9
RANDOM = {"refloop_sim": 50_000, "refloop_epoll": 1_000, "libuv": 1_000}
CORPUS_REPEATS = 500  # of the whole corpus, on the simulated kernel


def corpus() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("corpora/**/*.loop"))


def once(*arguments: object) -> dict[str, float]:
    """One run of the replayer."""
    text, cpu_s, _ = measure.run([REPLAYER, *arguments])
    ops, programs = re.search(r"(\d+) of \d+ ops executed", text), re.search(r"(\d+) passed", text)
    if ops is None or programs is None:
        raise Stop("the replayer does not say how much it executed")
    return {"ops": int(ops[1]) / cpu_s, "programs": int(programs[1]) / cpu_s}


def row(name: str, rounds: int, *arguments: object) -> list[str]:
    rates: dict[str, Rate] = measure.rates(lambda: once(*arguments), rounds)
    ops, programs = rates["ops"], rates["programs"]
    return [name, ops.absolute.text(), ops.relative.text(), programs.absolute.text()]


def table(share: float, rounds: int) -> list[list[str]]:
    """`share` of the usual work."""
    rows = [["what", "executed ops/s", "ops per unit of the control", "programs/s"]]
    for driver, count in RANDOM.items():
        arguments = ["--driver", driver, "--random", max(1, int(count * share))]
        try:
            rows.append(row(f"random programs, {driver}", rounds, *arguments))
        except Stop as stop:
            if "no such driver" not in str(stop):
                raise
            rows.append([f"random programs, {driver}", "not built", "", ""])
    repeats = max(1, int(CORPUS_REPEATS * share))
    return [*rows, row("corpus, refloop_sim", rounds, "--repeat", repeats, *corpus())]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if not REPLAYER.exists():
        print(f"bench: {REPLAYER.relative_to(ROOT)} is not built; ci/check.py quick builds it", file=sys.stderr)
        return 2
    try:
        rows = table(0.002, 2) if options.smoke else table(1, ROUNDS)
    except Stop as stop:
        print(f"bench: {stop}", file=sys.stderr)
        return 1
    measure.report("Programs on the C drivers", "bench/programs.py", rows, is_recorded=options.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
