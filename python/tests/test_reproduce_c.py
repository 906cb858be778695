# real clock: a reproducer for libuv sees, handle by handle, what the driver's trace has; it shows a planted defect, and
# nothing where there is none.
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopcheck import _contract as c
from loopcheck import driver, paths, reproduce_c, reproduce_libuv
from loopcheck.batch import CONFIRM, run_alone
from loopcheck.edges import EDGES
from loopcheck.findings import Finding, Signature
from loopcheck.load import Spec
from loopcheck.reproduce_story import Story
from loopcheck.rules import Rules
from loopcheck.supervisor import Options, Server

ROOT = Path(__file__).parents[2]
LIBUV = reproduce_libuv.LIBRARY
RULES = Rules.load(paths.rules_file())
COMPILER = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
HAS_LIBUV = (
    bool(COMPILER)
    and not subprocess.run(
        [COMPILER, "-xc", "-", "-luv", "-o", os.devnull],
        input=b"#include <uv.h>\nint main(void) { return 0; }",
        check=False,
    ).returncode
)
pytestmark = pytest.mark.skipif(not HAS_LIBUV, reason="no C compiler, or no libuv")

ON_HANDLES = """
pair f1 f2
tcp f3 f4
pair f5 f6
pair f7 f8
soon c1
on c1.soon: soon c2
timer t1 2ms
at t2 2ms
watch w1 f5 in+out
waker p1
on w1.ready: cancel w1
stream s1 f1
stream s2 f3
step
step
post p1
post p1 500us
step
write s1 100
pause s2
put f4 7
step poll
resume s2
step
write_eof s1
take f2 40
put f2 5
step
shut f2
step
run 2
rearm c1
on c1.soon: stop
run 3
recycle f5
fill f8
take f7
hangup f7
rst f4
destroy t2
advance 1ms
step poll
destroy s1
edge t3 inf
edge t4 huge
edge t5 -0
edge t6 tiny
edge t7 nan
edge t8 -1s
edge t9 -inf
on t6.timer: cancel t3
step
step
"""
ON_SOCKETS = """
listen l1 s5 2
client f1 l1
on s5.made: write s5 9
step
step
put f1 5
step
destroy l1
step
client f9 l1
backlog f2
connect s1 f2
step
accept f3 f2
step
put f3 4
step
hangup f2
connect s3 f2
step
step
udp f4 f5
udp f6 f7
datagram d1 f4
datagram d2 f6
put f5 3
put f5 0
step
step
send d1 5
take f5 1
fill f7
step
hangup f7
send d2 9
step
step
"""
STORED = ("watchers/0001-remove-in-own-callback", "streams/0013-pause-in-data")
DEAF = """
#include <stdlib.h>
#include <uv.h>
int uv_read_stop(uv_stream_t *stream) { (void)stream; return 0; }
int uv_async_send(uv_async_t *async) { (void)async; abort(); }
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver of libuv as a shared object."""
    target = tmp_path_factory.mktemp("driver") / "loopcheck_libuv.so"
    sources = [ROOT / "fuzz/drivers/shared.c", *(ROOT / "fuzz/drivers").glob("libuv*.c")]
    flags = ["-std=gnu11", "-shared", "-fPIC", f"-I{ROOT / 'contract'}", f"-I{ROOT / 'fuzz'}", "-DDRIVER=driver_libuv"]
    subprocess.run([COMPILER, *flags, *sources, "-luv", "-o", target], check=True, timeout=60)
    return target


@pytest.fixture(scope="module")
def server(shared: Path) -> Iterator[Server]:
    with Server(Spec.driver(str(shared)), Options()) as server:
        server.start()
        server.look()
        yield server


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A libuv that goes on reading, and whose posts end the process: what to preload for it."""
    source = tmp_path_factory.mktemp("planted") / "deaf.c"
    source.write_text(DEAF)
    subprocess.run([COMPILER, "-shared", "-fPIC", source, "-o", source.with_suffix(".so")], check=True, timeout=60)
    return str(source.with_suffix(".so"))


def finding_of(program: bytes, records: bytes = b"", rule: str = "STREAM-6", sentence: str = "s1 was wrong") -> Finding:
    return Finding(Signature("FAIL", rule, ""), sentence, 0, 0, [program], 1, records=records)


def compiled(text: str, folder: Path) -> Path:
    """The reproducer as a program, compiled without a warning."""
    (folder / "finding.c").write_text(text)
    flags = ["-Wall", "-Wextra", "-Werror", "-Wconversion"]
    command = [COMPILER, *flags, folder / "finding.c", "-o", folder / "finding", *LIBUV.flags]
    subprocess.run(command, check=True, timeout=60)
    return folder / "finding"


def seen_by(program: Path) -> dict[str, str]:
    """What each handle saw."""
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert (done.returncode in (0, 1), done.stderr) == (True, ""), done.stdout
    lines = done.stdout.partition("what the defect is about")[0].splitlines()[1:]
    return {line.split()[0]: line[4 + 6 :] for line in lines}


def op_of(code: int, flags: int) -> reproduce_c.Op:
    return reproduce_c.Op(bytes([code, 0, 0, 0, 0, flags, *[0] * 10]))


def test_every_op_of_the_driver_can_be_written() -> None:
    others = {c.OP_RAISE, c.OP_FLUSH, c.OP_ABORT, c.OP_RECV, c.OP_SENDALL, c.OP_TASK}
    known = {code for code in range(1, c.OP_PROGRAM_END) if LIBUV.can_write(op_of(code, c.EDGE_INF))}
    used = {c.parse(text)[at] for text in (ON_HANDLES, ON_SOCKETS) for at in range(0, len(c.parse(text)), c.OP_BYTES)}
    assert used <= known and not known & others
    assert known - used <= {c.OP_WRITELINES}
    edges = {edge for edge in EDGES if LIBUV.can_write(op_of(c.OP_EDGE, edge))}
    assert edges == EDGES.keys() - {c.EDGE_NAN, c.EDGE_MINUS, c.EDGE_MINUS_INF}  # which its driver refuses


@pytest.mark.parametrize("name", ["handles", "sockets", *STORED])
def test_it_sees_what_the_trace_has(name: str, server: Server, tmp_path: Path) -> None:
    stored = ROOT / f"corpora/regress/{name}.loop"
    program = c.parse({"handles": ON_HANDLES, "sockets": ON_SOCKETS}.get(name) or stored.read_text())
    ran = run_alone(server, program, RULES.level_of, CONFIRM)
    assert (ran.ruling, ran.violations) == (None, ())
    story = Story(ran.records)
    seen = seen_by(compiled(reproduce_c.source(finding_of(program, ran.records), LIBUV, RULES), tmp_path))
    assert seen == {handle: story.of(handle) for handle in seen}
    assert len(seen) > 1 and any(words != "nothing" for words in seen.values())


def test_a_campaign_writes_it(shared: Path, planted: str, tmp_path: Path) -> None:
    fuzz = ["fuzz", "--driver", str(shared), "--runs", "64", "--save", str(tmp_path)]
    environ = {**os.environ, "LD_PRELOAD": planted}
    done = subprocess.run([sys.executable, "-m", "loopcheck", *fuzz], capture_output=True, text=True, env=environ)
    assert (done.returncode, done.stderr) == (1, "")
    texts = {file.name: file.read_text() for file in tmp_path.glob("*.c")}
    assert done.stdout.count("stand-alone reproducer, verified 5 of 5") == len(texts), done.stdout
    for word in ("pause, data", "died of SIGABRT"):
        text = next(text for text in texts.values() if word in text)
        assert "loopcheck" not in text
        right = subprocess.run([compiled(text, tmp_path)], capture_output=True, text=True, timeout=60)
        assert (right.returncode, right.stdout.count("the defect does not show")) == (0, 1), right.stdout


def test_only_what_is_needed() -> None:
    program = c.parse("soon c1\nstep\n")
    finding = finding_of(program, _records(program), "SOON-5", "c1 was asked for and never ran")
    text = reproduce_c.source(finding, LIBUV, RULES)
    for word in ("uv_poll", "uv_read", "pthread_create", "hooks", "datagram", "#ifdef", "note_data"):
        assert word not in text, word
    assert text.count("\n") < 400 and " * Seen: c1 was asked for" in text


def _records(program: bytes) -> bytes:
    """The trace of a program on asyncio."""
    trace = c.Trace(bytearray(1 << 20))
    c.run(program, driver.AsyncioDriver(__import__("asyncio").SelectorEventLoop), trace, 0)
    return c.runs(trace)[0][1]


def test_no_file_rather_than_a_wrong_one() -> None:
    raising = c.parse("soon c1\non c1: raise\nstep\n")
    assert "nothing like raise" in reproduce_c.why_not(LIBUV, finding_of(raising, _records(raising)))
    calm = c.parse("soon c1\nstep\n")
    assert "driver" in reproduce_c.why_not(LIBUV, finding_of(calm, _records(calm), "KIT-1", "the driver says"))
    of_the_loop = finding_of(calm, _records(calm), "LIFE-1", "the loop refused to run with error 5")
    assert "trace alone" in reproduce_c.why_not(LIBUV, of_the_loop)
    as_right = finding_of(calm, _records(calm), "SOON-5", "c1 was asked for and never ran")
    as_right.control_records = as_right.records
    assert "trace alone" in reproduce_c.why_not(LIBUV, as_right)


@pytest.mark.parametrize(
    ("compiler", "text", "sentence"),
    [
        ("cc -nostdinc", "#include <uv.h>\n", "uv.h is not there, so that it was not verified"),
        ("no-such-compiler", "", "no-such-compiler cannot be run"),
        ("", "int main(void) { return x; }\n", "it does not compile, so that it was not verified: 1:"),
        ("cc -nostdlib", "int main(void) { return 0; }\n", ""),
    ],
)
def test_why_it_was_not_verified(
    compiler: str, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", compiler)
    (tmp_path / "finding.c").write_text(text)
    said = reproduce_c.build(LIBUV, tmp_path / "finding.c", tmp_path / "finding")
    assert sentence in said and said.count("\n") == 0
