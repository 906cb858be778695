"""Stored programs on any number of loops: a verdict each."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loopcheck import _contract
from loopcheck.batch import CONFIRM, asked, judgement_of
from loopcheck.check import Results, Row
from loopcheck.expect import Expectations
from loopcheck.load import BATCH_CASE, PROGRAM_CASE, Spec, Unusable
from loopcheck.rules import Rules
from loopcheck.shared import pack_programs
from loopcheck.supervisor import Options, Server
from loopcheck.verdict import Facts, Ruling, decide

SUFFIX = ".loop"


@dataclass(frozen=True)
class Stored:
    """A program and where it is from."""

    file: Path
    program: bytes


@dataclass(frozen=True)
class Replayed:
    """What came of one program on one loop."""

    row: Row
    trace: str
    counters: dict[str, int]  # of the kernel shim, if it was there


def read_programs(files: Sequence[Path]) -> tuple[list[Stored], Results]:
    """All programs of the files and of the directories' *.loop; what cannot be read is in the results, as unusable."""
    results, stored = Results(), []
    for name in files:
        found = sorted(name.rglob(f"*{SUFFIX}")) if name.is_dir() else [name]
        if not found:
            results.unusable.append(f"{name}: there is no *{SUFFIX} file below it")
        for file in found:
            try:
                stored.append(Stored(file, read_program(file)))
            except Unusable as error:
                results.unusable.append(str(error))
    return stored, results


def read_program(path: Path) -> bytes:
    """The program's bytes; a file that is not text is taken for bytes. Raises Unusable, with file and line."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from error
    if "\0" in text:
        if path.suffix == SUFFIX:
            raise Unusable(f"{path}: a {SUFFIX} file is text, and this is none")
        return _contract.canonical(data)
    try:
        return _contract.parse(text)
    except ValueError as error:
        raise Unusable(f"{path}:{str(error).removeprefix('line ')}") from error


def replay_all(
    specs: Sequence[Spec],
    programs: Sequence[Stored],
    rules: Rules,
    options: Options,
    results: Results,
    expectations: Expectations,
) -> Iterator[Replayed]:
    """Runs each program on each loop in a process of its own; the rows go into the results as well."""
    results.rules = tuple(rules.by_id.values())
    expectations.under = options.shim.conditions
    for spec in specs if programs else ():
        with Server(spec, options) as server:
            try:
                server.start()
                server.look()
                expectations.loop_version = server.version
                for stored in programs:
                    replayed = _replay(server, stored, rules, options, expectations)
                    results.rows.append(replayed.row)
                    yield replayed
            except Unusable as error:
                results.unusable.append(str(error))
            except KeyboardInterrupt:
                results.is_interrupted = True
                return


def _replay(server: Server, stored: Stored, rules: Rules, options: Options, expectations: Expectations) -> Replayed:
    spec = server.spec
    if spec.is_driver:
        facts = server.run(BATCH_CASE, pack_programs([stored.program], CONFIRM.rescue_s))
        records = dict(server.runs()).get(0, b"")
        facts = Facts(
            **{**vars(facts), "judgement": judgement_of(records, facts.ending), "trace": _contract.format_run(records)}
        )
    else:
        facts, records = server.run(PROGRAM_CASE, stored.program), b""
    judged = expectations.judge(str(stored.file), _ruling(facts, records, rules))
    ruling = judged.ruling
    loop = f"--driver {shlex.quote(spec.text)}" if spec.is_driver else shlex.quote(spec.text)
    row = Row(
        loop=spec.text,
        case=str(stored.file),
        rule=ruling.rule,
        area=rules.area_of(ruling.rule),
        level=rules.level_of(ruling.rule),
        verdict=ruling.verdict,
        detail=ruling.detail,
        seconds=round(facts.ending.wall_s, 3),
        is_unexpected=judged.is_unexpected,
        deviation=judged.deviation,
        rule_sentence=rules.sentence_of(ruling.rule),
        again=f"loopcheck replay {loop} {shlex.quote(str(stored.file))}{options.shim.arguments}",
    )
    return Replayed(row, facts.trace, facts.counters)


def _ruling(facts: Facts, records: bytes, rules: Rules) -> Ruling:
    ruling = decide(facts, rules.level_of)
    outcome = facts.outcome or {}
    if ruling.verdict != "PASS" or "executed" not in outcome:
        return ruling
    executed, ops, callbacks = outcome["executed"], outcome["ops"], outcome["callbacks"]
    accepted, refused, _ = asked(records)
    if refused and not any(
        code != _contract.OP_DESTROY and handle >> 4 != _contract.KIND_FD for code, handle in accepted
    ):
        return Ruling("VACUOUS", ruling.rule, f"the loop refused all that it was asked for by {ops} ops")
    return Ruling("PASS", ruling.rule, f"{executed} of {ops} ops executed, {callbacks} callbacks")


def print_replayed(console: Console, replayed: Replayed, is_verbose: bool) -> None:
    """The trace, if it is asked for, and what is said of a program that passed; the others are in the results."""
    if is_verbose and replayed.trace:
        console.print(Text(f"{replayed.row.case} on {replayed.row.loop}\n", style="bold"), soft_wrap=True)
        console.print(Text(replayed.trace), soft_wrap=True)
    if is_verbose and replayed.counters:
        counted = ", ".join(f"{name} {count}" for name, count in replayed.counters.items())
        console.print(Text(f"counted: {counted}"), soft_wrap=True)
    if replayed.row.verdict == "PASS":
        name = "" if is_verbose else f"PASS {replayed.row.case} on {replayed.row.loop}: "
        console.print(Text(f"{name}{replayed.row.detail}"), soft_wrap=True)
