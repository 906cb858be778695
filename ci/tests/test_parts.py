"""A run of parts goes on after a failure, counts a skip as a failure only in strict mode, and quotes the runner."""

from __future__ import annotations

import sys
import threading

import parts
import pytest
from steps import Stop


def works():
    return "3 passed in 1 s"


def fails():
    raise Stop("1 failed")


def skips():
    raise parts.Skipped("no clang")


def crashes():
    raise FileNotFoundError("no such thing")


@pytest.mark.parametrize(
    ("work", "strict", "status", "outcome"),
    [
        (works, True, 0, "ok"),
        (fails, False, 1, "FAILED"),
        (crashes, False, 1, "FAILED"),
        (skips, False, 0, "skipped"),
        (skips, True, 1, "skipped"),
    ],
)
def test_outcomes(work, strict, status, outcome, capsys):
    run = parts.Run(strict)
    run.part("first", work)
    run.part("second", works)
    assert run.finish() == status
    assert [result.outcome for result in run.results] == [outcome, "ok"]
    shown = capsys.readouterr().out
    assert ("PASSED: 2 parts" in shown) is (status == 0)
    assert "3 passed in 1 s" in shown


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_runner_quotes_the_last_line():
    line = parts.runner(
        script("print('1 passed'); print('\\x1b[32m== 2 passed in 1 s ==\\x1b[0m'); print('bye')"), "passed"
    )
    assert line == "2 passed in 1 s"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("print('2 failed'); raise SystemExit(1)", "2 failed"),
        ("raise SystemExit(5)", "status 5"),
        ("print('hello')", "did any test run"),
    ],
)
def test_runner_that_fails_or_says_nothing(text, word):
    with pytest.raises(Stop, match=word):
        parts.runner(script(text), "passed|failed")


def test_nothing_ran():
    assert parts.Run(strict=False).finish() == 1


def test_end_of_a_log_says_again_how_the_failed_part_ended(capsys):
    run = parts.Run(strict=False)
    run.part(
        "bad", lambda: parts.runner(script("print('the reason'); print('1 failed'); raise SystemExit(1)"), "failed")
    )
    run.part("good", lambda: parts.runner(script("print('hello'); print('1 passed')"), "passed"))
    run.finish()
    shown = capsys.readouterr().out
    assert shown.count("the reason") == 2 and shown.count("hello") == 1


def test_side_by_side(capsys):
    def told(name: str) -> str:
        return parts.runner(script(f"print('{name} says'); raise SystemExit('{name}' == 'bad')"), "says")

    run = parts.Run(strict=False)
    run.beside({name: lambda name=name: told(name) for name in ("good", "bad", "last")})
    assert run.finish() == 1
    assert [(result.part, result.outcome) for result in run.results] == [
        ("good", "ok"),
        ("bad", "FAILED"),
        ("last", "ok"),
    ]
    assert [result.last_lines for result in run.results] == ["", "bad says\n", ""]


def test_side_by_side_at_the_same_time(monkeypatch):
    monkeypatch.setattr(parts.steps, "JOBS", 2)
    both = threading.Barrier(2, timeout=60)
    run = parts.Run(strict=False)
    run.beside({name: lambda: str(both.wait() >= 0) for name in ("one", "other")})
    assert run.finish() == 0
