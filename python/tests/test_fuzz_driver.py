# real clock: whatever the driver of a C loop does, the verdict says so: never a wrong pass, never a traceback.
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from loopcheck import shim
from loopcheck.expect import RANDOM_CASE
from loopcheck.fuzz import REFERENCE
from loopcheck.load import Unusable

HERE = Path(__file__).parent
SOURCE = HERE / "driver_under_test.c"
CONTRACT = HERE.parents[1] / "contract"
COMPILER = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
# what it does -> exit status of a campaign, and what stands in its output
DESERVED = {
    "CALM": (0, "0 findings"),
    "CRASH": (1, "CRASH"),
    "HANG": (1, "HANG"),
    "STRANGER": (1, "?15 ran before"),
    "AFTER_CLOSE": (1, "LIFE-9"),
    "LATE": (1, ""),
    "THREAD": (1, "THREAD-1"),
    "TWICE": (1, "SOON-3"),
    "OLD_CLOCK": (1, "behind CLOCK_MONOTONIC"),
    "OTHER_EVENT": (1, 'was called with event "timer"'),
    "NO_EDGE": (1, "says that its loop can do edge, and refuses it"),
    "LIES": (1, "says that its loop can do stream, and refuses it"),
    "SILENT": (1, "SOON-5"),
    "REFUSES": (1, "VACUOUS"),
    "EXITS": (1, "CRASH"),
    "WRONG_ABI": (2, "built for version 5 of contract/driver.h, and this is version 4"),
    "GIVES_NULL": (2, "returned NULL"),
    "NO_APPLY": (2, "its apply is NULL"),
    "COARSE": (2, "tick_ns is more than a second"),
    "CANNOT_OPEN": (2, "could not open a loop"),
}

pytestmark = pytest.mark.skipif(not COMPILER, reason="no C compiler")


def loopcheck(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does; it never ends in a traceback."""
    command = [sys.executable, "-m", "loopcheck", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done


def build(way: str, folder: Path) -> Path:
    """The driver that misbehaves in this way, as a shared object."""
    target = folder / f"{way.lower()}.so"
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-shared", "-fPIC", "-pthread", f"-DWAY={way}", f"-I{CONTRACT}"]
    subprocess.run([COMPILER, *flags, SOURCE, "-o", target], check=True, timeout=60)
    return target


@pytest.mark.parametrize("way", DESERVED)
def test_deserved(way: str, tmp_path: Path) -> None:
    status, text = DESERVED[way]
    done = loopcheck("fuzz", "--driver", build(way, tmp_path), "--runs", 24)
    assert (done.returncode, text in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr
    if status == 2:
        assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_no_driver_at_all(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no ELF file")
    (tmp_path / "empty.c").write_text("int nothing;\n")
    subprocess.run([COMPILER, "-shared", "-fPIC", tmp_path / "empty.c", "-o", tmp_path / "empty.so"], check=True)
    for name, text in (("none.so", "no such file"), ("text.so", "no driver"), ("empty.so", "export lc_driver_get")):
        done = loopcheck("fuzz", "--driver", tmp_path / name, "--runs", 8)
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr
        assert text in done.stderr


def test_a_constructor_that_crashes(tmp_path: Path) -> None:
    source = tmp_path / "early.c"
    source.write_text("__attribute__((constructor)) static void early(void) { *(volatile int *)8 = 0; }\n")
    subprocess.run([COMPILER, "-shared", "-fPIC", source, "-o", tmp_path / "early.so"], check=True)
    done = loopcheck("fuzz", "--driver", tmp_path / "early.so", "--runs", 8)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "SIGSEGV" in done.stderr


def test_replay(tmp_path: Path) -> None:
    (tmp_path / "p.loop").write_text("soon c1\nsoon c2\nstep\n")
    for way, status, verdict in (("CALM", 0, "PASS"), ("CRASH", 1, "CRASH"), ("REFUSES", 1, "VACUOUS")):
        done = loopcheck("replay", "--driver", build(way, tmp_path), tmp_path / "p.loop")
        assert (done.returncode, f"1 verdict (1 {verdict})" in done.stdout) == (status, True), done.stdout
    assert "c2.soon" in loopcheck("replay", "--driver", tmp_path / "calm.so", tmp_path / "p.loop").stdout


def test_what_is_expected_of_a_driver_is_known(tmp_path: Path) -> None:
    driver, program, file = build("TWICE", tmp_path), tmp_path / "p.loop", tmp_path / "mine.toml"
    entry = '[[deviation]]\ncase = "{}"\nverdict = "FAIL"\nrule = "{}"\nreason = "on purpose"\n'
    program.write_text("soon c1\nstep\n")
    file.write_text(entry.format(RANDOM_CASE, "SOON-3") + entry.format("*/p.loop", "SOON-3"))
    done = loopcheck("fuzz", "--driver", driver, "--runs", 24, "--expect", file)
    assert (done.returncode, "all of them known" in done.stdout) == (0, True), done.stdout
    done = loopcheck("replay", "--driver", driver, program, "--expect", file)
    assert (done.returncode, "on purpose" in done.stdout) == (0, True), done.stdout
    file.write_text(entry.format("*", "SOON-1"))
    done = loopcheck("replay", "--driver", driver, program, "--expect", file)
    assert (done.returncode, "SOON-3 unexpected" in done.stdout) == (1, True), done.stdout
    file.write_text(entry.format("*", "SOON-333"))
    done = loopcheck("fuzz", "--driver", driver, "--runs", 24, "--expect", file)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no rule 'SOON-333'" in done.stderr


def test_a_finding_is_shrunk_and_replayed(tmp_path: Path) -> None:
    driver = build("TWICE", tmp_path)
    assert loopcheck("fuzz", "--driver", driver, "--runs", 24, "--save", tmp_path / "out").returncode == 1
    stored = next((tmp_path / "out").glob("*soon-3.loop"))
    assert "rule: SOON-3" in stored.read_text()
    assert len([line for line in stored.read_text().splitlines() if not line.startswith("#")]) <= 2
    done = loopcheck("replay", "--driver", driver, stored)
    assert done.returncode == 1
    assert "SOON-3" in done.stdout


def test_the_reference_loop_is_the_control(tmp_path: Path) -> None:
    driver, calm = build("TWICE", tmp_path), build("CALM", tmp_path)
    shutil.copy(calm, tmp_path / REFERENCE)
    done = loopcheck("fuzz", "--driver", driver, "--runs", 24)
    assert (done.returncode, "beside it that of the reference loop" in done.stdout) == (1, True), done.stdout
    shutil.copy(driver, tmp_path / REFERENCE)
    done = loopcheck("fuzz", "--driver", driver, "--runs", 24)
    assert (done.returncode, "the control does so too: SOON-3" in done.stdout) == (0, True), done.stdout
    (tmp_path / REFERENCE).write_text("no ELF file")
    done = loopcheck("fuzz", "--driver", driver, "--runs", 24)
    assert (done.returncode, "beside it" in done.stdout) == (1, False), done.stdout


def test_virtual_time_creeps(tmp_path: Path) -> None:
    try:
        shim.library()
    except Unusable as error:
        pytest.skip(str(error))
    done = loopcheck("fuzz", "--driver", build("STRICT", tmp_path), "--runs", 24, "--virtual-time")
    assert (done.returncode, "0 findings" in done.stdout) == (0, True), done.stdout
