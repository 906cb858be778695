# real clock: a reproducer says every op of a program in plain asyncio, and finds no defect in asyncio itself.
from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from loopcheck import _contract as c
from loopcheck import driver, paths, reproduce
from loopcheck.findings import Finding, Signature
from loopcheck.load import Spec
from loopcheck.rules import Rules

CONTROL = Spec.parse("asyncio:SelectorEventLoop")
RULES = Rules.load(paths.rules_file())
UNWRITTEN = {  # their programs have no script
    c.OP_LISTEN,
    c.OP_CLIENT,
    c.OP_BACKLOG,
    c.OP_CONNECT,
    c.OP_ACCEPT,
    c.OP_RECV,
    c.OP_SENDALL,
    c.OP_WRITELINES,
    c.OP_SWITCH,
    c.OP_TASK,
    c.OP_DROP,
    c.OP_GC,
}
EVERY_OP = """
pair f1 f2
tcp f3 f4
pair f5 f6
pair f7 f8
soon c1
on c1: soon c2
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
    ops = [bytes(program[at : at + c.OP_BYTES]) for at in range(0, len(program), c.OP_BYTES)]
    return b"".join(op for op in ops if op[0] not in UNWRITTEN)


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(text)
    command = [sys.executable, str(folder / "script.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_every_op_has_a_writer() -> None:
    assert set(reproduce.WRITERS) == set(range(1, c.OP_PROGRAM_END)) - UNWRITTEN


def test_every_op_runs(tmp_path: Path) -> None:
    program = c.parse(EVERY_OP)
    used = {program[at] for at in range(0, len(program), c.OP_BYTES)}
    assert used == set(range(1, c.OP_PROGRAM_END)) - {c.OP_FAULT} - UNWRITTEN
    finding = finding_of(program)
    accepted = {code for code, _ in reproduce.asked(finding.records)[0]}
    assert used - accepted <= {c.OP_STEP, c.OP_RUN, c.OP_ADVANCE}, [reproduce.op_name(op) for op in used - accepted]
    done = run(reproduce.script(finding, CONTROL, CONTROL, RULES), tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "WRONG" not in done.stdout
    for line in (
        "c1: called",
        "t1: called",
        "w1: writer",
        "p1: called",
        "s1: connection made, data 5",
        "f2: data 2",
        "d1: connection made, datagram: data 3",
        "d2 errors: Conn",
    ):
        assert line in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("family", "seed"),
    [*((c.FAMILY_LOOP, seed) for seed in range(0, 40, 4)), (c.FAMILY_DATAGRAMS, 4)],
)
def test_no_false_alarm(family: int, seed: int, tmp_path: Path) -> None:
    finding = finding_of(without_delays(seed, family))
    text = reproduce.script(finding, CONTROL, CONTROL, RULES)
    ast.parse(text)
    assert "loopcheck" not in text
    done = run(text, tmp_path)
    assert (done.returncode, done.stderr, "WRONG" in done.stdout) == (0, "", False), done.stdout


def test_only_what_is_needed() -> None:
    text = reproduce.script(finding_of(c.parse("soon c1\nstep\n")), CONTROL, CONTROL, RULES)
    for name in ("class Stream", "class Bytes", "def tcp", "def reset", "import socket", "import struct"):
        assert name not in text, name
    assert text.count("\n") < 180
