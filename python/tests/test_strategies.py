# real clock: on the programs of the Hypothesis strategy asyncio keeps every rule, and a broken loop gets a small one.
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from loopcheck import _contract, strategies
from loopcheck.programs import check_program

EXAMPLES = 150
QUIET = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)


class Lifo(asyncio.SelectorEventLoop):
    """call_soon puts the newest first."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        self._ready.rotate(1)  # type: ignore[attr-defined]
        return handle


@QUIET
@given(strategies.programs())
def test_asyncio_keeps_every_rule(text: str) -> None:
    """No program of the strategy breaks a rule on the stdlib's loop."""
    assert check_program(asyncio.new_event_loop, text) == []


@QUIET
@given(strategies.programs())
def test_every_text_is_a_program(text: str) -> None:
    """The strategy draws programs only, and their bytes are the same after a second pass."""
    program = _contract.parse(text)
    assert _contract.parse(_contract.format(program)) == program


def test_broken_loop_is_found_and_shrunk() -> None:
    """The counterexample for a loop with its ready queue reversed has few ops."""
    failing: list[str] = []

    @QUIET
    @given(strategies.programs())
    def no_rule_is_broken(text: str) -> None:
        broken = check_program(Lifo, text)
        if broken:
            failing.append(text)
        assert broken == []

    with pytest.raises(AssertionError):
        no_rule_is_broken()
    assert len(failing[-1].splitlines()) <= 5, failing[-1]
