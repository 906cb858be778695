# real clock: a loop that fails every basic case is told as one that cannot run, and its other cases are not tried.
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from loopcheck.check import BASIC_CASES
from two_cases import make_root

CASE = """
from loopcheck.kit import case

@case("SOON-5")
def {}(kit):
    kit.soon(dict)
    kit.run_for(0.001)
"""
LOOPS = """
import asyncio
class dead(asyncio.SelectorEventLoop):
    def run_forever(self):
        raise OSError("no ring")
class slow_to_start(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(self, *args, **options):
        raise OSError("no ring")
    def call_at(self, *args, **options):
        raise OSError("no ring")
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kit with four basic cases, the first of which needs no timer, and two others."""
    make_root(tmp_path)
    others = tmp_path / "conformance" / "test_two.py"
    others.write_text(others.read_text().split('@case("SOON-6")')[0])
    for number, case_id in enumerate(BASIC_CASES):
        file, _, name = case_id.partition("::")
        text = CASE.format(name) if number else CASE.format(name).replace("kit.run_for(0.001)", "kit.turns(2)")
        (tmp_path / "conformance" / file).write_text(text)
    (tmp_path / "loops.py").write_text(LOOPS)
    monkeypatch.setenv("LOOPCHECK_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loopcheck", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_dead_loop() -> None:
    done = check("loops.py:dead", "--update-expect", "own.toml")
    assert done.returncode == 2
    assert "4 verdicts (4 FAIL): something could not be used" in done.stdout
    why = "it fails each basic case (FAIL, OSError: no ring); 2 others were not tried"
    assert done.stderr.splitlines() == [f"loopcheck: loops.py:dead cannot run: {why}"]
    assert "own.toml was not written" in done.stdout
    assert not Path("own.toml").exists()


def test_loop_that_passes_one_basic_case() -> None:
    done = check("loops.py:slow_to_start")
    assert done.returncode == 1
    assert "6 verdicts" in done.stdout


def test_chosen_cases_are_always_run() -> None:
    assert "1 verdict (1 FAIL): 1 unexpected" in check("loops.py:dead", "-k", "test_calm").stdout


def test_until_first() -> None:
    done = check("loops.py:dead", "-x")
    assert (done.returncode, done.stderr) == (1, "")
    assert "test_two.py" not in done.stdout
    assert "ended at the first unexpected verdict" in done.stdout
