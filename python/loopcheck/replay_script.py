"""A stored program as a stand-alone asyncio script: what `fuzz` writes of a finding, for a program from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loopcheck import _contract, report, reproduce
from loopcheck.batch import CONFIRM, Ran, run_alone
from loopcheck.findings import Finding, Signature, differences, signatures
from loopcheck.load import Spec, Unusable
from loopcheck.replay import Stored
from loopcheck.rules import Rules
from loopcheck.supervisor import Options, Server

NOTHING = "nothing wrong, when the script was written"


def check_script(specs: Sequence[Spec], programs: Sequence[Stored], is_plain: bool) -> None:
    """Can one script be written of this? Raises Unusable."""
    if any(spec.is_driver for spec in specs):
        raise Unusable("--script: the driver of a C loop runs no Python; a script is for an asyncio loop")
    if len(specs) != 1 or len(programs) > 1:
        raise Unusable(f"--script is of one program on one loop, not of {len(programs)} on {len(specs)}")
    if not is_plain:
        raise Unusable("--script: a script has the real clock and no faults; leave out --virtual-time and --faults")
    for stored in programs:
        if not reproduce.can_be_written(stored.program):
            raise Unusable(f"{stored.file}: it has an operation for which a script has no line of Python")


def write_script(console: Console, program: bytes, loop: Spec, rules: Rules, file: Path) -> None:
    """Writes the script, and says how often it showed the defect. Raises Unusable, Unwritable."""
    finding = _finding(program, loop, rules)
    reproduce.write_and_run(finding, loop, Spec.parse(reproduce.DEFAULT_CONTROL), rules)
    report.write(file, finding.script)
    if finding.script_runs:
        said = f"the defect shows, {finding.script_shown} of {finding.script_runs} times"
    else:
        said = f"not tried: two runs of {reproduce.DEFAULT_CONTROL} differ in it"
    console.print(Text(f"{file}: {said}"), soft_wrap=True)


def _finding(program: bytes, loop: Spec, rules: Rules) -> Finding:
    """What the program shows on the loop beside the control: of several things the first."""
    ran, control = (_run(program, spec, rules) for spec in (loop, Spec.parse(reproduce.DEFAULT_CONTROL)))
    found = signatures(ran, rules)
    if not found and _contract.settle(program) == program:
        found = differences(ran, control)
    sign, sentence = next(iter(found.items()), (Signature("PASS", "", ""), NOTHING))
    return Finding(sign, sentence, 0, 0, [program], 1, records=ran.records, control_records=control.records)


def _run(program: bytes, spec: Spec, rules: Rules) -> Ran:
    with Server(spec, Options()) as server:
        server.start()
        server.look()
        return run_alone(server, program, rules.level_of, CONFIRM)
