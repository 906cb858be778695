"""Fuzz targets: a run of one for some seconds; those whose input is a program get the corpus as seeds."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import builds
import corpus
import parts
import steps
from steps import BUILD, PYTHON, ROOT, Stop

# Writes each program of the corpus as bytes: argv = target folder, then the files.
ENCODE = """
import pathlib, sys
from loopcheck import _contract
for name in sys.argv[2:]:
    path = pathlib.Path(name)
    data = _contract.parse(path.read_text(encoding="utf-8"))
    pathlib.Path(sys.argv[1], f"{path.parent.name}-{path.stem}").write_bytes(data)
"""


def targets() -> list[str]:
    """The names of fuzz/targets/fuzz_*.c."""
    return [path.stem for path in steps.files("fuzz/targets/fuzz_*.c")]


def reads_programs(target: str) -> bool:
    source = (ROOT / "fuzz" / "targets" / f"{target}.c").read_text(encoding="utf-8")
    return re.search(r'"(?:fuzz_program|program_faults)\.h"|lc_program_decode', source) is not None


def driver(target: str) -> str:
    """The driver on which a target that reads programs runs them."""
    source = (ROOT / "fuzz" / "targets" / f"{target}.c").read_text(encoding="utf-8")
    named = re.search(r'fuzz_program_driver_name = "(\w+)"', source)
    return named[1] if named else ""


def seeds(target: str) -> Path:
    """The corpus as bytes, in a folder of the target's own."""
    folder = BUILD / "seeds" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    steps.step(
        f"corpus as bytes, {target}",
        f"seeds-{target}",
        [PYTHON, "-c", ENCODE, folder, *corpus.programs(driver(target))],
    )
    return folder


def run(target: str, seconds: int, seed: int = 0) -> str:
    """Runs one fuzz target; what it finds is kept under build/findings. seed 0: other inputs each time."""
    program = builds.program("asan", f"fuzz/{target}")
    grown = BUILD / "fuzz-corpus" / target
    findings = BUILD / "findings" / target
    for folder in (grown, findings):
        folder.mkdir(parents=True, exist_ok=True)
    argv = [program, f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={findings}/"]
    argv += ["-print_final_stats=1"]
    argv += [
        "-rss_limit_mb=2048",
        "-timeout=20",
        "-verbosity=1",
        grown,
        *([seeds(target)] if reads_programs(target) else []),
    ]
    status = steps.logged(f"fuzz-{target}", argv, builds.environment())
    text = steps.tail(steps.LOGS / f"fuzz-{target}.log", 200)
    if status != 0:
        parts.show(f"{text}\n")
        found = re.findall(r"Test unit written to (\S+)", text)
        raise Stop(f"found {steps.relative(Path(found[-1]))}" if found else f"ended with status {status}")
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text)
    if not runs or int(runs[-1]) == 0:
        raise Stop("executed nothing")
    return f"{runs[-1]} inputs in {seconds} s, nothing found"
