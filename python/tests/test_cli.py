# real clock: the command line keeps its contract: exit status, one sentence for what is wrong, files, filters.
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import loopcheck as loopcheck_package
import pytest
from two_cases import hostile_spec, make_root

SCHEMA = Path(loopcheck_package.__file__).parent / "results.schema.json"
TOP = ["loopcheck", "python", "exit_status", "notes", "unexpected", "verdicts"]
KEYS = ["loop", "case", "rule", "area", "level", "verdict", "detail", "seconds"]
ASYNCIO = "asyncio:new_event_loop"
BROKEN = """
import asyncio
class twice(asyncio.SelectorEventLoop):
    def call_soon(self, *args, **options):
        super().call_soon(*args, **options)
        return super().call_soon(*args, **options)
"""
EXPECT = '[[deviation]]\ncase = "*::test_{}"\nverdict = "FAIL"\nrule = "SOON-3"\nreason = "it calls twice"\n'
PROGRAM = """
from loopcheck import _contract
from loopcheck.programs import run_programs
from loopcheck.kit import case

@case("SOON-5")
def test_program(kit):
    run_programs(kit, [_contract.parse("timer t1 0ns\\nsoon c1\\nstep\\n")])
"""
WRONG = """
@case("SOON-6")
def test_wrong(kit):
    kit.soon(dict)
    kit.run_for(0)
    kit.fail("wrong", rule="SOON-3")
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kit with three cases, of which no run has the vacuous one, and a current directory of its own."""
    make_root(tmp_path)
    source = (tmp_path / "conformance" / "test_two.py").read_text()
    (tmp_path / "conformance" / "test_two.py").write_text(source.split('@case("SOON-6")')[0])
    (tmp_path / "broken.py").write_text(BROKEN)
    monkeypatch.setenv("LOOPCHECK_ROOT", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loopcheck(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    command = [sys.executable, "-m", "loopcheck", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def results(*arguments: str) -> dict[str, Any]:
    """The JSON that a check prints."""
    return json.loads(loopcheck("check", *arguments, "--json", "-").stdout)  # type: ignore[no-any-return]


def test_all_as_expected() -> None:
    done = loopcheck("check", ASYNCIO)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 verdicts (2 PASS): all as expected" in done.stdout
    assert "no expect file applies" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json_has_eight_keys_a_verdict_and_more() -> None:
    found = results(ASYNCIO, hostile_spec("exit_zero"))
    assert [key for key in found if key in TOP] == TOP
    assert [list(verdict)[:8] for verdict in found["verdicts"]] == [KEYS] * 4
    assert ["trace" in verdict for verdict in found["verdicts"]] == [False, False, True, False]
    assert found["verdicts"][2]["control"]["verdict"] == "PASS"
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    assert [verdict["verdict"] for verdict in found["verdicts"]] == ["PASS", "PASS", "CRASH", "PASS"]
    assert found["exit_status"] == 1
    assert len(found["unexpected"]) == 1


def test_unexpected_failure_and_how_to_repeat_it() -> None:
    done = loopcheck("check", "broken.py:twice", "--expect", "none")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    again = next(line for line in lines if line.strip().startswith("again")).split(None, 1)[1]
    assert again == "loopcheck check broken.py:twice -k test_two.py::test_wild"
    repeated = loopcheck(*again.split()[1:])
    assert repeated.returncode == 1
    assert "1 verdict (1 FAIL): 1 unexpected" in repeated.stdout


def test_expected_failure_and_stale_one(root: Path) -> None:
    (root / "known.toml").write_text(EXPECT.format("wild") + EXPECT.format("calm"))
    found = results("broken.py:twice", "--expect", "known.toml")
    assert [verdict["verdict"] for verdict in found["verdicts"]] == ["FAIL", "FAIL"]
    assert found["exit_status"] == 0
    assert "known.toml (2 entries)" in found["notes"][0]
    stale = results(hostile_spec("hang"), "-k", "calm", "--expect", "known.toml")
    assert stale["exit_status"] == 1
    assert stale["verdicts"][0]["verdict"] == "STALE"


def test_entry_about_no_case_is_noted_in_a_whole_run(root: Path) -> None:
    (root / "known.toml").write_text(EXPECT.format("gone"))
    assert "no case is like" in results(ASYNCIO, "--expect", "known.toml")["notes"][-1]
    assert "no case is like" not in results(ASYNCIO, "-k", "calm", "--expect", "known.toml")["notes"][-1]


def test_shipped_expectations_apply(root: Path) -> None:
    text = EXPECT.format("wild")
    (root / "conformance" / "expect" / "mine.toml").write_text(text)
    (root / "mine.py").write_text(BROKEN)
    found = results("mine:twice", "-k", "wild")
    assert found["exit_status"] == 0
    assert "conformance/expect/mine.toml (1 entry)" in found["notes"][0]
    assert "no expect file applies" in results("mine.py:twice", "-k", "wild")["notes"][0]


def test_control_tells_the_kits_fault(root: Path) -> None:
    file = root / "conformance" / "test_two.py"
    file.write_text(file.read_text() + WRONG)
    for loop in (ASYNCIO, hostile_spec("hang")):
        done = loopcheck("check", loop, "-k", "wrong")
        assert done.returncode == 3
        assert done.stderr.startswith("loopcheck: the kit itself failed: the control asyncio:new_event_loop fails")
    (root / "conformance" / "expect" / "asyncio.toml").write_text(EXPECT.format("wrong"))
    assert loopcheck("check", ASYNCIO).returncode == 0
    assert loopcheck("check", ASYNCIO, "--expect", "none").returncode == 1
    assert loopcheck("check", hostile_spec("hang"), "-k", "wrong").returncode == 1


def test_plain_stdlib_is_vacuous() -> None:
    found = results(hostile_spec("plain"))
    assert [verdict["verdict"] for verdict in found["verdicts"]] == ["VACUOUS"] * 2
    assert found["exit_status"] == 1
    assert results(hostile_spec("patched"))["exit_status"] == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nosuch:x"], "there is no module 'nosuch'"),
        (["nosuch.py:x"], "there is no file nosuch.py"),
        (["x"], "write module:factory or file.py:factory"),
        ([ASYNCIO, "--rule", "SOON-55"], "there is no rule 'SOON-55'; near it: SOON-5"),
        ([ASYNCIO, "-k", "nosuch"], "none of the 2 cases is selected by -k nosuch"),
        ([ASYNCIO, "--expect", "nosuch.toml"], "nosuch.toml: No such file"),
        ([ASYNCIO, "--json", "no/such/dir.json"], "no/such/dir.json cannot be written"),
        ([ASYNCIO, "--junit", "/"], "/ cannot be written"),
        ([ASYNCIO, "--report", "broken.py"], "broken.py cannot be made"),
        ([ASYNCIO, "--timeout", "0"], "--timeout"),
        ([ASYNCIO, "-n", "0"], "-n"),
        ([ASYNCIO, "--nosuch"], "--nosuch"),
        ([], "LOOP"),
    ],
)
def test_unusable_arguments(arguments: list[str], word: str) -> None:
    done = loopcheck("check", *arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stderr.startswith("loopcheck: ")
    assert done.stderr.count("\n") == 1


def test_unusable_loop_loses_no_verdict_of_another() -> None:
    done = loopcheck("check", hostile_spec("raising"), ASYNCIO, "--json", "results.json")
    assert done.returncode == 2
    assert "calling it raised RuntimeError: no loop today" in done.stderr
    found = json.loads(Path("results.json").read_text())
    assert [verdict["verdict"] for verdict in found["verdicts"]] == ["PASS", "PASS"]
    assert found["exit_status"] == 2


def test_broken_kit_is_the_kits_fault(root: Path) -> None:
    (root / "conformance" / "test_bad.py").write_text("import nosuch")
    done = loopcheck("check", ASYNCIO)
    assert done.returncode == 3
    assert "the kit itself failed: the case file test_bad.py cannot be imported" in done.stderr
    assert "Traceback" not in done.stderr


def test_files(root: Path) -> None:
    loopcheck("check", hostile_spec("segfault"), "--junit", "junit.xml", "--report", "out/report")
    suite = ET.parse("junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    summary = Path("out/report/summary.md").read_text()
    assert "### CRASH SOON-5: `test_two.py::test_wild`" in summary
    assert "replay: `loopcheck check " in summary
    assert json.loads(Path("out/report/results.json").read_text())["exit_status"] == 1
    trace = f"out/report/index.html#{hostile_spec('segfault')}/test_two.py::test_wild"
    assert trace in (suite.findtext("testcase/failure") or "")
    assert f'id="{trace.partition("#")[2]}"' in Path("out/report/index.html").read_text()


def test_page_of_several_checks() -> None:
    loopcheck("check", ASYNCIO, "--json", "one.json")
    loopcheck("check", hostile_spec("segfault"), "--json", "two.json")
    done = loopcheck("page", "one.json", "two.json", "-o", "both.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "4 verdicts on 2 loops: 1 unexpected" in Path("both.html").read_text()
    wrong = loopcheck("page", "one.json", "broken.py")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "broken.py:2: this is not JSON" in wrong.stderr
    assert loopcheck("page", "one.json", "-o", "no/such/page.html").returncode == 2


def test_program_that_breaks_a_rule_is_kept(root: Path) -> None:
    (root / "conformance" / "test_programs.py").write_text(PROGRAM)
    found = results("broken.py:twice", "-k", "test_program", "--expect", "none")["verdicts"][0]
    assert found["program"].splitlines()[0] == "soon c1"
    assert "is broken" in found["trace"]
    assert found["rule"] == "SOON-3"
    assert found["cites"] == "SOON-5"
    assert "open program 0" in found["control"]["trace"]


def test_interrupt_keeps_what_there_is(root: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "loopcheck",
        "check",
        ASYNCIO,
        hostile_spec("hang"),
        "--json",
        "part.json",
        "-n",
        "1",
    ]
    process = subprocess.Popen([*command, "--timeout", "60"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while f"{ASYNCIO}: done" not in process.stdout.readline():
        pass
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    found = json.loads(Path("part.json").read_text())
    assert process.returncode == found["exit_status"] == 130
    assert len(found["verdicts"]) == 2
    assert "interrupted: 2 of 4 cases" in found["notes"][-1]


def test_rules() -> None:
    done = loopcheck("rules", "soon-6")
    assert done.returncode == 0
    assert "SOON-6 SHOULD  unproven" in done.stdout
    assert "sources: PEP 3156" in done.stdout
    assert loopcheck("rules", "scheduling").stdout.count("SOON-") >= 2
    wrong = loopcheck("rules", "SOON-66")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_replay(root: Path) -> None:
    (root / "p.loop").write_text("soon c1\nstep\n")
    done = loopcheck("replay", ASYNCIO, "p.loop")
    assert done.returncode == 0, done.stderr
    assert "c1" in done.stdout
    assert "1 verdict (1 PASS)" in done.stdout
    broken = loopcheck("replay", ASYNCIO, "broken.py:twice", "p.loop")
    assert broken.returncode == 1
    assert "again loopcheck replay broken.py:twice p.loop" in broken.stdout
    (root / "p.loop").write_text("soon c1\nnonsense\n")
    wrong = loopcheck("replay", ASYNCIO, "p.loop")
    assert wrong.returncode == 2
    assert "p.loop:2: " in wrong.stderr
