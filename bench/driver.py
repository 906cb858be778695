#!/usr/bin/env python3
"""Programs per second of CPU through the driver for asyncio loops, monitor included.

    bench/driver.py [--smoke] [--record] [LOOP]

LOOP is module:factory, asyncio:SelectorEventLoop if none is named. Random programs without and with streams, one after
another in this process, as a batch of `loopcheck fuzz` runs them in a contained one. --smoke: so few that only the
script is tried; --record: adds the table to RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator

import measure
from loopcheck import _contract as c
from loopcheck import driver, programs

ROUNDS = 9
PROGRAMS = 400  # of each sort in a round
SORTS = {"scheduling": (c.FAMILY_LOOP, False), "streams": (c.FAMILY_LOOP, True), "servers": (c.FAMILY_SERVERS, True)}


def of_family(family: int, has_streams: bool) -> Iterator[bytes]:
    """Random programs of a family, those without a stream or those with."""
    for seed in range(1 << 30):
        program = programs.generate(seed, family)
        is_of_streams = any(program[at] in (c.OP_STREAM, c.OP_LISTEN) for at in range(0, len(program), c.OP_BYTES))
        if is_of_streams == has_streams:
            yield program


def per_second(loop: driver.AsyncioDriver, chosen: list[bytes]) -> float:
    trace = c.Trace(bytearray(programs.SCRATCH_BYTES))
    began_s = time.process_time()
    for program in chosen:
        trace.reset()
        c.run(program, loop, trace)
        c.judge(trace)
    return len(chosen) / (time.process_time() - began_s)


def measured(factory: driver.Factory, count: int) -> Callable[[], dict[str, float]]:
    chosen = {name: [next(one) for _ in range(count)] for name, one in ((n, of_family(*s)) for n, s in SORTS.items())}
    loop = driver.AsyncioDriver(factory)
    return lambda: {name: per_second(loop, some) for name, some in chosen.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loop", nargs="?", default="asyncio:SelectorEventLoop")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    module, _, name = options.loop.partition(":")
    factory = getattr(importlib.import_module(module), name)
    rounds, count = (1, 5) if options.smoke else (ROUNDS, PROGRAMS)
    rates = measure.rates(measured(factory, count), rounds)
    rows = [["random programs", "programs/s", "per unit of the control"]]
    rows += [[sort, rate.absolute.text(), rate.relative.text(1)] for sort, rate in rates.items()]
    title = f"Programs on {options.loop}"
    measure.report(title, f"bench/driver.py {options.loop}", rows, is_recorded=options.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
