"""What a campaign found: signatures, by which many programs are one finding, and what is known of each finding."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from loopcheck import _contract
from loopcheck.batch import Ran, asked
from loopcheck.rules import Rules
from loopcheck.verdict import TRACE_RULE, VERDICT_OF_LEVEL

DIFF = "DIFF"
DIFF_SENTENCE = "It differs from the control where no rule speaks."
NEEDED = {
    _contract.OP_STOP: _contract.CAP_STOP,
    _contract.OP_RUN: _contract.CAP_STOP,
    _contract.OP_STREAM: _contract.CAP_STREAM,
    _contract.OP_WRITE: _contract.CAP_STREAM,
    _contract.OP_PAUSE: _contract.CAP_STREAM,
    _contract.OP_RESUME: _contract.CAP_STREAM,
    _contract.OP_WRITE_EOF: _contract.CAP_WRITE_EOF,
    _contract.OP_FLUSH: _contract.CAP_FLUSH,
    _contract.OP_ABORT: _contract.CAP_FLUSH,
    _contract.OP_LIMITS: _contract.CAP_FLOW,
    _contract.OP_DATAGRAM: _contract.CAP_DATAGRAM,
    _contract.OP_SEND: _contract.CAP_DATAGRAM,
    _contract.OP_LISTEN: _contract.CAP_SERVER,
    _contract.OP_CONNECT: _contract.CAP_CONNECT,
    _contract.OP_RECV: _contract.CAP_REQUEST,
    _contract.OP_SENDALL: _contract.CAP_REQUEST,
    _contract.OP_SWITCH: _contract.CAP_SWITCH,
    _contract.OP_TASK: _contract.CAP_TASK,
    _contract.OP_DROP: _contract.CAP_GC,
    _contract.OP_GC: _contract.CAP_GC,
}
PROGRAMS_KEPT = 3  # smallest ones of a signature

_HANDLE = re.compile(r"\b([ctwpfselqd])\d+\b")
_NUMBER = re.compile(r"\b[1-9]\d*\b")
_TIMES = re.compile(r" within [\d.]+ s.*")  # of a program that hung


@dataclass(frozen=True)
class Signature:
    """A kind of misbehaviour: the verdict, the rule, and the sentence without handles' and other numbers."""

    verdict: str
    rule: str
    shape: str


def signature(verdict: str, rule: str, sentence: str) -> Signature:
    """The signature of one observation."""
    return Signature(verdict, rule, _NUMBER.sub("N", _HANDLE.sub(r"\1", sentence)))


def signatures(ran: Ran, rules: Rules) -> dict[Signature, str]:
    """What the monitor and the containment say of one program, with the sentence of each."""
    found: dict[Signature, str] = {}
    if ran.ruling is not None:
        first = _TIMES.sub("", ran.ruling.detail.partition(";")[0])
        sign = signature(ran.ruling.verdict, ran.ruling.rule, first)
        found[sign] = ran.ruling.detail
    for rule, sentence in ran.violations:
        if ran.ruling is None or rule != ran.ruling.rule:
            found.setdefault(signature(VERDICT_OF_LEVEL[rules.level_of(rule)], rule, sentence), sentence)
    return found


def missing(ran: Ran, profile: dict[str, int]) -> dict[Signature, str]:
    """Ops that the loop does not implement: no failure, unless its driver says that it can do them."""
    found: dict[Signature, str] = {}
    for code, _ in asked(ran.records)[2]:
        name = op_name(code)
        needed = NEEDED.get(code, 0)
        if profile.get("capabilities", 0) & needed:
            sentence = f"the driver says that its loop can do {name}, and refuses it: ENOSYS"
            found[Signature("FAIL", TRACE_RULE, sentence)] = sentence
        else:
            sentence = f"{name} is not implemented"
            found[Signature("MISSING", "", sentence)] = sentence
    return found


def op_name(code: int) -> str:
    """The word for an op in a program."""
    kinds = range(_contract.KIND_SOON, _contract.KIND_CANARY + 1)
    for a, b in itertools.product(kinds, repeat=2):  # which handles it takes is not known here
        text = _contract.format(bytes((code, 0, 0, a << 4 | 2, b << 4 | 1, 1)) + bytes(10))
        if text:
            return text.split()[0]
    return f"op {code}"


def differences(ran: Ran, control: Ran) -> dict[Signature, str]:
    """What the comparison with the control says, where no rule speaks and both came to an end."""
    if ran.violations or not ran.is_whole or not control.is_whole or ran.ruling or control.ruling:
        return {}
    return {signature(DIFF, "", text): text for text in _contract.compare(ran.records, control.records)}


@dataclass
class Finding:
    """One kind of misbehaviour."""

    sign: Signature
    sentence: str
    seed: int  # of the campaign
    number: int  # of the first program that showed it
    programs: list[bytes] = field(default_factory=list)  # smallest first
    count: int = 0
    before: tuple[bytes, ...] = ()  # what ran before it, when it needs that
    # Known once it was looked into:
    shown: int = 0  # of `repeats`
    repeats: int = 0
    records: bytes = b""  # the trace, and the control's
    control_records: bytes = b""
    control_shown: int = 0  # of `repeats`: the control does so too
    script: str = ""  # the stand-alone reproducer, "" where there is none
    script_shown: int = 0  # of `script_runs`
    script_runs: int = 0
    script_suffix: str = ".py"
    script_note: str = ""  # why there is none, or why it was not run
    expected: str = ""  # the reason, where the expect file says that random programs show this
    also: list[Finding] = field(default_factory=list)  # what the same program shows beside it

    @property
    def program(self) -> bytes:
        return self.programs[0]

    @property
    def text(self) -> str:
        """The program, one operation a line."""
        return _contract.format(self.program)

    @property
    def is_difference(self) -> bool:
        """Is it only the comparison with the control that shows it?"""
        return self.sign.verdict == DIFF and not self.sign.rule

    @property
    def is_steady(self) -> bool:
        return self.repeats > 0 and self.shown == self.repeats

    @property
    def is_lost(self) -> bool:
        """Was it repeated and never shown again?"""
        return self.repeats > 0 and self.shown == 0 and not self.before

    @property
    def is_reproduced(self) -> bool:
        """Did the script show it, each time?"""
        return self.script_runs > 0 and self.script_shown == self.script_runs

    @property
    def is_of_the_control(self) -> bool:
        return self.repeats > 0 and self.control_shown > 0

    def add(self, program: bytes) -> None:
        """One program more that shows it."""
        self.count += 1
        if program not in self.programs:
            self.programs = sorted([*self.programs, program], key=len)[:PROGRAMS_KEPT]


def can_do(finding: Finding, control: Ran) -> bool:
    """Does the control do what the program asks for? The reference loop has no tasks, for one."""
    accepted, refused, missing = asked(control.records)
    return not missing and asked(finding.records)[0] <= accepted | refused


def features(program: bytes) -> frozenset[tuple[int, int, int]]:
    """What a program is made of: (op, kind of the handle it is attached to, event)."""
    size = _contract.OP_BYTES
    ops = [program[at : at + size] for at in range(0, len(program), size)]
    common = (_contract.OP_STEP, _contract.OP_PAIR, _contract.OP_TCP)
    return frozenset((op[0], op[1] >> 4, op[2]) for op in ops if op[0] not in common)


def op_count(program: bytes) -> int:
    """How many operations it has."""
    return len(program) // _contract.OP_BYTES


def renumbered(program: bytes) -> bytes:
    """The same program with handles of each kind numbered from 1, in the order in which they occur."""
    names: dict[int, int] = {}
    out = bytearray(program)
    for at in range(0, len(program), _contract.OP_BYTES):
        for field_at in (at + 3, at + 4, at + 1):  # a, b, and the handle whose callback it is attached to
            handle = program[field_at]
            if handle and handle not in names:
                names[handle] = (handle & 0xF0) + 1 + sum(name >> 4 == handle >> 4 for name in names)
            out[field_at] = names.get(handle, 0)
    return bytes(out)


def key(program: bytes) -> bytes:
    """What is equal for programs that differ only in short steps and in handles' numbers."""
    size = _contract.OP_BYTES
    ops = [program[at : at + size] for at in range(0, len(program), size)]
    return renumbered(b"".join(op for op in ops if op[0] != _contract.OP_STEP or op[5]))


def merge(found: list[Finding]) -> list[Finding]:
    """Findings of one shrunk program are one, with what else it shows beside it."""
    by_program: dict[bytes, Finding] = {}
    for finding in sorted(found, key=lambda finding: not finding.sign.rule):  # a rule says more than a difference
        first = by_program.setdefault(key(finding.program), finding)
        if first is not finding:
            first.also.append(finding)
    return list(by_program.values())


def header(finding: Finding, loop: str) -> str:
    """The comment that a stored program begins with (corpora/)."""
    rule = finding.sign.rule or finding.sign.verdict
    effect = " ".join(finding.sentence.split())
    origin = f"{loop}, program {finding.number} of seed {finding.seed}"
    return f"# found: {origin}     rule: {rule}     effect: {effect}\n"
