"""Many programs in one contained process: run, and told apart again afterwards.

Forking a process a program costs more than most programs do. A program that crashes or hangs takes the
rest of its batch with it: the trace says which one it was, that one is run again alone, and the rest
goes on in a new process.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loopcheck import _contract
from loopcheck.load import BATCH_CASE, Case
from loopcheck.shared import pack_programs
from loopcheck.supervisor import PROGRAM_RULE, Server
from loopcheck.verdict import Facts, Ruling, decide, violence
from loopcheck.watch import Ending

RECORD_BYTES, RESULT_AT, WHAT_AT = 32, 20, 28  # struct lc_obs of contract/trace.h
_TIME = struct.Struct("<Q")
_RESULT = struct.Struct("<iH")  # result and handle
Asked = tuple[int, int]  # an op's code and its handle

LevelOf = Callable[[str], str]


@dataclass(frozen=True)
class Limits:
    """What one program may take."""

    run_s: float = 1.2  # effective seconds, until it counts as hanging
    rescue_s: float = 0.3  # until a step that slept through something is ended


COLLECT = Limits()
HURRIED = Limits(run_s=0.5)  # for the rest of a batch in which many hang
HANGS_MAX = 2
SHRINK = Limits(run_s=0.6, rescue_s=0.2)
CONFIRM = Limits(run_s=3.0, rescue_s=1.0)


@dataclass(frozen=True)
class Ran:
    """What came of one program."""

    program: bytes
    records: bytes = b""  # its trace
    ruling: Ruling | None = None  # when its process did not end as it should: CRASH, HANG, SPIN or LEAK
    violations: tuple[tuple[str, str], ...] = ()  # (rule, sentence)
    before: tuple[bytes, ...] = ()  # the programs that ran before it in its process, when it needs them

    @property
    def callbacks(self) -> int:
        """How many came, without the reports that a handle is closed."""
        whats, codes = self.records[WHAT_AT::RECORD_BYTES], self.records[WHAT_AT + 1 :: RECORD_BYTES]
        pairs = zip(whats, codes, strict=False)
        return sum(what == _contract.WHAT_BEGIN and code != _contract.EVENT_CLOSED for what, code in pairs)

    @property
    def is_whole(self) -> bool:
        """Did the run come to its end?"""
        return _contract.WHAT_CLOSED in self.records[WHAT_AT::RECORD_BYTES]


@dataclass
class Totals:
    """Sums over many programs."""

    programs: int = 0
    ops: int = 0
    executed: int = 0
    callbacks: int = 0

    @property
    def executed_share(self) -> float:
        return self.executed / self.ops if self.ops else 0.0


def asked(records: bytes) -> tuple[set[Asked], set[Asked], set[Asked]]:
    """Ops that reached the loop or the kernel in a run: accepted, refused, and refused as not implemented."""
    accepted: set[Asked] = set()
    refused: set[Asked] = set()
    missing: set[Asked] = set()
    for at in range(0, len(records) - RECORD_BYTES + 1, RECORD_BYTES):
        if records[at + WHAT_AT] != _contract.WHAT_OP:
            continue
        (result, wide), code = _RESULT.unpack_from(records, at + RESULT_AT), records[at + WHAT_AT + 1]
        one = (code, (wide >> 12) << 4 | wide & 15)
        (refused if result < 0 else accepted).add(one)
        if result == -errno.ENOSYS:
            missing.add(one)
    return accepted, refused, missing


def run_batch(
    server: Server, programs: Sequence[bytes], level_of: LevelOf, limits: Limits, totals: Totals | None = None
) -> list[Ran]:
    """Runs them all, in as few processes as it takes. Raises Unusable when the loop cannot be imported any more."""
    done: list[Ran] = []
    while len(done) < len(programs):
        rest = programs[len(done) :]
        if len(programs) > 1 and sum(_has_hung(ran) for ran in done) >= HANGS_MAX:
            limits = HURRIED
        facts, runs = _run_once(server, rest, limits)
        done += _judge(server, rest, facts, runs, level_of, limits)
        _add(totals, facts)
    if totals is not None:
        totals.programs += len(programs)
        totals.callbacks += sum(ran.callbacks for ran in done)
    return done


def _has_hung(ran: Ran) -> bool:
    return ran.ruling is not None and ran.ruling.verdict in ("HANG", "SPIN")


def run_alone(server: Server, program: bytes, level_of: LevelOf, limits: Limits) -> Ran:
    """Runs one program in a process of its own."""
    return run_batch(server, [program], level_of, limits)[0]


def _add(totals: Totals | None, facts: Facts) -> None:
    if totals is not None and facts.outcome is not None and facts.outcome.get("kind") == "ok":
        totals.ops += int(facts.outcome.get("ops", 0))
        totals.executed += int(facts.outcome.get("executed", 0))


def _run_once(server: Server, programs: Sequence[bytes], limits: Limits) -> tuple[Facts, dict[int, bytes]]:
    facts = server.run(BATCH_CASE, pack_programs(programs, limits.rescue_s), limits.run_s, len(programs))
    return facts, {number: records for number, records in server.runs() if number < len(programs)}


def _judged(program: bytes, records: bytes) -> Ran:
    violations = _contract.judge_run(records)["violations"]
    return Ran(program, records, violations=tuple((rule, sentence) for rule, sentence, *_ in violations))


def _judge(
    server: Server,
    programs: Sequence[bytes],
    facts: Facts,
    runs: dict[int, bytes],
    level_of: LevelOf,
    limits: Limits,
) -> list[Ran]:
    """What came of the first programs, as many as can be told; at least of one."""
    whole: list[Ran] = []
    for number, program in enumerate(programs):
        ran = _judged(program, runs.get(number, b""))
        if not ran.is_whole:
            break
        whole.append(ran)
    is_bad = violence(facts) is not None or facts.ending.left_behind > 0
    if not is_bad:  # else the trace was full
        return whole or [_judged(programs[0], runs.get(0, b""))]
    culprit = max(runs, default=0)
    if culprit == 0:  # nothing ran before it
        return [_ended_badly(programs[0], facts, runs.get(0, b""), level_of)]
    again, its_runs = _run_once(server, [programs[culprit]], limits)
    if violence(again) is not None or again.ending.left_behind > 0:
        ran = _ended_badly(programs[culprit], again, its_runs.get(0, b""), level_of)
    else:
        ran = _ended_badly(programs[culprit], facts, runs.get(culprit, b""), level_of, tuple(programs[:culprit]))
    return [*whole[:culprit], ran]


def judgement_of(records: bytes, ending: Ending) -> dict[str, Any]:
    """The monitor's. Of a run that hung, with what the loop owed when it fell asleep, though the signal by which it is
    asked for its stack may have woken it, so that the run came to an end after all."""
    judgement = _contract.judge_run(records)
    times = [_TIME.unpack_from(records, at)[0] for at in range(0, len(records) - RECORD_BYTES + 1, RECORD_BYTES)]
    if ending.limit != "run" or judgement["owed"] or len(times) < 2:
        return judgement
    longest = max(range(len(times) - 1), key=lambda i: times[i + 1] - times[i])
    asleep = _contract.judge_run(records[: (longest + 1) * RECORD_BYTES])
    return {**judgement, "owed": asleep["owed"], "owed_rule": asleep["owed_rule"]}


def _ended_badly(
    program: bytes, facts: Facts, records: bytes, level_of: LevelOf, before: tuple[bytes, ...] = ()
) -> Ran:
    judgement = judgement_of(records, facts.ending)
    facts = Facts(
        case=Case(BATCH_CASE, PROGRAM_RULE, False, None),
        limit_s=facts.limit_s,
        ending=facts.ending,
        outcome=facts.outcome,
        was_written=facts.was_written,
        server=facts.server,
        has_second_process=facts.has_second_process,
        judgement=judgement,
        output=facts.output,
    )
    violations = tuple((rule, sentence) for rule, sentence, *_ in judgement["violations"])
    return Ran(program, records, decide(facts, level_of), violations, before)
