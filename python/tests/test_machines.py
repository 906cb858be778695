# real clock: the machines of Hypothesis find broken loops, and print and save what they found as a program.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from loopcheck import _contract, machines, paths, task_programs
from loopcheck.expect import Expectations
from loopcheck.load import Spec
from loopcheck.rules import Rules
from loopcheck.supervisor import Options, Server

RULES = Rules.load(paths.rules_file())


@pytest.fixture(autouse=True)
def profile() -> object:
    """The same examples each time."""
    before = settings.default
    machines.register_profiles()
    settings.load_profile("ci")
    yield
    settings.register_profile("before", before)
    settings.load_profile("before")


def counterexample(slug: str, machine: type[machines.Machine], folder: Path) -> str:
    """What `find` raises of a broken loop."""
    loop = f"{paths.conformance_dir() / 'broken_loops' / slug}.py:new_event_loop"
    with Server(Spec.parse(loop), Options()) as server:
        judge: machines.Judge = machines.judge_of_tasks(server, RULES)
        if machine is machines.ProgramMachine:
            judge = machines.judge_of_programs(server, RULES, Expectations())
        with pytest.raises(machines.Counterexample) as raised:
            machines.find(machine, judge, folder, "a loop")
    return str(raised.value)


def saved(folder: Path, suffix: str, parse: Callable[[str], object]) -> str:
    """The one file of the folder, which holds a program."""
    (file,) = folder.iterdir()
    assert file.suffix == suffix
    assert parse(file.read_text())
    return file.read_text()


def test_program_is_found_and_saved(tmp_path: Path) -> None:
    """A loop whose cancel does nothing fails; the program is small, printed, and in the corpus directory."""
    text = counterexample("soon_ignores_cancel", machines.ProgramMachine, tmp_path)
    stored = saved(tmp_path, ".loop", _contract.parse)
    program = [line for line in stored.splitlines() if not line.startswith("#")]
    assert "rule: SOON-4" in stored or "rule: LIFE-9" in stored  # destroyed callbacks run too
    assert "\n".join(program) in text
    assert len(program) <= 5


@pytest.mark.parametrize("slug", ("blocked_tasks_are_forgotten", "woken_tasks_jump_the_queue"))
def test_task_program_is_found_and_saved(slug: str, tmp_path: Path) -> None:
    """A loop that loses sight of tasks, or runs them out of order, fails with a task program of a few lines."""
    text = counterexample(slug, machines.TaskMachine, tmp_path)
    stored = saved(tmp_path, ".tasks", task_programs.parse_lines)
    assert "TASK-6" in text and len(stored.splitlines()) <= 7


def test_profiles() -> None:
    """The profiles that --hypothesis-profile takes are there, and nightly looks longest."""
    examples = [settings.get_profile(name).max_examples for name in ("dev", "ci", "nightly")]
    assert examples == sorted(examples) and examples[0] < examples[-1]


def test_task_programs_as_text() -> None:
    """A task program is the same after it was written and read."""
    for seed in range(50):
        text = task_programs.format_lines(task_programs.generate(seed))
        assert task_programs.format_lines(task_programs.parse_lines(f"# a comment\n{text}")) == text
    for wrong in ("t9: sleep", "t1: jump", "t1 sleep", "t1: wait fx"):
        with pytest.raises(ValueError, match="line 1: "):
            task_programs.parse_lines(wrong)
