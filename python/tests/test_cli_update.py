# real clock: check --update-expect writes a file with which the check is as expected, and refuses what it cannot do.
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from two_cases import hostile_spec, make_root

BROKEN = """
import asyncio, pathlib
class twice(asyncio.SelectorEventLoop):
    is_twice = True
    def call_soon(self, *args, **options):
        if self.is_twice:
            super().call_soon(*args, **options)
        return super().call_soon(*args, **options)
class at_first(twice):
    is_twice = False
    def set_debug(self, enabled):
        mark = pathlib.Path(__file__).with_name("mark")
        super().set_debug(enabled)
        self.is_twice = enabled and not mark.exists()
        if enabled:
            mark.touch()
"""
STALE = '[[deviation]]\ncase = "*::test_calm"\nverdict = "HANG"\nrule = "SOON-5"\nreason = "it slept"\n'
ASYNCIO = "asyncio:new_event_loop"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kit with three cases, of which no run has the vacuous one, and a broken loop beside it."""
    make_root(tmp_path)
    cases = tmp_path / "conformance" / "test_two.py"
    cases.write_text(cases.read_text().split('@case("SOON-6")')[0])
    (tmp_path / "mine.py").write_text(BROKEN)
    monkeypatch.setenv("LOOPCHECK_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loopcheck", "check", "-n1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_new_file_then_nothing_to_change(root: Path) -> None:
    file = root / "conformance" / "expect" / "mine.toml"
    done = check("mine:twice", "--update-expect")
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote conformance/expect/mine.toml: 2 added, 0 taken out, 0 changed" in done.stdout
    text = file.read_text()
    assert text.startswith("# What mine breaks.\n\n[[deviation]]\n")
    assert text.count('reason = "to be explained: c1 ran a second time"') == 2
    assert "known to be explained" in done.stdout
    assert "nothing to change" in check("mine:twice", "--update-expect").stdout
    assert file.read_text() == text
    assert check("mine:twice").returncode == 0


def test_stale_entry_and_named_file(root: Path) -> None:
    (root / "own.toml").write_text(STALE)
    done = check(ASYNCIO, "--update-expect", "own.toml")
    assert done.returncode == 0
    assert "taken out: *::test_calm: HANG of SOON-5 (it slept)" in done.stdout
    assert "2 verdicts (2 PASS): all as expected" in done.stdout
    assert (root / "own.toml").read_text() == ""


def test_flaky_case_gets_a_list(root: Path) -> None:
    done = check("mine.py:at_first", "-k", "wild", "--update-expect", "own.toml")
    assert done.returncode == 0
    assert 'verdict = ["PASS", "FAIL"]' in (root / "own.toml").read_text()


def test_what_passes_needs_no_file(root: Path) -> None:
    done = check(ASYNCIO, "--update-expect", "own.toml")
    assert "own.toml: nothing to change" in done.stdout
    assert not (root / "own.toml").exists()


def test_stdlib_loop_under_another_name_is_not_written(root: Path) -> None:
    (root / "plain.py").write_text("from asyncio import new_event_loop\n")
    done = check("plain:new_event_loop", "--update-expect", "own.toml")
    assert "own.toml was not written: it is only the stdlib's" in done.stdout
    assert not (root / "own.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([ASYNCIO, "mine:twice", "--update-expect"], "one LOOP"),
        ([ASYNCIO, "--expect", "none", "--update-expect"], "no --expect"),
        (["--update-expect", ASYNCIO, "mine:twice"], "ends in .toml"),
        ([hostile_spec("calm"), "--update-expect"], "write --update-expect FILE.toml"),
        ([ASYNCIO, "--update-expect", "nowhere/x.toml"], "cannot be written"),
    ],
)
def test_refusals(arguments: list[str], word: str) -> None:
    done = check(*arguments)
    assert done.returncode == 2
    assert word in " ".join(done.stderr.split())
