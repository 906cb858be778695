"""The demo: the main job on real loops, and on one loop that is broken on purpose.

    ci/demo     asyncio, uvloop and refloop with all rules, then conformance/broken_loops with rule FD-1

Writes index.html, results.json and summary.md in out/report with the verdicts of both commands. Exit
status 0 only when the three are as expected AND the broken loop was caught.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import steps
from steps import PYTHON, ROOT

LOOPS = ("asyncio:new_event_loop", "uvloop:new_event_loop", "refloop:new_event_loop")
BROKEN = "conformance/broken_loops/reader_called_at_once.py:new_event_loop"
RULE = "FD-1"
REPORT = ROOT / "out" / "report"
CAUGHT = {"FAIL", "HANG", "SPIN", "CRASH"}
POINT = f"{BROKEN} is broken on purpose: that it breaks {RULE} is what the demo shows"


def check(report: Path, *arguments: str) -> int:
    """One `loopcheck check`, shown as a person would type it. Returns its status."""
    words = ["check", *arguments, "--report", steps.relative(report)]
    print(f"\n$ loopcheck {' '.join(words)}", flush=True)
    status = subprocess.run([PYTHON.parent / "loopcheck", *words], cwd=ROOT).returncode
    print(f"(exit status {status})", flush=True)
    return status


def read(report: Path) -> dict[str, Any]:
    path = report / "results.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {"verdicts": [], "notes": []}


def write(report: Path, results: dict[str, Any]) -> None:
    (report / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def make_page(broken: Path) -> bool:
    """One page about both commands; False when it could not be written."""
    second = read(broken)
    write(broken, {**second, "notes": [*second["notes"], POINT]})
    files = [steps.relative(folder / "results.json") for folder in (REPORT, broken)]
    argv = [PYTHON.parent / "loopcheck", "page", *files, "-o", steps.relative(REPORT / "index.html")]
    return subprocess.run(argv, cwd=ROOT).returncode == 0


def merge(broken: Path, status: int) -> None:
    """Puts the second command's verdicts behind the first's, in the other two files, and removes the second's."""
    first, second = read(REPORT), read(broken)
    first["exit_status"] = status
    for key in ("loops", "verdicts", "unexpected", "notes"):
        first[key] = [*first.get(key, []), *second.get(key, [])]
    write(REPORT, first)
    summary = REPORT / "summary.md"
    text = (broken / "summary.md").read_text(encoding="utf-8") if (broken / "summary.md").exists() else ""
    with summary.open("a", encoding="utf-8") as file:
        file.write(f"\n---\n\n{POINT}.\n\n{text}")
    shutil.rmtree(broken, ignore_errors=True)


def table(verdicts: list[dict[str, Any]]) -> None:
    """One line a loop: how many verdicts of which kind."""
    for loop in dict.fromkeys(str(verdict["loop"]) for verdict in verdicts):
        counts = Counter(str(verdict["verdict"]) for verdict in verdicts if verdict["loop"] == loop)
        print(f"  {loop}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common()))


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(REPORT, ignore_errors=True)
    good = check(REPORT, *LOOPS)
    broken = REPORT / "broken"
    print(f"\nThe next loop calls a reader at once, ready or not. {RULE} has to catch it: exit status 1 is right.")
    bad = check(broken, BROKEN, "--rule", RULE)
    caught = [
        verdict for verdict in read(broken)["verdicts"] if verdict["verdict"] in CAUGHT and verdict["rule"] == RULE
    ]
    as_expected = good == 0 and bool(read(REPORT)["verdicts"])
    is_caught = bad == 1 and bool(caught)
    has_page = make_page(broken)
    status = 0 if as_expected and is_caught and has_page else 1
    merge(broken, status)
    print("\nThe demo in short:")
    table(read(REPORT)["verdicts"])
    print(f"  asyncio, uvloop and refloop: {'as expected' if as_expected else f'NOT as expected (status {good})'}")
    print(f"  the broken loop: {'caught' if is_caught else f'NOT caught (status {bad})'}")
    seconds = time.monotonic() - began
    page = "index.html" if has_page else "NO index.html"
    print(f"  reports: {steps.relative(REPORT)}/{page}, results.json and summary.md; {seconds:.0f} s", flush=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nthe demo was stopped", flush=True)
        sys.exit(130)
