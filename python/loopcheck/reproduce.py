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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loopcheck import _contract as c
from loopcheck.batch import RECORD_BYTES, WHAT_AT, asked
from loopcheck.findings import Finding
from loopcheck.load import Spec
from loopcheck.reproduce_ops import WRITERS, Op, Writer
from loopcheck.rules import Rules

RUNS = 5
TIMEOUT_S = 90.0
UNRECORDED = (c.OP_STEP, c.OP_RUN, c.OP_ADVANCE)  # ops that leave no record of their own
CLOSING_STEPS_MAX = 4
ORDER_AREAS = ("SOON", "TIMER", "LIFE", "ERR")  # rules that may be about the order of callbacks
STREAMS = r"run\.(stream|listen|connect_to)\("
NETWORK = r"run\.(listen|backlog)\("
ONLY_WITH = (  # lines that only a program with this needs
    (STREAMS, "            self.take_all()\n"),
    (STREAMS, "        self.abort_all()\n"),
    (r"run\.recycle\(", "        self.spare = []  # sockets that hold fd numbers\n"),
    (r"run\.recycle\(", "    for sock in [sock for pair in run.spare for sock in pair]:\n        sock.close()\n"),
    (r"run\.(pair|tcp|udp|backlog|client)\(", "    for sock in run.ends:\n        sock.close()\n"),
    (r"run\.canary\(", "        self.canaries = []\n"),
    (r"run\.canary\(", "        self.look_at_canaries()\n"),
    (STREAMS, "        self.streams = []\n"),
    (r"run\.endpoint\(", "            self.receive_all()\n"),
    (r"run\.endpoint\(", "        self.abort_endpoints()\n"),
    (r"run\.endpoint\(", "        self.endpoints = []\n"),
    (NETWORK, "        self.ports = {}  # of sockets, or of connections: the port of the side that connected\n"),
    (NETWORK, "        self.servers = []\n"),
    (NETWORK, "        gc.collect()  # asyncio itself leaves to it whom a server lets in while it is closed\n"),
    (NETWORK, "        for server in self.servers:\n            server.close()\n"),
    (NETWORK, '        self.side, self.port = "", 0  # whose port its connection is known by, and that port\n'),
    (NETWORK, "        if self.side:\n            self.run.find_peer(self, transport)\n"),
)
VIOLENT = ("CRASH", "HANG", "SPIN", "LEAK")
KEPT = (
    "__init__",
    "connection_made",
    "data_received",
    "eof_received",
    "get_buffer",
    "buffer_updated",
    "connection_lost",
    "datagram_received",
    "error_received",
    "pause_writing",
    "resume_writing",
)
HELPERS = ("outcome", "turns", "number_of_file")  # functions of the template that a script may do without
TEMPLATE, PROTOCOLS = (Path(__file__).with_name(f"reproduce_{part}.py") for part in ("template", "protocols"))
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


def whole_template() -> str:
    """The text of the script, without the program: imports, class Run, the protocols, what runs it."""
    text, protocols = TEMPLATE.read_text(), PROTOCOLS.read_text()
    imports = sorted({line for line in (text + protocols).splitlines() if line.startswith("import ")})
    run, main = text.split("def make_loop(", 1)
    parts = (run[run.index("LOOPS = ") :], protocols[protocols.index("class Bytes") :])
    return "\n".join(imports) + "\n\n" + parts[0] + parts[1] + "\n\ndef make_loop(" + main


def waits(records: bytes) -> list[bool]:
    """Of each step whether it waited: it does when something is to come."""
    return [
        bool(records[at + WHAT_AT + 2] & c.WAIT)
        for at in range(0, len(records) - RECORD_BYTES + 1, RECORD_BYTES)
        if records[at + WHAT_AT] == c.WHAT_STEP
    ]


def closing_steps(is_wait: list[bool], ops: list[Op]) -> int:
    """How many steps that wait the runner added at the end of the program."""
    own = sum(op.code == c.OP_STEP and bool(op.flags & c.WAIT) for op in ops)
    return max(0, min(CLOSING_STEPS_MAX, sum(is_wait) - own))


def script(finding: Finding, loop: Spec, control: Spec | None, rules: Rules) -> str:
    """The text of the script."""
    rule = finding.sign.rule
    accepted, refused, _ = asked(finding.records + finding.control_records)
    size = c.OP_BYTES
    ops = [Op(finding.program[at : at + size]) for at in range(0, len(finding.program), size)]
    ops = [op for op in ops if op.code in UNRECORDED or (op.recorded, op.handle) in accepted | refused]
    is_wait = waits(finding.records)
    for op, has_waited in zip((op for op in ops if op.code == c.OP_STEP and not op.on), is_wait, strict=False):
        op.flags = c.WAIT if has_waited else 0
    writer = Writer(ops, refused)
    lines = [*writer.lines(), *["run.step()"] * closing_steps(is_wait, ops)]
    if finding.sign.verdict in VIOLENT or rule.startswith("LIFE-"):
        lines += writer.closing_lines()
    body = "\n".join(f"    {line}" if line else "" for line in lines)
    title = f"{rule}: {rules.sentence_of(rule)}" if rule else "The loop does something else than asyncio does."
    docstring = DOCSTRING.format(title=title, seen=" ".join(finding.sentence.split()), loop=loop.text, python=PYTHON)
    text = whole_template()
    text = docstring + text
    text = text.replace("$LOOP$", loop.text).replace("$CONTROL$", (control or Spec.parse(DEFAULT_CONTROL)).text)
    text = text.replace("    pass\n\n\nclass Run", f"{body.strip(chr(10)) or '    pass'}\n\n\nclass Run", 1)
    for needed, line in ONLY_WITH:
        if not re.search(needed, body):
            text = text.replace(line, "")
    is_of_order = rule.partition("-")[0] in ORDER_AREAS
    text = text.replace("HAS_ORDER = False", f"HAS_ORDER = {is_of_order}")
    is_of_flow = rule in FLOW_RULES or re.search('"(pause|resume)_writing"', body)  # or the program asks in them
    return pruned(text, drop=() if is_of_flow else ("pause_writing", "resume_writing"))


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
    parts: list[ast.stmt] = [
        node
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ClassDef)) or getattr(node, "name", "") in HELPERS
    ]
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
    used = rf"(?<!class )\b{node.name}\b" if isinstance(node, ast.ClassDef) else rf"(?<!def )\b{node.name}\("
    return not re.search(used, text) and not re.search(rf"\.{node.name}\b", text)


def can_be_written(program: bytes) -> bool:
    """Is there a line of Python for each of its ops?"""
    ops = [Op(program[at : at + c.OP_BYTES]) for at in range(0, len(program), c.OP_BYTES)]
    return all(op.code in WRITERS for op in ops)


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
