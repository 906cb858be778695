#!/usr/bin/env python3
"""What containment costs a case, and how long a whole check takes.

    .venv/bin/python bench/containment.py [--smoke] [--record]

One nearly empty case runs in a server and in this process, in turn; the difference of the medians is the overhead. Then
`loopcheck check asyncio:SelectorEventLoop -n 2` runs a few times.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import measure

CASE = '''
from loopcheck.kit import case

@case("SOON-5")
def test_nothing(kit):
    """One callback."""
    kit.soon(dict)
    kit.run_for(0)
'''
RULES = '[[rule]]\nid = "SOON-5"\narea = "x"\nlevel = "MUST"\nsentence = "x."\nsources = ["PEP 3156"]\n'
CASES, CHECKS = 200, 3
LOOP = "asyncio:SelectorEventLoop"
OVERHEAD_MS_MAX, CHECK_S_MAX = 30, 40


def wall_ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return (time.perf_counter() - began_s) * 1000


def case_times(root: Path, count: int) -> tuple[list[float], list[float]]:
    """Wall times in ms of the case, contained and in this process."""
    (root / "conformance").mkdir()
    (root / "contract").mkdir()
    (root / "conformance" / "test_one.py").write_text(CASE)
    (root / "contract" / "rules.toml").write_text(RULES)
    os.environ["LOOPCHECK_ROOT"] = str(root)
    from loopcheck import _contract, load
    from loopcheck.kit import run_case
    from loopcheck.shared import TRACE_BYTES
    from loopcheck.supervisor import Options, Server

    (case_id, (_, function)), *_ = load.load_cases(root / "conformance").items()
    trace = _contract.Trace(bytearray(TRACE_BYTES))
    contained, bare = [], []
    with Server(load.Spec.parse(LOOP), Options()) as server:
        server.start()
        server.look()
        for _ in range(count):
            contained.append(wall_ms(lambda: server.run(case_id)))
            bare.append(wall_ms(lambda: run_case(function, asyncio.SelectorEventLoop, trace)))
        facts = server.run(case_id)
    if facts.outcome is None or facts.outcome["kind"] != "ok" or facts.judgement["violations"]:
        raise measure.Stop(f"the case did not pass: {facts.outcome} {facts.judgement}")
    return contained, bare


def quantiles(values: list[float]) -> str:
    low, *_, high = statistics.quantiles(values, n=10)
    return f"{statistics.median(values):.1f} ({low:.1f} .. {high:.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        contained, bare = case_times(Path(folder), 10 if options.smoke else CASES)
    del os.environ["LOOPCHECK_ROOT"]
    overhead = statistics.median(contained) - statistics.median(bare)
    rows = [
        ["what", "median (first .. last tenth)", "at most"],
        ["a nearly empty case, contained", f"{quantiles(contained)} ms", ""],
        ["the same in one process", f"{quantiles(bare)} ms", ""],
        ["overhead of containment", f"{overhead:.1f} ms", f"{OVERHEAD_MS_MAX} ms"],
    ]
    if not options.smoke:
        argv = [sys.executable, "-m", "loopcheck", "check", LOOP, "-n", "2"]
        times = [measure.run(argv)[2] for _ in range(CHECKS)]
        text = f"{statistics.median(times):.1f} ({min(times):.1f} .. {max(times):.1f}) s"
        rows.append([f"`loopcheck check {LOOP} -n 2`, wall, {CHECKS} runs", text, f"{CHECK_S_MAX} s"])
    measure.report("Containment", "bench/containment.py", rows, is_recorded=options.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
