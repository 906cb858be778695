"""A sanitizer that is not on is an error, however it came to be off; so is a planted race that is shown otherwise."""

from __future__ import annotations

import json

import builds
import extensions
import is_on
import parts
import pytest
import races
import sanitize
from mutants import Copy, Mutant
from steps import Stop

REPORT = "ThreadSanitizer: data race\n  #0 canary_data_race_thread canaries.c:54"
RACE = Mutant("m", "thread/wake.c", "a", "b", "story", shown_as="data race")


def test_reported():
    is_on.judge("data_race", "ThreadSanitizer: data race", 66, REPORT)


@pytest.mark.parametrize(
    ("status", "text", "word"),
    [
        (0, "", "not on"),
        (139, "Segmentation fault in canary_data_race", "not on"),
        (66, "ThreadSanitizer: data race\n  #0 PyObject_Malloc", "does not name"),
        (0, REPORT, "status 0"),
    ],
)
def test_not_reported(status, text, word):
    with pytest.raises(Stop, match=word):
        is_on.judge("data_race", "ThreadSanitizer: data race", status, text)


def canary(tmp_path, script):
    path = tmp_path / "canary"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return [path]


def test_every_canary_has_to_be_reported(tmp_path):
    quiet = '[ "$1" = none ] && exit 0\n'
    one = quiet + '[ "$1" = data_race ] && echo "ThreadSanitizer: data race canary_data_race" && exit 66'
    with pytest.raises(Stop, match="use_after_free was not reported"):
        is_on.check_canaries(canary(tmp_path, one), "tsan", {})
    both = one + '\necho "ThreadSanitizer: heap-use-after-free canary_use_after_free"; exit 66'
    assert is_on.check_canaries(canary(tmp_path, both), "tsan", {}) == "reported: data_race, use_after_free"


def test_program_that_does_not_start(tmp_path):
    script = 'echo "FATAL: ThreadSanitizer: unexpected memory mapping"; exit 66'
    with pytest.raises(Stop, match="without a defect ended with status 66.*unexpected memory mapping"):
        is_on.check_canaries(canary(tmp_path, script), "tsan", {})


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("clang -fsanitize=address,undefined -c a.c", {"address", "undefined"}),
        ("clang -fsanitize=thread -fno-sanitize=thread -c a.c", set()),
        ("clang -fsanitize=address,undefined -fno-sanitize=all -c a.c", set()),
        ("clang -fsanitize=undefined -fno-sanitize-recover=all -c a.c", {"undefined"}),
        ("clang -c a.c", set()),
    ],
)
def test_flags(command, flags):
    assert is_on.flags_of(command) == flags


def test_file_that_lost_the_flag(tmp_path, monkeypatch):
    commands = [
        {"file": "a.c", "command": "clang -fsanitize=thread -c a.c"},
        {"file": "b.c", "command": "clang -c b.c"},
    ]
    (tmp_path / "compile_commands.json").write_text(json.dumps(commands))
    monkeypatch.setattr(builds, "build", lambda preset: tmp_path)
    with pytest.raises(Stop, match=r"1 of 2 files were compiled without the sanitizer: b\.c"):
        is_on.check_flags("tsan")


def test_nothing_else_runs_when_it_is_not_on(monkeypatch):
    def off(name):
        raise Stop("the canary leak was not reported")

    monkeypatch.setattr(is_on, "in_c", off)
    run = parts.Run(strict=True)
    sanitize.one(run, "asan")
    assert [result.outcome for result in run.results] == [parts.FAILED]
    assert run.finish() == 1


def test_users_options_come_last(monkeypatch):
    monkeypatch.setenv("TSAN_OPTIONS", "report_bugs=0")
    assert builds.environment()["TSAN_OPTIONS"].endswith(":report_bugs=0")


def test_extension_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(extensions, "built", lambda *words: tmp_path / "json.so")
    monkeypatch.setattr(extensions, "environment", lambda *words: {})
    with pytest.raises(Stop, match="json was not loaded from"):
        extensions.test("ubsan", extensions.Extension("json", "", ()))


@pytest.mark.parametrize(
    ("bits", "setarch", "expected"), [("28", "exit 1", ()), ("32", "exit 0", ("setarch", "-R")), ("32", "exit 1", None)]
)
def test_random_addresses(tmp_path, monkeypatch, bits, setarch, expected):
    (tmp_path / "bits").write_text(bits)
    (tmp_path / "setarch").write_text(f"#!/bin/sh\n{setarch}\n")
    (tmp_path / "setarch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(builds, "RANDOM_BITS", tmp_path / "bits")
    builds.launcher.cache_clear()
    if expected is None:
        with pytest.raises(Stop, match=r"randomises 32 bits.*sysctl -w vm\.mmap_rnd_bits=28"):
            builds.launcher("tsan")
    else:
        assert builds.launcher("tsan") == expected
        assert builds.launcher("asan") == ()
    builds.launcher.cache_clear()


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ([(0, ""), (66, "ThreadSanitizer: data race")], "data race in stress_wake loop 4"),
        ([(1, "STALLED: a post was lost"), (66, "ThreadSanitizer: data race")], "data race in stress_wake loop 4"),
        ([], None),
    ],
)
def test_planted_race(monkeypatch, outputs, found):
    left = list(outputs)
    monkeypatch.setattr(races, "run", lambda argv, limit_s: left.pop(0) if left else (0, ""))
    assert races.hunt(Copy("races", (), ()), RACE) == found


@pytest.mark.parametrize(
    ("output", "word"),
    [((1, "WRONG: order"), "counts .status 1"), ((None, ""), "no end"), ((-6, "assert"), "no report .status -6")],
)
def test_planted_race_that_is_shown_otherwise(monkeypatch, output, word):
    monkeypatch.setattr(races, "run", lambda argv, limit_s: output)
    with pytest.raises(Stop, match=f"not as data race.*{word}"):
        races.hunt(Copy("races", (), ()), RACE)
