"""Replays, fuzz runs and the demo say what happened: a missing driver is a skip; nothing run or found is no success."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import builds
import check
import corpus
import demo
import fuzzing
import machine
import parts
import pytest
import steps
from steps import Stop


@pytest.fixture
def program(tmp_path, monkeypatch):
    """program(script) -> what builds.program gives from now on is this shell script."""

    def make(script: str):
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(builds, "program", lambda preset, name: path)

    monkeypatch.setattr(steps, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(fuzzing, "BUILD", tmp_path)
    monkeypatch.setattr(fuzzing, "seeds", lambda _target: tmp_path)
    return make


def test_replay(program):
    program("echo a.loop: fine; echo '26 passed, 0 failed'")
    assert corpus.run("dev", "libuv", "a.loop") == "26 passed, 0 failed"


@pytest.mark.parametrize(
    ("script", "error", "word"),
    [
        ("echo 'libuv: no such driver' >&2; exit 2", parts.Skipped, "was not built"),
        ("echo '25 passed, 1 failed'; exit 1", Stop, "1 failed"),
        ("exit 3", Stop, "status 3"),
    ],
)
def test_replay_that_fails(program, script, error, word):
    program(script)
    with pytest.raises(error, match=word):
        corpus.run("dev", "libuv", "a.loop")


def test_what_is_no_command_is_refused_before_the_set_up():
    assert sorted(check.NAMES) == sorted(check.COMMANDS)
    argv = [sys.executable, check.__file__, "dance"]
    done = subprocess.run(argv, env={**os.environ, "LOOPCHECK_SET_UP": ""}, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("ci/check.py: dance: not one of quick, test, ")


def test_fuzz(program):
    program("echo 'stat::number_of_executed_units: 4711'")
    assert fuzzing.run("fuzz_program", 1) == "4711 inputs in 1 s, nothing found"


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo 'Test unit written to x/crash-1'; exit 77", "found x/crash-1"),
        ("exit 1", "status 1"),
        ("echo 'stat::number_of_executed_units: 0'", "executed nothing"),
        ("true", "executed nothing"),
    ],
)
def test_fuzz_that_finds_or_runs_nothing(program, script, word):
    program(script)
    with pytest.raises(Stop, match=word):
        fuzzing.run("fuzz_program", 1)


def verdict(loop: str, name: str, rule: str) -> dict[str, str]:
    return {"loop": loop, "case": "c", "rule": rule, "verdict": name}


def test_report_without_a_browser_is_skipped(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert check.BROWSER_TEST.exists()
    assert check.BROWSER_TEST not in check.test_files()
    with pytest.raises(parts.Skipped, match="no Chromium"):
        check.report_in_browser()


@pytest.mark.parametrize(
    ("good", "bad", "found", "has_page", "status"),
    [
        (0, 1, ("HANG", "FD-1"), True, 0),
        (1, 1, ("FAIL", "FD-1"), True, 1),
        (0, 0, ("PASS", "FD-1"), True, 1),
        (0, 1, ("FAIL", "FD-2"), True, 1),
        (0, 1, ("FAIL", "FD-1"), False, 1),
    ],
)
def test_demo(tmp_path, monkeypatch, good, bad, found, has_page, status):
    def check(report, *arguments):
        report.mkdir(parents=True, exist_ok=True)
        is_broken = arguments[0] == demo.BROKEN
        rows = [verdict(demo.BROKEN, *found)] if is_broken else [verdict("asyncio", "PASS", "SOON-1")]
        (report / "results.json").write_text(json.dumps({"verdicts": rows, "notes": [], "unexpected": []}))
        (report / "summary.md").write_text("summary\n")
        return bad if is_broken else good

    monkeypatch.setattr(demo, "REPORT", tmp_path / "report")
    monkeypatch.setattr(demo, "check", check)
    monkeypatch.setattr(demo, "make_page", lambda broken: has_page)
    assert demo.main() == status
    merged = json.loads((tmp_path / "report" / "results.json").read_text())
    assert [row["loop"] for row in merged["verdicts"]] == ["asyncio", demo.BROKEN]
    assert merged["exit_status"] == status
    assert (tmp_path / "report" / "summary.md").read_text().count("summary\n") == 2
