"""The stand-alone reproducer of a finding: a plain script on asyncio's public API, for the loop's maintainers.

The program is written out one operation a line by a table; around it stands what logs what every handle
saw (reproduce_template.py), of which a script gets only the methods it uses. It runs each loop in a
process of its own, so that a crash or a hang is a result, and exits with 1 when the loop under test did
not do what the control did, or did something that is wrong in itself.
"""

from __future__ import annotations

import ast
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loopcheck import _contract as c
from loopcheck.batch import RECORD_BYTES, WHAT_AT, asked
from loopcheck.findings import Finding, op_name
from loopcheck.load import Spec
from loopcheck.rules import Rules

RUNS = 5
FILL_DATAGRAMS = 24
TIMEOUT_S = 90.0
LETTERS = {
    c.KIND_SOON: "c",
    c.KIND_TIMER: "t",
    c.KIND_WATCH: "w",
    c.KIND_WAKER: "p",
    c.KIND_FD: "f",
    c.KIND_STREAM: "s",
    c.KIND_DATAGRAM: "d",
}
EVENTS = {
    c.EVENT_SOON: "soon",
    c.EVENT_TIMER: "timer",
    c.EVENT_READY: "ready",
    c.EVENT_POSTED: "posted",
    c.EVENT_MADE: "made",
    c.EVENT_DATA: "data",
    c.EVENT_EOF: "eof",
    c.EVENT_LOST: "lost",
    c.EVENT_PAUSE_WRITING: "pause_writing",
    c.EVENT_RESUME_WRITING: "resume_writing",
    c.EVENT_DATAGRAM: "datagram",
    c.EVENT_REFUSED: "refused",
}
UNRECORDED = (c.OP_STEP, c.OP_RUN, c.OP_ADVANCE)  # ops that leave no record of their own
CLOSING_STEPS_MAX = 4
ORDER_AREAS = ("SOON", "TIMER", "LIFE", "ERR")  # rules that may be about the order of callbacks
ONLY_WITH = (  # lines that only a program with this needs
    ("run.stream(", "            self.take_all()\n"),
    ("run.stream(", "        self.abort_all()\n"),
    ("run.recycle(", "        self.spare = []  # sockets that hold fd numbers\n"),
    ("run.recycle(", "    for sock in [sock for pair in run.spare for sock in pair]:\n        sock.close()\n"),
    ("run.pair(", "    for sock in run.ends:\n        sock.close()\n"),
    ("run.stream(", "        self.streams = []\n"),
    ("run.endpoint(", "            self.receive_all()\n"),
    ("run.endpoint(", "        self.abort_endpoints()\n"),
    ("run.endpoint(", "        self.endpoints = []\n"),
)
VIOLENT = ("CRASH", "HANG", "SPIN", "LEAK")
KEPT = (
    "__init__",
    "connection_made",
    "data_received",
    "eof_received",
    "connection_lost",
    "datagram_received",
    "error_received",
    "pause_writing",
    "resume_writing",
)
TEMPLATE = Path(__file__).with_name("reproduce_template.py")
PYTHON = platform.python_version()
DEFAULT_CONTROL = "asyncio:SelectorEventLoop"
DOCSTRING = '''#!/usr/bin/env python3
"""{title}

Seen: {seen}
Found on {loop}, Python {python}. Needs the standard library and the loops:

    python3 THIS_FILE [LOOP CONTROL]        a loop is module:factory or file.py:factory

Runs program() on each loop in a process of its own and prints what every handle saw. Exit status 1: the
loop did not do what the control did, or did something WRONG.
"""

'''
FLOW_RULES = ("STREAM-5", "FLOW-1", "FLOW-2")


class Op:
    """One operation of a program, as the script needs it."""

    def __init__(self, data: bytes) -> None:
        self.code, on, event, a, b, self.flags = data[:6]
        self.n = int.from_bytes(data[6:8], "little")
        self.arg = int.from_bytes(data[8:16], "little")
        self.a, self.b, self.on = name_of(a), name_of(b), name_of(on)
        self.handle = on if self.code == c.OP_RAISE else a  # as the trace names it
        self.event = EVENTS.get(event, "")

    @property
    def seconds(self) -> str:
        """Its duration, as a number in a script."""
        return repr(self.arg / 1e9) if self.arg < 1 << 62 else "1e9"

    def __str__(self) -> str:
        return f"{op_name(self.code)} {self.a}"


def name_of(handle: int) -> str:
    """c1 for 0x11, "" for none."""
    return f"{LETTERS[handle >> 4]}{handle & 15}" if handle >> 4 in LETTERS else ""


class Writer:
    """Turns the operations of one program into lines of Python."""

    def __init__(self, ops: list[Op], refused: set[tuple[int, int]]) -> None:
        self.ops = first_creations(ops)
        self.refused = refused
        self.made = {op.a: op for op in reversed(self.ops) if op.code in CREATES}  # as what each handle was made
        self.udp = {name for op in ops if op.code == c.OP_UDP for name in (op.a, op.b)}
        self.peer = {one: other for op in ops if op.code in PAIRS for one, other in ((op.a, op.b), (op.b, op.a))}

    def lines(self) -> list[str]:
        """The body of program(): handles, then one op a line, what runs in callbacks as functions."""
        names = sorted({name for op in self.ops for name in (op.a, op.b) if name})
        lines = [f"{' = '.join(names)} = None"] if names else []
        for number, op in enumerate(self.ops, 1):
            if not op.on:
                lines += self._guarded(op)
                continue
            function = f"in_{op.on}_{number}"
            lines += ["", f"def {function}():"]
            lines += [f"    {line}" for line in (*self._scope(op), *self._guarded(op))]
            lines += [f'run.on("{op.on}", "{op.event}", {function})', ""]
        return lines

    def closing_lines(self) -> list[str]:
        """The end of everything that the program made and did not end, as the kit ends it; of streams see finish()."""
        ended = {op.a for op in self.ops if op.code == c.OP_DESTROY}
        made = [op for name, op in self.made.items() if name not in ended and op.code not in NOT_CLOSED]
        return [line for op in made for line in self.cancel(op)]

    def _scope(self, op: Op) -> list[str]:
        assigned = sorted({name for name in (op.a, op.b) if name and f"{name}" in self._assigned(op)})
        return [f"nonlocal {', '.join(assigned)}"] if assigned else []

    def _assigned(self, op: Op) -> tuple[str, ...]:
        if op.code in PAIRS or op.code == c.OP_RECYCLE:
            return op.a, op.b or self.peer.get(op.a, "")
        return (op.a,) if op.code in CREATES or op.code == c.OP_REARM else ()

    def _guarded(self, op: Op) -> list[str]:
        lines = self.statements(op)
        if (op.code, op.handle) not in self.refused:
            return lines
        head, tail = "except Exception as error:", f'    run.log("{op.a}", f"{op} raised {{type(error).__name__}}")'
        return ["try:", *(f"    {line}" for line in lines), head, tail]

    def raising(self, op: Op) -> list[str]:
        """An Exception, or what is none."""
        error = "asyncio.CancelledError" if op.n == c.RAISE_CANCELLED else "ValueError"
        return [f'run.error = {error}("raised in a callback")']

    def statements(self, op: Op) -> list[str]:
        """One op in Python."""
        return WRITERS[op.code](self, op)

    # What is not the same for all kinds.

    def cancel(self, op: Op) -> list[str]:
        kind = op.a[0]
        if kind in "ct":
            return [f"{op.a}.cancel()"]
        if kind == "p":
            return [f"for posted in {op.a}:", "    posted.cancel()"]
        if kind in "sd":
            return [f"{op.a}.destroy()"]
        watch = self.made.get(op.a)
        if watch is None:
            return ["pass"]
        return [f"loop.remove_{way}({watch.b})" for way in ways(watch)]

    def rearm(self, op: Op) -> list[str]:
        made = self.made.get(op.a)
        return self.statements(made) if made is not None else ["pass"]

    def recycle(self, op: Op) -> list[str]:
        peer = self.peer.get(op.a, "")
        watches = [watch for watch in self.made.values() if watch.code == c.OP_WATCH and watch.b in (op.a, peer)]
        lines = [f"loop.remove_{way}({watch.b})" for watch in watches for way in ways(watch)]
        return [*lines, f"{op.a}, {peer} = run.recycle({op.a}, {peer})"]

    def timer(self, op: Op) -> list[str]:
        return [f'{op.a} = loop.call_later({op.seconds}, run.fired, "{op.a}", loop.time() + {op.seconds})']

    def at(self, op: Op) -> list[str]:
        return [f'{op.a} = loop.call_at(run.start + {op.seconds}, run.fired, "{op.a}", run.start + {op.seconds})']

    def watch(self, op: Op) -> list[str]:
        return [f'loop.add_{way}({op.b}, run.ready, "{op.a}", {op.b}, "{way}")' for way in ways(op)]

    def put(self, op: Op) -> list[str]:
        name, count = ("send_whole", op.n) if op.a in self.udp else ("put", op.n or 1)
        return [f"run.{name}({op.a}, {count})"]

    def end(self, op: Op) -> list[str]:
        verb = "close" if op.code == c.OP_FLUSH else "abort"
        if op.a[0] != "d":
            return [f"{op.a}.transport.{verb}()"]
        return [f"if {op.a}.transport is not None:", f"    {op.a}.transport.{verb}()"]

    def take(self, op: Op) -> list[str]:
        return [f"run.{'receive' if op.a in self.udp else 'read'}({op.a}, {op.n})"]

    def fill(self, op: Op) -> list[str]:
        if op.a in self.udp:
            return [f"for _ in range({FILL_DATAGRAMS}):", f"    run.send_whole({op.a}, 100)"]
        return [f"run.put({op.a}, 1 << 26)"]

    def post(self, op: Op) -> list[str]:
        return [f'run.post({op.a}, "{op.a}", {op.n / 1e6!r})']


def first_creations(ops: list[Op]) -> list[Op]:
    """Without the ops that make a handle which is made before: they do nothing."""
    known: set[str] = set()
    kept = []
    for op in ops:
        names = {op.a, op.b} if op.code in PAIRS else {op.a} if op.code in CREATES else set()
        if not names & known:
            kept.append(op)
        known |= names if not op.on else set()
    return kept


def ways(op: Op) -> list[str]:
    """What a watcher is registered as."""
    return [way for bit, way in ((c.IN, "reader"), (c.OUT, "writer")) if op.flags & bit]


def simple(form: str) -> Callable[[Writer, Op], list[str]]:
    """An op that is one line whatever its handles are."""
    return lambda writer, op: [form.format(a=op.a, b=op.b, n=op.n or 1, count=op.n, seconds=op.seconds)]


def step(writer: Writer, op: Op) -> list[str]:
    return ["run.step()" if op.flags & c.WAIT else "run.poll()"]


PAIRS = (c.OP_PAIR, c.OP_TCP, c.OP_UDP)
CREATES = (c.OP_SOON, c.OP_TIMER, c.OP_AT, c.OP_WATCH, c.OP_WAKER, c.OP_STREAM, c.OP_DATAGRAM)
NOT_CLOSED = (c.OP_STREAM, c.OP_DATAGRAM, c.OP_WAKER)  # by closing_lines()
WRITERS: dict[int, Callable[[Writer, Op], list[str]]] = {
    c.OP_SOON: simple('{a} = loop.call_soon(run.called, "{a}")'),
    c.OP_TIMER: Writer.timer,
    c.OP_AT: Writer.at,
    c.OP_WATCH: Writer.watch,
    c.OP_WAKER: simple("{a} = []"),
    c.OP_POST: Writer.post,
    c.OP_CANCEL: Writer.cancel,
    c.OP_REARM: Writer.rearm,
    c.OP_DESTROY: Writer.cancel,
    c.OP_STOP: simple("loop.stop()"),
    c.OP_RUN: simple("run.run_for({n})"),
    c.OP_STEP: step,
    c.OP_PAIR: simple('{a}, {b} = run.pair("{a}", "{b}")'),
    c.OP_TCP: simple('{a}, {b} = run.tcp("{a}", "{b}")'),
    c.OP_PUT: Writer.put,
    c.OP_TAKE: Writer.take,
    c.OP_FILL: Writer.fill,
    c.OP_SHUT: simple("{a}.shutdown(socket.SHUT_WR)"),
    c.OP_RECYCLE: Writer.recycle,
    c.OP_ADVANCE: simple("time.sleep({seconds})"),
    c.OP_RAISE: Writer.raising,
    c.OP_STREAM: simple('{a} = run.stream("{a}", {b})'),
    c.OP_WRITE: simple("{a}.write({n})"),
    c.OP_WRITE_EOF: simple("{a}.write_eof()"),
    c.OP_PAUSE: simple("{a}.transport.pause_reading()"),
    c.OP_RESUME: simple("{a}.transport.resume_reading()"),
    c.OP_LIMITS: simple("{a}.transport.set_write_buffer_limits(high={count}, low={count} // 4)"),
    c.OP_FLUSH: Writer.end,
    c.OP_ABORT: Writer.end,
    c.OP_HANGUP: simple("run.hang_up({a})"),
    c.OP_RST: simple("run.reset({a})"),
    c.OP_UDP: simple('{a}, {b} = run.udp("{a}", "{b}")'),
    c.OP_DATAGRAM: simple('{a} = run.endpoint("{a}", {b})'),
    c.OP_SEND: simple("{a}.send({count})"),
    c.OP_FAULT: simple("pass  # a fault of the kernel, which this loop's is not told"),
}


def closing_steps(records: bytes, ops: list[Op]) -> int:
    """How many steps that wait the runner added at the end of the program."""
    is_wait = [
        bool(records[at + WHAT_AT + 2] & c.WAIT)
        for at in range(0, len(records) - RECORD_BYTES + 1, RECORD_BYTES)
        if records[at + WHAT_AT] == c.WHAT_STEP
    ]
    own = sum(op.code == c.OP_STEP and bool(op.flags & c.WAIT) for op in ops)
    return max(0, min(CLOSING_STEPS_MAX, sum(is_wait) - own))


def script(finding: Finding, loop: Spec, control: Spec | None, rules: Rules) -> str:
    """The text of the script."""
    rule = finding.sign.rule
    accepted, refused, _ = asked(finding.records + finding.control_records)
    size = c.OP_BYTES
    ops = [Op(finding.program[at : at + size]) for at in range(0, len(finding.program), size)]
    ops = [op for op in ops if op.code in UNRECORDED or (op.code, op.handle) in accepted | refused]
    writer = Writer(ops, refused)
    lines = [*writer.lines(), *["run.step()"] * closing_steps(finding.records, ops)]
    if finding.sign.verdict in VIOLENT or rule.startswith("LIFE-"):
        lines += writer.closing_lines()
    body = "\n".join(f"    {line}" if line else "" for line in lines)
    title = f"{rule}: {rules.sentence_of(rule)}" if rule else "The loop does something else than asyncio does."
    docstring = DOCSTRING.format(title=title, seen=" ".join(finding.sentence.split()), loop=loop.text, python=PYTHON)
    text = TEMPLATE.read_text()
    text = docstring + text[text.index("import asyncio") :]
    text = text.replace("$LOOP$", loop.text).replace("$CONTROL$", (control or Spec.parse(DEFAULT_CONTROL)).text)
    text = text.replace("    pass\n\n\nclass Run", f"{body.strip(chr(10)) or '    pass'}\n\n\nclass Run", 1)
    for needed, line in ONLY_WITH:
        is_pair = needed == "run.pair(" and ("run.tcp(" in body or "run.udp(" in body)
        if needed not in body and not is_pair:
            text = text.replace(line, "")
    is_of_order = rule.partition("-")[0] in ORDER_AREAS
    text = text.replace("HAS_ORDER = False", f"HAS_ORDER = {is_of_order}")
    return pruned(text, drop=() if rule in FLOW_RULES else ("pause_writing", "resume_writing"))


def pruned(text: str, drop: tuple[str, ...]) -> str:
    """Without methods and classes that nothing mentions, imports that nothing needs, and the methods to drop."""
    while True:
        tree = ast.parse(text)
        lines = text.splitlines(keepends=True)
        doomed = next((node for node in _parts(tree) if _is_unused(node, text, drop)), None)
        if doomed is None:
            return text
        end = doomed.end_lineno or doomed.lineno
        while end < len(lines) and not lines[end].strip():  # and the empty lines behind it
            end += 1
        text = "".join(lines[: doomed.lineno - 1] + lines[end:])


def _parts(tree: ast.Module) -> list[ast.stmt]:
    """What may be left out: imports, classes and methods of the template."""
    parts: list[ast.stmt] = [node for node in tree.body if isinstance(node, (ast.Import, ast.ClassDef))]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            parts += [method for method in node.body if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return parts


def _is_unused(node: ast.stmt, text: str, drop: tuple[str, ...]) -> bool:
    if isinstance(node, ast.Import):
        name = node.names[0].name
        return not re.search(rf"(?<!import ){re.escape(name)}\.", text)
    assert isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    if node.name in drop:
        return True
    if node.name in KEPT:
        return False
    used = rf"(?<!def )(?<!class )\b{node.name}\("
    return not re.search(used, text) and not re.search(rf"\.{node.name}\b", text)


def can_be_written(program: bytes) -> bool:
    """Is there a line of Python for each of its ops? Servers, connects and exits have none."""
    ops = [Op(program[at : at + c.OP_BYTES]) for at in range(0, len(program), c.OP_BYTES)]
    exits = (c.RAISE_EXIT, c.RAISE_INTERRUPT)
    return all(op.code in WRITERS and not (op.code == c.OP_RAISE and op.n in exits) for op in ops)


def write_and_run(finding: Finding, loop: Spec, control: Spec | None, rules: Rules) -> None:
    """Writes the script into the finding and runs it; the control beside itself must not show the defect.

    None for a program that cannot be written so: its text is the report.
    """
    if not can_be_written(finding.program):
        return
    finding.script = script(finding, loop, control, rules)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "reproduce.py"
        file.write_text(finding.script)
        alone = control.text if control is not None else ""
        if alone and run_script(file, alone, alone) != 0:
            return
        with ThreadPoolExecutor(RUNS if finding.sign.verdict == "HANG" else 1) as threads:  # which only sleep
            statuses = list(threads.map(lambda _: run_script(file), range(RUNS)))
        finding.script_runs, finding.script_shown = RUNS, statuses.count(1)


def run_script(file: Path, *loops: str) -> int:
    """The exit status of a reproducer; -1 when it took too long."""
    command = [sys.executable, str(file), *loops]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return -1
