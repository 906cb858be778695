# real clock: whatever is put in, the answer is a verdict or one clear sentence, with file and line where there is one.

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from loopcheck import page, paths
from loopcheck.cli_options import SECONDS
from loopcheck.expect import Expectations, ExpectError
from loopcheck.rules import Rules

LOOPS = """
import asyncio, sys

class Bare: pass
class Little:
    def run_forever(self): pass
    def close(self): pass
def number(): return 42
async def coroutine(): pass
def raises(): raise ValueError("no\\nloop today")
def exits(): sys.exit(3)
def needs(argument): pass
class NoName:
    def __getattr__(self, name): raise KeyError(name)
class Liar:
    __class__ = asyncio.SelectorEventLoop
"""
SENTENCES = {
    "Bare": "returned loops.Bare, which is no event loop",
    "Little": "it has no run_until_complete",
    "number": "returned int, which is no event loop",
    "coroutine": "returned coroutine, which is no event loop",
    "raises": "calling it raised ValueError: no loop today",
    "exits": "calling it raised SystemExit: 3",
    "needs": "calling it raised TypeError",
    "NoName": "loops.py:NoName",
    "Liar": "loops.py:Liar",
    "nosuch": "loops has no attribute 'nosuch'",
    "LOOPS": "has no attribute 'LOOPS'",
}
ENTRY = '[[deviation]]\ncase = "test_timers.py::test_x"\nverdict = "FAIL"\nrule = "TIMER-1"\nreason = "why"\n'


def loopcheck(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loopcheck", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ, cwd=folder)


def test_factories_that_give_no_loop(tmp_path: Path) -> None:
    """Each gets one sentence that says what is wrong, and the others are tried as well."""
    (tmp_path / "loops.py").write_text(LOOPS)
    done = loopcheck(tmp_path, "check", *(f"loops.py:{name}" for name in SENTENCES), "-k", "test_wake_ups_in_order")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == len(SENTENCES), done.stderr
    for line, (name, sentence) in zip(lines, SENTENCES.items(), strict=True):
        assert line.startswith("loopcheck: ") and f"loops.py:{name}" in line and sentence in line


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("check", "asyncio:new_event_loop", "-k", "nosuchcase"), "is selected by -k nosuchcase"),
        (("check", "asyncio:new_event_loop", "--rule", "ZZ-1"), "there is no rule 'ZZ-1'"),
        (("check", "asyncio:new_event_loop", "--report", "file/below"), "file/below cannot be made: Not a directory"),
        (("check", "asyncio:new_event_loop", "--json", "nosuch/x"), "nosuch/x cannot be written"),
        (("check", "asyncio:new_event_loop", "--timeout", "nan"), "nan is no number of seconds"),
        (("check", "asyncio:new_event_loop", "--expect", "unknown.toml"), "unknown.toml:7: there is no rule 'ZZ-9'"),
        (("page", "file"), "file:1: this is not JSON, or only a part of it"),
        (("replay", "asyncio:new_event_loop", "file"), "file:1: "),
    ],
)
def test_arguments(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    """One line on standard error, exit status 2."""
    (tmp_path / "file").write_text("not a\n")
    (tmp_path / "unknown.toml").write_text(ENTRY + "\n" + ENTRY.replace("TIMER-1", "ZZ-9"))
    done = loopcheck(tmp_path, *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ENTRY + '[[deviation]]\ncase = "x', ":7: this is not TOML"),
        (ENTRY + '[[deviation]]\ncase = "x"\n', ":6: the deviation lacks verdict, rule, reason"),
        (ENTRY + 'colour = "red"\n', ":1: the deviation has unknown keys: colour"),
        ("# one\n" + ENTRY.replace("FAIL", "WRONG"), ":2: the deviation expects 'WRONG'"),
        (ENTRY + 'python = "new"\n', ":1: python = 'new' is not like"),
        (ENTRY + 'under = "water"\n', ":1: under = 'water' is neither"),
    ],
)
def test_expect_file(tmp_path: Path, text: str, sentence: str) -> None:
    """What is wrong in an expect file is told with its line."""
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(ExpectError) as raised:
        Expectations.load(file)
    assert f"x.toml{sentence}" in str(raised.value) and "\n" not in str(raised.value)


def test_shipped_expect_files() -> None:
    """Those for the cases speak of rules that there are."""
    known = Rules.load(paths.rules_file()).by_id
    for file in (paths.conformance_dir() / "expect").glob("*.toml"):
        Expectations.load(file).check_rules(known)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{\n "schema": 1,\n "loops": [', ":3: this is not JSON, or only a part of it"),
        (json.dumps({"loops": [], "schema": 99}, indent=1), ":3: schema 99 is of a newer loopcheck"),
        ('{"schema": "1"}', " has no results of schema 1"),
        ('{"schema": 1}', " is not what a check writes"),
        ("[]", " has no results of schema 1"),
    ],
)
def test_results_file(tmp_path: Path, text: str, sentence: str) -> None:
    """A results.json that is cut, of a newer version or none at all."""
    file = tmp_path / "r.json"
    file.write_text(text)
    with pytest.raises(page.Unreadable) as raised:
        page.load(file)
    assert f"r.json{sentence}" in str(raised.value)


@pytest.mark.parametrize("value", ("nan", "inf", "-1", "0", "x"))
def test_seconds(value: str) -> None:
    """A number of seconds is positive and finite."""
    with pytest.raises(click.BadParameter):
        SECONDS.convert(value, None, None)
