# real clock: a library's tests on a loop count where they differ from asyncio's, whatever a test does to its process.
from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from loopcheck import upstream
from loopcheck.load import Spec, Unusable
from loopcheck.upstream import Pair
from loopcheck.upstream_run import Outcome, Runner
from loopcheck.upstream_setup import Environment, Library, extract, provide, why

LIBRARY = Library("tiny", "1.0", (), ("tests",), "", ("tests",), ())
TESTS = """
import asyncio, os, sys, threading
import pytest

def test_runs():
    calls = []
    async def main():
        asyncio.get_running_loop().call_soon(calls.append, 1)
        await asyncio.sleep(0.01)
    asyncio.run(main())
    assert calls == [1]
def test_idle():
    pass
def test_fails():
    asyncio.run(asyncio.sleep(0))
    assert 1 == 2
def test_skips():
    pytest.skip("not today")
def test_dies():
    os._exit(0)
def test_hangs():
    threading.Event().wait()
def test_after_all():
    asyncio.run(asyncio.sleep(0))
"""
LOOP = """
import asyncio
class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, *args, **options):
        super().call_soon(*args, **options)
        return super().call_soon(*args, **options)
"""
PASSED, FAILED = Outcome("passed", runs=1), Outcome("failed", "wrong", runs=1)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """As `provide` leaves it, with this interpreter for the library's own."""
    tests = tmp_path / "library" / "tests" / "tests"
    binaries = tmp_path / "library" / "venv" / "bin"
    for folder in (tests, binaries):
        folder.mkdir(parents=True)
    (tests / "test_tiny.py").write_text(TESTS)
    (binaries / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (binaries / "python").chmod(0o755)
    (tmp_path / "mine.py").write_text(LOOP)
    monkeypatch.chdir(tmp_path)
    return Environment(LIBRARY, tmp_path / "library")


def outcomes(environment: Environment, loop: str, pattern: str = "") -> dict[str, Outcome]:
    """By the name of the test's function."""
    found = Runner(environment, Spec.parse(loop), 1.0, pattern).run()
    return {test.rpartition("::")[2]: outcome for test, outcome in found.items()}


def test_every_test_is_run_whatever_the_others_do(environment: Environment) -> None:
    found = outcomes(environment, "asyncio:new_event_loop")
    assert {name: outcome.outcome for name, outcome in found.items()} == {
        "test_runs": "passed",
        "test_idle": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_dies": "crash",
        "test_hangs": "hang",
        "test_after_all": "passed",
    }
    assert [name for name, outcome in found.items() if not outcome.runs] == ["test_idle", "test_skips"]
    assert "assert 1 == 2 (test_tiny.py:" in found["test_fails"].detail


def test_loop_is_injected(environment: Environment) -> None:
    found = outcomes(environment, "mine.py:Loop", "test_runs")
    assert [outcome.outcome for outcome in found.values()] == ["failed"]


def test_loop_that_cannot_be_imported_is_one_sentence(environment: Environment) -> None:
    with pytest.raises(Unusable, match=r"cannot be run on nosuch\.py:Loop.*Unusable"):
        outcomes(environment, "nosuch.py:Loop")


def test_library_that_cannot_be_had_does_not_take_the_others_with_it(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(library: Library, *_: object) -> Environment:
        if library is not LIBRARY:
            raise Unusable("no network")
        return environment

    monkeypatch.setattr(upstream, "provide", fake)
    other = replace(LIBRARY, name="other")
    check = upstream.Upstream(Spec.parse("mine.py:Loop"), 5.0, "test_runs", 2, "none", lambda _: None)
    results = check.run([other, LIBRARY], Path())
    assert [(row.case, row.verdict) for row in results.unexpected] == [("tiny::tests/test_tiny.py::test_runs", "FAIL")]
    assert (results.unusable, results.exit_status) == (["no network"], 2)


def pair() -> Pair:
    """One test of each kind."""
    idle, skipped = Outcome("passed"), Outcome("skipped", "why", runs=1)
    mine = {
        "same": PASSED,
        "worse": FAILED,
        "both": FAILED,
        "idle": idle,
        "lent": idle,
        "skipped": skipped,
        "never": skipped,
    }
    control = {
        "same": PASSED,
        "worse": PASSED,
        "both": FAILED,
        "idle": idle,
        "lent": PASSED,
        "skipped": PASSED,
        "never": skipped,
    }
    return Pair(mine | {"hung": Outcome("hang"), "unsteady": FAILED}, control | {"hung": PASSED, "unsteady": PASSED})


def test_only_what_differs_counts_against_the_loop() -> None:
    rulings = pair().rulings("tiny", {"unsteady"})
    assert {test: ruling.verdict for test, ruling in rulings.items()} == {
        "same": "PASS",
        "worse": "FAIL",
        "lent": "VACUOUS",
        "skipped": "SKIP",
        "hung": "HANG",
    }
    assert (pair().failing_on_both(), pair().idle()) == (["both"], ["idle"])


def test_only_plain_files_inside_are_taken_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("a-1/tests/x.py", "a-1/src/y.py", "a-1/tests/../../../z.py"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"#"))
        link = tarfile.TarInfo("a-1/tests/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    target = tmp_path / "in" / "it"
    extract(archive, ("tests",), target)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py")] == ["in/it/tests/x.py"]
    assert not (target / "tests" / "link").is_symlink()


def test_pip_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    said: list[str] = []
    with pytest.raises(Unusable, match=r"^tiny 1\.0 cannot be installed: ERROR: [^\n]+$"):
        provide(LIBRARY, tmp_path, said.append)
    assert len(said) == 1


def test_network_is_named_when_it_is_the_reason() -> None:
    log = "WARNING: Retrying after NewConnectionError: Network is unreachable\nERROR: No matching distribution found\n"
    assert why(log) == "the Python package index cannot be reached"


def test_what_looks_behind_the_interface_is_told_apart() -> None:
    """By the attribute that the library's entry names; any other that is missing is the loop's fault."""
    mine = {
        "private": replace(FAILED, detail="AttributeError: 'Server' object has no attribute '_ssl_context'"),
        "public": replace(FAILED, detail="AttributeError: 'Server' object has no attribute 'sockets'"),
    }
    rulings = Pair(mine, dict.fromkeys(mine, PASSED)).rulings("tiny", set(), ("_ssl_context",))
    assert {test: ruling.verdict for test, ruling in rulings.items()} == {"private": "INAPPLICABLE", "public": "FAIL"}


def test_tests_come_from_the_archive_that_an_entry_names() -> None:
    named = replace(LIBRARY, archive="https://example.org/tiny-1.0.tar.gz#sha256=00")
    assert (LIBRARY.source, named.source) == ("tiny==1.0", "tiny @ https://example.org/tiny-1.0.tar.gz#sha256=00")


def test_libraries_can_be_read() -> None:
    assert {"anyio", "uvicorn"} <= set(Library.load_all())


def test_unknown_library_is_one_sentence() -> None:
    command = [sys.executable, "-m", "loopcheck", "upstream", "asyncio:new_event_loop", "nosuch"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "there is no library 'nosuch'" in done.stderr
