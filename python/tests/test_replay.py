# real clock: a replay gives each program on each loop a verdict, and says which file cannot be read.
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from loopcheck import _contract as c
from loopcheck import reproduce
from loopcheck.load import Spec, Unusable
from loopcheck.replay import Stored
from loopcheck.replay_script import check_script

ASYNCIO = "asyncio:new_event_loop"
BROKEN = """
import asyncio
class twice(asyncio.SelectorEventLoop):
    def call_soon(self, *args, **options):
        super().call_soon(*args, **options)
        return super().call_soon(*args, **options)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with two programs in it, one of them deeper."""
    (tmp_path / "all" / "deep").mkdir(parents=True)
    (tmp_path / "all" / "one.loop").write_text("soon c1\nstep\n")
    (tmp_path / "all" / "deep" / "two.loop").write_text("timer t1 2ms\nstep\n")
    (tmp_path / "all" / "notes.txt").write_text("no program\n")
    (tmp_path / "broken.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def replay(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    command = [sys.executable, "-m", "loopcheck", "replay", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_directories_and_loops() -> None:
    done = replay(ASYNCIO, "broken.py:twice", "all")
    assert done.returncode == 1
    assert "4 verdicts" in done.stdout
    assert f"PASS all/deep/two.loop on {ASYNCIO}" in done.stdout
    assert "FAIL SOON-3 unexpected  broken.py:twice" in done.stdout
    assert "thread 0" not in done.stdout  # the traces of many programs are left out
    assert "thread 0" in replay(ASYNCIO, "all", "--verbose").stdout


def test_what_cannot_be_read_hinders_nothing(folder: Path) -> None:
    (folder / "all" / "bad.loop").write_text("# story\nsoon c1\nnonsense c1\n")
    (folder / "all" / "bytes.loop").write_bytes(b"\0\1\2")
    done = replay(ASYNCIO, "all", "none.loop")
    assert done.returncode == 2
    assert "2 verdicts (2 PASS)" in done.stdout
    assert "all/bad.loop:3: " in done.stderr
    assert "all/bytes.loop: " in done.stderr
    assert "none.loop: No such file" in done.stderr


def test_bytes(folder: Path) -> None:
    (folder / "crash-1").write_bytes(c.parse("soon c1\nstep\n") + b"tail")
    done = replay(ASYNCIO, "crash-1")
    assert (done.returncode, "c1.soon" in done.stdout) == (0, True)


def test_script(folder: Path) -> None:
    done = replay("broken.py:twice", "all/one.loop", "--script", "out.py")
    assert (done.returncode, "out.py: the defect shows, 5 of 5 times" in done.stdout) == (1, True), done.stdout
    text = (folder / "out.py").read_text()
    assert "SOON-3: Each callback of call_soon runs exactly once." in text
    assert 'c1 = loop.call_soon(run.called, "c1")' in text
    alone = [sys.executable, "-I", "out.py"]  # which sees no package of ours
    shown = subprocess.run(alone, capture_output=True, text=True, timeout=60)
    assert (shown.returncode, "the defect shows" in shown.stdout) == (1, True), shown


def test_script_of_what_is_right(folder: Path) -> None:
    done = replay(ASYNCIO, "all/one.loop", "--script", "out.py")
    assert (done.returncode, "out.py: the defect shows, 0 of 5 times" in done.stdout) == (0, True), done.stdout
    assert "Seen: nothing wrong" in (folder / "out.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((ASYNCIO, "all"), "not of 2 on 1"),
        ((ASYNCIO, "broken.py:twice", "all/one.loop"), "not of 1 on 2"),
        (("--driver", "broken.py", "all/one.loop"), "a C loop runs no Python"),
        ((ASYNCIO, "all/one.loop", "--virtual-time"), "a script has the real clock"),
        ((ASYNCIO, "all/one.loop", "--script", "no/out.py"), "cannot be written"),
    ],
)
def test_no_script(arguments: tuple[str, ...], why: str, folder: Path) -> None:
    done = replay("--script", "out.py", *arguments)
    assert (done.returncode, why in done.stderr, done.stderr.count("\n")) == (2, True, 1), done
    assert not (folder / "out.py").exists()


def test_no_script_of_an_operation_without_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(reproduce.WRITERS, c.OP_SOON)
    stored = Stored(Path("one.loop"), c.parse("soon c1\nstep\n"))
    with pytest.raises(Unusable, match="one.loop: it has an operation for which"):
        check_script([Spec.parse(ASYNCIO)], [stored], is_plain=True)


@pytest.mark.parametrize("arguments", [(ASYNCIO,), ("all",), (), (ASYNCIO, "empty")])
def test_arguments(arguments: tuple[str, ...], folder: Path) -> None:
    (folder / "empty").mkdir()
    done = replay(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
