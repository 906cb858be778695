"""The stand-alone reproducer of a finding in a C loop: one C file that needs the loop's library alone.

program() has one operation a line, what runs in callbacks as functions. Around it stands what calls the library and
notes what every handle saw (reproduce_core.c, reproduce_sockets.c, reproduce_main.c, and the library's own file), of
which a reproducer gets what it uses. The defect shows when the handles that the finding is about see what they saw
when it was found; beside that stands what they see on the reference loop, where that one can run the program.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loopcheck import _contract as c
from loopcheck import reproduce_libuv
from loopcheck.batch import asked
from loopcheck.findings import Finding, op_name
from loopcheck.reproduce import RUNS, UNRECORDED, VIOLENT
from loopcheck.reproduce_c_ops import Library
from loopcheck.reproduce_c_prune import pruned
from loopcheck.reproduce_ops import LETTERS, Op, served
from loopcheck.reproduce_story import LOOP, NOTHING, ORDER, Story
from loopcheck.rules import Rules
from loopcheck.verdict import TRACE_RULE

LIBRARIES = {library.name: library for library in (reproduce_libuv.LIBRARY,)}  # by the name of the driver
HERE = Path(__file__).parent
BUILD_S, RUN_S = 60.0, 30.0
ORDER_RULES = ("SOON-1", "SOON-2", "TIMER-2", "TIMER-6")
TURN_RULE = "SOON-2"  # what is seen there is which callbacks came in one turn
SLOW = ("HANG", "SPIN")
LINE_CHARS = 120
FEATURES = {  # of a template: the ops that need it
    "SOCKETS": (c.OP_PAIR, c.OP_TCP, c.OP_UDP, c.OP_BACKLOG, c.OP_LISTEN, c.OP_CONNECT),
    "STREAMS": (c.OP_STREAM, c.OP_LISTEN, c.OP_CONNECT),
    "DRAINS": (c.OP_STREAM, c.OP_DATAGRAM, c.OP_LISTEN, c.OP_CONNECT),
    "DATAGRAMS": (c.OP_UDP,),
    "SERVERS": (c.OP_LISTEN,),
    "POSTS": (c.OP_POST,),
    "TIMERS": (c.OP_SOON, c.OP_TIMER, c.OP_AT, c.OP_EDGE),
    "WATCHES": (c.OP_WATCH,),
    "RUNS": (c.OP_RUN,),
}
COMMENT = """/* {title}
 *
 * Seen: {seen}
 * Needs {name} alone:
 *
 *     cc THIS_FILE {flags} && ./a.out
 *
 * Exit status 1: the defect shows, that is, the handles that it is about see what they saw when it was found; 0: it
 * does not. What is done is program(), near the end; in short:
 *
{ops}
 */
"""


class Writer:
    """Turns the operations of one program into C."""

    def __init__(self, library: Library, ops: list[Op]) -> None:
        self.library, self.ops = library, ops
        self.udp = {name for op in ops if op.code == c.OP_UDP for name in (op.a, op.b)}

    def names(self) -> list[str]:
        """All handles, as they come."""
        return list(dict.fromkeys(name for op in self.ops for name in names_of(op)))

    def handles(self) -> str:
        names = self.names()
        lines = [f'static struct handle {name} = {{.name = "{name}"}};' for name in names]
        lines += [f"struct handle *const all[] = {{{', '.join(f'&{name}' for name in names)}, NULL}};"]
        for number, op in enumerate(self.ops, 1):
            if op.code == c.OP_LISTEN:
                streams = ", ".join(f"&{name}" for name in served(op))
                lines.append(f"static struct handle *of_{op.a}_{number}[] = {{{streams}}};")
        return "\n".join(lines)

    def statement(self, op: Op, number: int) -> str:
        """One op in C."""
        if op.code == c.OP_PUT:
            return f"put(&{op.a}, {op.n if op.a in self.udp else op.n or 1});"
        if op.code == c.OP_LISTEN:
            return f"listen_for(&{op.a}, of_{op.a}_{number}, {len(served(op))});"
        if op.code == c.OP_STEP:
            return "step();" if op.flags & c.WAIT else "poll_once();"
        return self.library.line(op)

    def functions(self) -> str:
        """What runs in callbacks, and program()."""
        functions, lines = [], []
        for number, op in enumerate(self.ops, 1):
            if op.on:
                name = f"in_{op.on}_{number}"
                functions.append(f"static void {name}(void)\n{{\n    {self.statement(op, number)}\n}}\n")
                lines.append(f'on(&{op.on}, "{op.event}", {name});')
            else:
                lines.append(self.statement(op, number))
        body = "\n".join(f"    {line}" for line in lines)
        return "\n".join([*functions, f"static void program(void)\n{{\n{body}\n}}"])


def seen_by(finding: Finding) -> str:
    """What was seen, without the place in the kit where it was when it hung."""
    return re.sub(r"; \w+ \(\w+\.py:\d+\)$", "", " ".join(finding.sentence.split()))


def names_of(op: Op) -> list[str]:
    """The handles that it names."""
    return [name for name in (op.a, op.b, op.on, *served(op)) if name]


def library_of(driver: str) -> Library | None:
    """The library of the driver of this name, if reproducers can be written for it."""
    return LIBRARIES.get(driver)


def ops_of(finding: Finding, library: Library) -> list[Op]:
    """Those that reached the loop or the kernel, and steps. The op that ends the process leaves no record.

    A timer at an edge may be refused, and then never was, whatever the control says of it.
    """
    accepted, refused, _ = asked(finding.records + finding.control_records)
    reached = (accepted | refused) - {one for one in asked(finding.records)[1] if one[0] == c.OP_EDGE}
    program, size = finding.program, c.OP_BYTES
    is_violent = finding.sign.verdict in VIOLENT
    ops = [Op(program[at : at + size]) for at in range(0, len(program), size)]
    ops = [
        op
        for op in ops
        if op.code in UNRECORDED or (op.recorded, op.handle) in reached or (is_violent and library.can_write(op))
    ]
    return [op for op in ops if not (op.on and op.code in (c.OP_STEP, c.OP_RUN))]


def why_not(library: Library, finding: Finding) -> str:
    """A sentence, when no C file can show it."""
    missing = [op_name(op.code) for op in ops_of(finding, library) if not library.can_write(op)]
    if missing:
        return f"there is no C file, since {library.name} has nothing like {missing[0]}"
    if finding.sign.rule == TRACE_RULE and finding.sign.verdict == "FAIL":
        return f"there is no C file, since it is about the driver, not about {library.name}"
    stories = _stories(finding, library)
    if all(found == right for _, found, right in stories) or (stories[0][0] == LOOP and stories[0][1] == NOTHING):
        return "there is no C file, since what it would show is nothing wrong: it is seen by the trace alone"
    return ""


def source(finding: Finding, library: Library, rules: Rules) -> str:
    """The text of the C file."""
    rule, ops = finding.sign.rule, ops_of(finding, library)
    writer = Writer(library, ops)
    sentence = rules.sentence_of(rule) if rule else ""
    title = f"{rule}: {sentence}" if sentence else "The loop does something that it should not."
    comment = COMMENT.format(
        title=title,
        seen=seen_by(finding),
        name=library.name,
        flags=" ".join(library.flags),
        ops="\n".join(f" *     {line}" for line in finding.text.splitlines()),
    )
    expected = _expectations(_stories(finding, library))
    program = "\n\n".join((writer.handles(), expected, writer.functions()))
    features = {name for name, codes in FEATURES.items() if any(op.code in codes for op in ops)}
    also = {"HOOKS": any(op.on for op in ops), "FDS": "fds left open" in expected}
    also |= {"ORDER": "{&order," in expected, "TURNS": rule == TURN_RULE}
    features |= {name for name, is_there in also.items() if is_there}
    return pruned(comment + "\n" + _template(library.template).replace("/* PROGRAM */", program), features)


def _template(name: str) -> str:
    """A file with those that it includes."""
    text = (HERE / name).read_text()
    text = text.partition("*/")[2].lstrip("\n")  # what the file is for does not matter any more
    return re.sub(r'#include "(\w+\.c)"\n', lambda found: _template(found[1]), text)


def _stories(finding: Finding, library: Library) -> list[tuple[str, str, str | None]]:
    """The handles that the finding is about, what each saw, and what it sees on the reference loop if that is known."""
    has_turns = finding.sign.rule == TURN_RULE
    found = Story(finding.records, has_turns=has_turns)
    right = Story(finding.control_records, has_turns=has_turns) if finding.control_records else None
    if finding.sign.verdict in SLOW:
        found.add(LOOP, "hangs")
    signal = re.search(r"\bSIG[A-Z]+\b", finding.sentence)
    if finding.sign.verdict == "CRASH" and signal is not None:
        found.add(LOOP, f"died of {signal[0]}")
    names = _concerned(finding, found, {name for op in ops_of(finding, library) for name in names_of(op)})
    return [(name, found.of(name), right.of(name) if right is not None else None) for name in names]


def _expectations(stories: list[tuple[str, str, str | None]]) -> str:
    """The table of them in C."""
    lines = []
    for name, found, right in stories:
        variable = {LOOP: "loop_itself", ORDER: "order"}.get(name, name)
        beside = f'"{right}"' if right is not None else "NULL"
        line = f'    {{&{variable}, "{found}", {beside}}},'
        lines.append(line if len(line) <= LINE_CHARS else line.replace(", ", ",\n     ", 1))
    return "\n".join(("static const struct expectation expected[] = {", *lines, "    {NULL, NULL, NULL},", "};"))


def _concerned(finding: Finding, story: Story, names: set[str]) -> list[str]:
    """The lines of the story in which the defect is seen."""
    named = re.match(rf"(?:.*; the loop still owed: )?([{''.join(LETTERS.values())}]\d+)\b", finding.sentence)
    if finding.sign.verdict in VIOLENT:
        return [LOOP, *(name for name in ([named[1]] if named is not None else []) if name in names)]
    if finding.sign.rule in ORDER_RULES:
        return [ORDER]
    if named is None or named[1] not in names:
        return [LOOP]
    return [name for name in story.concerned(named[1]) if name in names]


def write_and_run(finding: Finding, driver: str, rules: Rules) -> None:
    """Writes the C file into the finding, compiles and runs it; or a sentence, where that cannot be."""
    library = library_of(driver)
    if library is None:
        return
    finding.script_note = why_not(library, finding)
    if finding.script_note:
        return
    finding.script, finding.script_suffix = source(finding, library, rules), ".c"
    with tempfile.TemporaryDirectory(prefix="loopcheck-") as directory:
        file, program = Path(directory) / "finding.c", Path(directory) / "finding"
        file.write_text(finding.script)
        finding.script_note = build(library, file, program)
        if finding.script_note:
            return
        with ThreadPoolExecutor(RUNS if finding.sign.verdict in SLOW else 1) as threads:  # which only sleep
            statuses = list(threads.map(lambda _: run(program), range(RUNS)))
    finding.script_runs, finding.script_shown = RUNS, statuses.count(1)


def build(library: Library, file: Path, program: Path) -> str:
    """Compiles it as CC, CFLAGS and LDFLAGS say. Returns "", or a sentence about why it could not be."""
    compiler = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    if not compiler:
        return "no C compiler is there, so that it was not verified"
    flags = [shlex.split(os.environ.get(name, "")) for name in ("CFLAGS", "LDFLAGS")]
    command = [*shlex.split(compiler), *flags[0], str(file), "-o", str(program), *flags[1], *library.flags]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{compiler} cannot be run ({type(error).__name__}), so that it was not verified"
    if done.returncode == 0:
        return ""
    if re.search(
        rf"{re.escape(library.header)}\b.*(No such file|not found)|no include path .*\b{re.escape(library.header)}",
        done.stderr,
    ):
        return f"{library.header} is not there, so that it was not verified"
    if re.search(rf"(cannot find|unable to find library|library not found for) {library.flags[0]}", done.stderr):
        return f"there is no {library.name} to link with, so that it was not verified"
    lines = [line for line in done.stderr.splitlines() if "error" in line] or ["no reason was given"]
    return f"it does not compile, so that it was not verified: {lines[0].rpartition('finding.c:')[2]}"


def run(program: Path) -> int:
    """The exit status of a reproducer; -1 when it took too long."""
    try:
        return subprocess.run(
            [str(program)], stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return -1
