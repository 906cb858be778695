# real clock: a campaign finds what is planted in a loop, makes it small, and proves it with a script of its own.
from __future__ import annotations

import errno
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from loopcheck import _contract as c
from loopcheck import paths
from loopcheck.batch import Ran, judgement_of
from loopcheck.expect import Deviation, Expectations
from loopcheck.findings import Finding, Signature, missing
from loopcheck.fuzz_report import reason_for
from loopcheck.watch import Ending

HERE = Path(__file__).parent
BROKEN = paths.conformance_dir() / "broken_loops"
CONTROL = "asyncio:SelectorEventLoop"
# broken loop -> the rule by which a campaign finds it, and how many ops its smallest program may have
FOUND = {
    "soon_is_last_in_first_out": ("SOON-1", 3),
    "reader_called_at_once": ("FD-1", 3),
    "timer_ignores_cancel_when_due": ("TIMER-3", 8),
    "connection_lost_twice": ("STREAM-1", 5),
}


def planted(name: str) -> str:
    """A loop of fuzzed_loops.py."""
    return f"{HERE / 'fuzzed_loops.py'}:{name}"


def loopcheck(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does; it never ends in a traceback."""
    command = [sys.executable, "-m", "loopcheck", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=env)
    assert "Traceback" not in done.stderr, done.stdout + done.stderr
    return done


def fuzz(loop: str, folder: Path, *arguments: object, runs: int = 96) -> subprocess.CompletedProcess[str]:
    """A short campaign that saves what it finds in the folder."""
    return loopcheck("fuzz", loop, "--runs", runs, "--save", folder, *arguments)


def stored(folder: Path, name: str) -> tuple[Path, list[str]]:
    """The stored program whose file name ends so, and its ops."""
    file = next(iter(sorted(folder.glob(f"*-{name}.loop"))))
    return file, [line for line in file.read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", FOUND)
def test_finds_a_broken_loop(name: str, tmp_path: Path) -> None:
    rule, ops_max = FOUND[name]
    loop = f"{BROKEN / name}.py:new_event_loop"
    done = fuzz(loop, tmp_path, runs=128)
    assert done.returncode == 1, done.stdout + done.stderr
    file, ops = stored(tmp_path, rule.lower())
    assert len(ops) <= ops_max, ops
    assert f"rule: {rule}" in file.read_text()
    section = re.split(r"\n(?=\d+\. )", done.stdout[done.stdout.index(f"{rule}  ") :])[0]
    assert "again 5 of 5 times" in section
    assert "verified 5 of 5" in section
    assert loopcheck("replay", loop, file).returncode == 1
    script = subprocess.run([sys.executable, file.with_suffix(".py")], capture_output=True, text=True, timeout=60)
    assert (script.returncode, "the defect shows" in script.stdout) == (1, True), script.stdout
    assert "loopcheck" not in file.with_suffix(".py").read_text().replace(str(BROKEN), "")


def test_a_crash_is_told_apart_from_its_batch(tmp_path: Path) -> None:
    done = fuzz(planted("Crashes"), tmp_path)
    file, ops = stored(tmp_path, "kit-1")
    assert (done.returncode, "SIGSEGV" in done.stdout) == (1, True)
    assert [op.split()[0] for op in ops] in (["pair", "watch", "cancel"], ["pair", "watch"], ["backlog", "connect"])
    assert "verified 5 of 5" in done.stdout
    assert "96 programs" in done.stdout  # the rest of each batch ran all the same
    assert (
        "status -11" in subprocess.run([sys.executable, file.with_suffix(".py")], capture_output=True, text=True).stdout
    )


def test_a_hang_is_told_apart_from_its_batch(tmp_path: Path) -> None:
    done = fuzz(planted("Hangs"), tmp_path, runs=16)
    assert done.returncode == 1
    assert re.search(r"\d\. HANG ", done.stdout), done.stdout
    assert "16 programs" in done.stdout
    ops = next(iter(sorted(tmp_path.glob("*.loop")))).read_text()
    assert ops.count("\n") <= 5, ops


def test_every_program_dies(tmp_path: Path) -> None:
    done = fuzz(planted("Dies"), tmp_path, runs=24)
    assert (done.returncode, "SIGSEGV" in done.stdout) == (1, True)


def test_same_seed_same_findings(tmp_path: Path) -> None:
    loop = f"{BROKEN / 'soon_is_last_in_first_out.py'}:new_event_loop"
    seen = []
    for folder in ("one", "two", "three"):
        fuzz(loop, tmp_path / folder, "--seed", 8 if folder == "three" else 7, runs=16)
        seen.append({file.name: file.read_text() for file in (tmp_path / folder).glob("*.loop")})
    assert seen[0] == seen[1] != {}
    assert seen[0] != seen[2]


def test_a_difference_of_which_no_rule_speaks(tmp_path: Path) -> None:
    alone = fuzz(planted("Refuses"), tmp_path / "alone")
    assert (alone.returncode, "0 findings" in alone.stdout) == (0, True), alone.stdout
    done = fuzz(planted("Refuses"), tmp_path / "both", "--against", CONTROL, runs=256)
    assert done.returncode == 1
    assert "the loop refuses it, the control takes it" in done.stdout
    assert "verified 5 of 5" in done.stdout
    kept = [file.read_text().splitlines()[1:] for file in (tmp_path / "both").glob("*-diff.loop")]
    assert ["pair", "watch"] in [[op.split()[0] for op in ops] for ops in kept]


def test_the_control_does_not_differ_from_itself(tmp_path: Path) -> None:
    done = fuzz(CONTROL, tmp_path, "--against", "asyncio:new_event_loop", runs=256)
    assert (done.returncode, "0 findings" in done.stdout) == (0, True), done.stdout


def test_a_loud_defect_hides_no_other(tmp_path: Path) -> None:
    done = fuzz(planted("Loud"), tmp_path, runs=704)
    assert "masked: " in done.stdout
    assert {"SOON-3", "FD-1"} <= set(re.findall(r"^\d+\. FAIL (\S+) ", done.stdout, re.MULTILINE)), done.stdout


def test_what_random_programs_may_show_is_known(tmp_path: Path) -> None:
    shutil.copytree(paths.conformance_dir(), tmp_path / "conformance", ignore=shutil.ignore_patterns("expect"))
    (tmp_path / "contract").symlink_to(paths.rules_file().parent)
    expect = tmp_path / "conformance" / "expect" / "fuzzed_loops.toml"
    expect.parent.mkdir()
    entry = 'case = "test_programs.py::test_random_*"\nverdict = ["PASS", "CRASH"]\nrule = "*"\nreason = "it dies"'
    env = {**os.environ, "LOOPCHECK_ROOT": str(tmp_path), "PYTHONPATH": str(HERE)}
    for text, known, status in ((f"[[deviation]]\n{entry}\n", True, 0), ("", False, 1)):
        expect.write_text(text)
        done = loopcheck("fuzz", "fuzzed_loops:Dies", "--runs", 4, env=env)
        assert ("all of them known" in done.stdout, done.returncode) == (known, status), done.stdout


def test_what_a_loop_owed_when_it_fell_asleep_though_a_signal_woke_it() -> None:
    soon, ms = c.KIND_SOON << 12 | 1, 1_000_000
    told = [
        (0, c.WHAT_OPEN, 0, 0),
        (1, c.WHAT_OP, c.OP_SOON, soon),
        (2, c.WHAT_STEP, 0, 0),
        (4000, c.WHAT_STEPPED, 0, 0),
        (4001, c.WHAT_OP, c.OP_CANCEL, soon),
        (4002, c.WHAT_CLOSED, 0, 0),
    ]
    records = b"".join(
        struct.pack("<QQIiHHBBBB", time_ms * ms, 0, seq, 0, handle, 0, what, code, 0, 0)
        for seq, (time_ms, what, code, handle) in enumerate(told, 1)
    )
    for limit, rule in (("run", "SOON-5"), ("", "")):
        judgement = judgement_of(records, Ending(limit=limit))
        assert (judgement["owed_rule"], judgement["violations"]) == (rule, [])


def finding(verdict: str, rule: str) -> Finding:
    return Finding(Signature(verdict, rule, "it does"), "it does", seed=1, number=1)


def test_known_only_with_all_that_it_shows() -> None:
    known = Expectations(deviations=[Deviation("test_programs.py::test_random_*", ("FAIL",), "SOON-1", "the newest")])
    one = finding("FAIL", "SOON-1")
    assert reason_for(one, known) == "the newest"
    one.also = [finding("WARN", "TIMER-2")]
    assert reason_for(one, known) == "the newest"
    one.also = [finding("FAIL", "SOON-2")]
    assert reason_for(one, known) == ""


def test_a_campaign_that_is_ended_tells_what_it_found(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loopcheck", "fuzz", planted("Loud"), "--runs", "96", "--save", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    while "shrinking and repeating" not in (line := process.stdout.readline()):
        assert line, "it ended before it was asked to"
    process.terminate()
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 130, told
    assert re.search(r"^[1-9]\d* findings?; in \d+ s", told, re.MULTILINE), told
    assert list(tmp_path.glob("*.loop"))


def test_what_is_missing_is_no_finding(tmp_path: Path) -> None:
    done = fuzz(planted("Mute"), tmp_path)
    assert (done.returncode, "MISSING: stream is not implemented" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize(
    ("code", "capability", "word"),
    [(c.OP_LISTEN, c.CAP_SERVER, "listen"), (c.OP_RECV, c.CAP_REQUEST, "recv"), (c.OP_TASK, c.CAP_TASK, "task")],
)
def test_what_a_driver_vows_and_refuses_is_a_finding(code: int, capability: int, word: str) -> None:
    refused = Ran(b"", struct.pack("<QQIiHHBBBB", 0, 0, 1, -errno.ENOSYS, 0x8001, 0, c.WHAT_OP, code, 0, 0))
    (vowed,) = missing(refused, {"capabilities": capability})
    assert (vowed.verdict, f"can do {word}, and refuses it" in vowed.shape) == ("FAIL", True)
    assert [*missing(refused, {})] == [Signature("MISSING", "", f"{word} is not implemented")]


def test_arguments() -> None:
    for arguments in (
        (),
        (CONTROL, "--driver", "x.so"),
        ("--driver", "x.so", "--against", CONTROL),
        ("asyncio", "--runs", 1),
        (CONTROL, "--runs", 0),
        ("no_such_module:loop", "--runs", 1),
    ):
        done = loopcheck("fuzz", *arguments)
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), (arguments, done.stderr)
