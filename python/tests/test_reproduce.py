# real clock: a reproducer says every op of a program in plain asyncio, and finds no defect in asyncio itself.
from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from loopcheck import _contract as c
from loopcheck import driver, paths, reproduce
from loopcheck.findings import Finding, Signature, op_name
from loopcheck.load import Spec
from loopcheck.rules import Rules

CONTROL = Spec.parse("asyncio:SelectorEventLoop")
NETWORK = (c.FAMILY_DATAGRAMS, c.FAMILY_SERVERS, c.FAMILY_CONNECTS, c.FAMILY_REQUESTS, c.FAMILY_EXITS)
RULES = Rules.load(paths.rules_file())
ON_HANDLES = """
pair f1 f2
tcp f3 f4
pair f5 f6
pair f7 f8
soon c1
on c1: soon c2
edge t3 inf
edge t4 -1s
timer t1 2ms
at t2 2ms
watch w1 f5 in+out
waker p1
stream s1 f1
stream s2 f3
stream s3 f4
step
step
post p1
post p1 500us
limits s1 5
write s1 100
pause s2
write s3 10
resume s2
write_eof s1
put f2 5
take f2 2
shut f2
on w1.ready: cancel w1
run 2
rearm c1
rearm t1
on c1: raise 1
on c1: stop
step
recycle f5
fill f8
hangup f7
close s2
abort s3
rst f2
destroy t2
advance 2ms
step poll
destroy s1
udp f9 f10
udp f11 f12
datagram d1 f9
datagram d2 f11
step
step
send d1 5
send d1
send d1 65508
take f10
on d1.datagram: send d1 7
put f10 3
put f10 4
fill f12
step
step
hangup f12
send d2 9
step
on d2.datagram: abort d2
step
close d1
step
"""

ON_SOCKETS = """
listen l1 s5 2
client f1 l1
on l1.factory: gc
step
step
put f1 5
step
write s5 7
writelines s5 100
on s5.data: set_protocol s5
put f1 5
step
put f1 5
step
backlog f2
connect s1 f2
on s1.done: write s1 3
step
step
accept f3 f2
step
put f3 4
step
connect s2 f2
cancel s2
step
hangup f2
connect s3 f2
step
step
pair f5 f6
recv q1 f5 100
put f6 5
step
sendall q2 f5 1000
step
recv q3 f5 9
cancel q3
step
task q4 3
step
step
task q5 5
cancel q5
drop q4
soon c1
drop c1
step
pair f7 f8
stream s7 f7 buffered
step
on s7.get_buffer: gc
put f8 9000
step
step
step
canary k1
soon c2
on c2: raise 3
step
step
"""
PROGRAMS = {
    ON_HANDLES: (
        "c1: called",
        "t1: called",
        "w1: writer",
        "p1: called",
        "s1: connection made, data 5",
        "f2: data 2",
        "d1: connection made, datagram: data 3",
        "d2 errors: Conn",
    ),
    ON_SOCKETS: (
        "l1: factory called",
        "s5: connection made, data 15",
        "f1: data 107",
        "s1: connection made, done, data 4",
        "f3: data 3",
        "s2: cancelled",
        "s3: failed: ConnectionRefusedError",
        "q1: done: data 5",
        "q2: done",
        "q3: cancelled",
        "q4: done",
        "q5: cancelled",
        "s7: connection made, data 9000",
    ),
}


def finding_of(program: bytes) -> Finding:
    """A finding as the campaign makes one, of a program that runs on asyncio."""
    trace = c.Trace(bytearray(1 << 20))
    c.run(program, driver.AsyncioDriver(__import__("asyncio").SelectorEventLoop), trace, 0)
    records = c.runs(trace)[0][1]
    return Finding(Signature("FAIL", "STREAM-1", ""), "seen", 0, 0, [program], 1, records=records)


def without_delays(seed: int, family: int) -> bytes:
    """A random program that can be written, and does not depend on how fast the machine is."""
    program = bytearray(c.generate(seed, driver.AsyncioDriver.capabilities, 0, driver.TICK_NS, family))
    for at in range(0, len(program), c.OP_BYTES):
        if program[at] == c.OP_POST:
            program[at + 6 : at + 8] = bytes(2)
    return bytes(program)


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(text)
    command = [sys.executable, str(folder / "script.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_time_passes_as_little_as_in_the_runner() -> None:
    hour, tick = (reproduce.Op(c.parse(f"advance {ms}ms\n")) for ms in (3_600_000, 2))
    advance = reproduce.WRITERS[c.OP_ADVANCE]
    assert [advance(None, hour), advance(None, tick)] == [["time.sleep(0.02)"], ["time.sleep(0.002)"]]


def test_every_op_has_a_writer() -> None:
    assert set(reproduce.WRITERS) == set(range(1, c.OP_PROGRAM_END))


def test_every_op_is_called_by_its_word() -> None:
    words = [op_name(code) for code in range(1, c.OP_PROGRAM_END)]
    assert not [word for word in words if " " in word]
    assert len(set(words)) == len(words)


def test_the_page_on_programs_shows_every_op() -> None:
    page = (Path(__file__).parents[2] / "corpora" / "README.md").read_text("utf-8")
    shown = [
        op for line in page.splitlines() if line.startswith("| `") for op in re.findall("`(.+?)`", line.split("|")[1])
    ]
    assert c.format(c.parse("\n".join(shown))).splitlines() == shown
    assert {op.split()[0] for op in shown} == {op_name(code) for code in range(1, c.OP_PROGRAM_END)}


def test_every_op_is_run() -> None:
    used = {c.parse(text)[at] for text in PROGRAMS for at in range(0, len(c.parse(text)), c.OP_BYTES)}
    assert used == set(range(1, c.OP_PROGRAM_END)) - {c.OP_FAULT}


@pytest.mark.parametrize("text", PROGRAMS, ids=["handles", "sockets"])
def test_every_op_runs(text: str, tmp_path: Path) -> None:
    finding = finding_of(c.parse(text))
    used = {op for at in range(0, len(finding.program), c.OP_BYTES) if (op := finding.program[at]) != c.OP_WRITELINES}
    accepted = {code for code, _ in reproduce.asked(finding.records)[0]}
    assert used - accepted <= {c.OP_STEP, c.OP_RUN, c.OP_ADVANCE}, [op_name(op) for op in used - accepted]
    done = run(reproduce.script(finding, CONTROL, CONTROL, RULES), tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "WRONG" not in done.stdout
    for line in PROGRAMS[text]:
        assert line in done.stdout, f"{line} in {done.stdout}"


@pytest.mark.parametrize(
    ("family", "seed"),
    [*((c.FAMILY_LOOP, seed) for seed in range(0, 40, 4)), *((family, seed) for family in NETWORK for seed in (4, 5))],
)
def test_no_false_alarm(family: int, seed: int, tmp_path: Path) -> None:
    finding = finding_of(without_delays(seed, family))
    text = reproduce.script(finding, CONTROL, CONTROL, RULES)
    ast.parse(text)
    assert "loopcheck" not in text
    done = run(text, tmp_path)
    assert (done.returncode, done.stderr, "WRONG" in done.stdout) == (0, "", False), done.stdout


def test_callbacks_of_flow_control_in_which_something_is_asked() -> None:
    text = "pair f1 f2\nstream s1 f1\nstep\non s1.{}: write s1 3\nlimits s1 64\nfill f1\nwrite s1 300\nstep\n"
    scripts = [
        reproduce.script(finding_of(c.parse(text.format(event))), CONTROL, CONTROL, RULES)
        for event in ("data", "pause_writing")
    ]
    assert ["def pause_writing" in script for script in scripts] == [False, True]


def test_only_what_is_needed() -> None:
    text = reproduce.script(finding_of(c.parse("soon c1\nstep\n")), CONTROL, CONTROL, RULES)
    for name in ("class Stream", "class Bytes", "def tcp", "def reset", "import socket", "import struct"):
        assert name not in text, name
    assert text.count("\n") < 180


def test_canary_is_missed(tmp_path: Path) -> None:
    """A loop that closes an fd twice shows it in the script, and the control shows nothing."""
    broken = Spec.parse(f"{paths.conformance_dir()}/broken_loops/closes_an_fd_twice.py:new_event_loop")
    program = "pair f1 f2\nstream s1 f1\nstep\nabort s1\nstep\nstep poll\ncanary k1\ntimer t1 20ms\nstep\n"
    text = reproduce.script(finding_of(c.parse(program)), broken, CONTROL, RULES)
    done = run(text, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.count("k1: WRONG: the loop has closed a file that was never its own") == 1, done.stdout
