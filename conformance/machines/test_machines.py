"""No program that Hypothesis writes breaks a rule on the loop, and task programs run as the model says.

    pytest conformance/machines --loop mine:Loop --hypothesis-profile nightly --corpus out/corpus

The profiles are dev, ci and nightly; what fails is printed as a program and saved below --corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

machines = pytest.importorskip("loopcheck.machines", reason="needs the package hypothesis")


def find(config: pytest.Config, loop: str, machine: type, judge: object, folder: str) -> None:
    """Fails with the small counterexample, if there is one."""
    sentence = ""
    try:
        machines.find(machine, judge, Path(config.getoption("--corpus")) / folder, loop)
    except machines.Counterexample as counterexample:
        sentence = str(counterexample)
    if sentence:
        pytest.fail(sentence, pytrace=False)


def test_programs(loop_name: str, loopcheck_servers: object, pytestconfig: pytest.Config) -> None:
    server, expectations = loopcheck_servers.get(loop_name)
    judge = machines.judge_of_programs(server, loopcheck_servers.rules, expectations)
    find(pytestconfig, loop_name, machines.ProgramMachine, judge, "programs")


@pytest.mark.parametrize("factory", ("lazy", "eager"))
def test_task_programs(loop_name: str, loopcheck_servers: object, pytestconfig: pytest.Config, factory: str) -> None:
    if factory == "eager" and sys.version_info < (3, 12):
        pytest.skip("this Python has no eager tasks")
    server, _ = loopcheck_servers.get(loop_name)
    judge = machines.judge_of_tasks(server, loopcheck_servers.rules, factory)
    find(pytestconfig, loop_name, machines.TaskMachine, judge, "tasks")
