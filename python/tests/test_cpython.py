# real clock: tests like CPython's own run on the loop under test wherever a loop comes from, or do not count.
from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import types
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from loopcheck import cpython, cpython_inject, cpython_tests, inject
from loopcheck.load import Unusable
from tiny_suite import COUNTED, make_suite

SCHEMA = Path(cpython.__file__).with_name("results.schema.json")
ASYNCIO = "asyncio:new_event_loop"
LOOP = """
import asyncio, os, time
class Loop(asyncio.SelectorEventLoop):
    {body}
"""
TWICE = """def call_soon(self, *args, **options):
        super().call_soon(*args, **options)
        return super().call_soon(*args, **options)"""
LENDS = """def run_until_complete(self, main):
        inner = asyncio.SelectorEventLoop()
        try:
            return inner.run_until_complete(main)
        finally:
            inner.close()"""

# what the loop does -> the verdict of a test that uses it
BROKEN = {
    TWICE: "FAIL",
    "def call_soon(self, *args, **options): raise NotImplementedError": "MISSING",
    "def run_forever(self): time.sleep(60)": "HANG",
    "def run_forever(self): os._exit(0)": "CRASH",
    "def run_forever(self): os.abort()": "CRASH",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with the package of tests."""
    make_suite(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOOPCHECK_ROOT", raising=False)
    return tmp_path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    command = [sys.executable, "-m", "loopcheck", "cpython", "-n", "2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def check(*arguments: str) -> dict[str, Any]:
    """The JSON of a run of the small package."""
    done = run("--package", "tiny", "--json", "-", *arguments)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    return document  # type: ignore[no-any-return]


def write_loop(body: str) -> str:
    """Writes a loop, and names it."""
    Path("mine.py").write_text(LOOP.replace("{body}", body))
    return "mine.py:Loop"


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    """Verdicts by test, without the name of the file."""
    return {row["case"].removeprefix("test_events.py::"): row["verdict"] for row in document["verdicts"]}


@pytest.mark.parametrize("loop", (ASYNCIO, "mine.py:Loop"))
def test_every_way_to_a_loop_leads_to_the_one_under_test(loop: str) -> None:
    write_loop("def time(self): return super().time()")
    document = check(loop)
    assert verdicts(document) == dict.fromkeys(COUNTED, "PASS")
    assert document["exit_status"] == 0
    assert any("not counted: 2 tests that run no loop" in note for note in document["notes"])
    assert any("left out: 1 tests that repeat others" in note for note in document["notes"])


@pytest.mark.parametrize("body", BROKEN)
def test_broken_loop_is_found(body: str) -> None:
    document = check(write_loop(body), "-k", "test_hook", "--timeout", "2")
    assert set(verdicts(document).values()) == {BROKEN[body]}
    assert document["exit_status"] == (0 if BROKEN[body] == "MISSING" else 1)


def test_loop_that_lends_the_run_to_another_proves_nothing() -> None:
    document = check(write_loop(LENDS), "-k", "test_bare")
    assert verdicts(document) == {"FunctionTests::test_bare": "VACUOUS"}
    assert document["exit_status"] == 1


def test_what_no_loop_has_to_pass_is_inapplicable() -> None:
    document = check(write_loop(TWICE), "-k", "test_prompt_cancellation")
    assert verdicts(document) == {"SelectEventLoopTests::test_prompt_cancellation": "INAPPLICABLE"}
    assert document["verdicts"][0]["detail"].startswith("calls the loop's _stop_serving (FAIL: ")
    assert document["exit_status"] == 0


def test_inapplicable_does_not_cover_a_crash() -> None:
    document = check(write_loop("def run_forever(self): os.abort()"), "-k", "test_prompt_cancellation")
    assert set(verdicts(document).values()) == {"CRASH"}


def test_what_the_control_fails_too_is_the_fault_of_the_kit() -> None:
    Path("tiny/utils.py").write_text(Path("tiny/utils.py").read_text().replace("[1])", "[2])"))
    document = check(write_loop(TWICE), "-k", "test_hook")
    assert document["exit_status"] == 3


def test_loop_with_threads_gets_a_fresh_interpreter_for_each_test() -> None:
    loop = write_loop("def time(self): return super().time()")
    text = "\nimport threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    Path("mine.py").write_text(Path("mine.py").read_text() + text)
    document = check(loop, "-k", "test_run")
    assert verdicts(document) == {"FunctionTests::test_run": "PASS"}
    assert any("fresh interpreter" in note for note in document["notes"])


def test_interpreter_without_the_tests_is_one_sentence() -> None:
    done = run(ASYNCIO, "--package", "nosuch.tests")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "on Debian install libpython" in done.stderr


def test_nothing_selected_is_one_sentence() -> None:
    done = run(ASYNCIO, "--package", "tiny", "-k", "EPollEventLoopTests")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_temporary_files_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    line = (
        "\n    def test_file(self):\n        open('left', 'w').close()\n        self.check(asyncio.new_event_loop())\n"
    )
    path = Path("tiny/test_events.py")
    head = "class FunctionTests(utils.TestCase):"
    path.write_text(path.read_text().replace(head, head + line))
    assert verdicts(check(ASYNCIO, "-k", "test_file")) == {"FunctionTests::test_file": "PASS"}
    assert os.listdir(temporary) == []


def test_lists_are_about_tests_that_there_are() -> None:
    try:
        ids = list(cpython_tests_ids())
    except Unusable as unusable:
        pytest.skip(str(unusable))
    lists = cpython.Lists.load(cpython.LISTS)
    entries = [e for e in (*lists.inapplicable, *lists.left_out) if cpython.holds(e.python, cpython.PYTHON)]
    idle = [e.test for e in entries if not any(fnmatchcase(name, e.test) for name in ids)]
    assert set(idle) <= {"*::KqueueEventLoopTests::*"}
    chosen = [name for name in ids if any(fnmatchcase(name, pattern) for pattern in lists.quick)]
    assert 40 <= len([name for name in chosen if "PollEv" not in name]) <= 90


def cpython_tests_ids() -> list[str]:
    """The ids of this interpreter's own tests, from a process of its own: listing them changes asyncio."""
    cpython_tests.module_names(cpython.PACKAGE)
    code = "import json; from loopcheck import cpython_tests as t; print(json.dumps([*t.load_tests(t.PACKAGE)]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_factory_that_asks_asyncio_gets_its_own_loop() -> None:
    made: list[object] = []

    def factory() -> object:
        made.append(make())
        return made[-1]

    make = inject.Maker(factory, lambda: "asyncio's own")
    assert make() == "asyncio's own"
    assert made == ["asyncio's own"]


def test_asyncio_without_policies_gives_its_event_loop() -> None:
    home = types.SimpleNamespace(EventLoop=asyncio.SelectorEventLoop)
    assert inject.policy_name(home) == ""  # type: ignore[arg-type]
    assert inject.own_factory(home) is asyncio.SelectorEventLoop  # type: ignore[arg-type]


class BareLoop:
    """As much of a loop as close_loop needs; it has no private attribute."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def is_closed(self) -> bool:
        return "close" in self.calls

    def shutdown_default_executor(self) -> None:
        self.calls.append("shutdown")

    def run_until_complete(self, _: object) -> None:
        inject.MADE.ran(self)

    def close(self) -> None:
        self.calls.append("close")


def test_close_needs_no_private_attribute_and_counts_no_run() -> None:
    seen: list[Any] = []
    close = cpython_inject.neutral_close(lambda loop: (seen.append(loop._default_executor), loop.close()))  # type: ignore[arg-type,func-returns-value]
    loop, runs = inject.MADE.add(BareLoop()), inject.MADE.runs
    close(loop)
    assert (loop.calls, seen) == (["shutdown", "close"], [None])
    assert inject.MADE.runs == runs
    inject.MADE.ran(loop)
    assert inject.MADE.runs == runs + 1
