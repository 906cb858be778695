# A family makes one case a member, with stable names, its rule and the values of that member.
from __future__ import annotations

import asyncio
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, NoTrace, run_case

SEEN: list[tuple[str, int]] = []


@family("ERR-1", needs_run=False, kind=("soon", "timer"), size={"small": 1, "large": 100})
def sample(kit: Kit, kind: str, size: int) -> None:
    """A sample"""
    SEEN.append((kind, size))


def made(name: str) -> Any:
    return globals()[name]


def test_members() -> None:
    assert sample == ("sample_soon_small", "sample_soon_large", "sample_timer_small", "sample_timer_large")
    assert all(made(name).loopcheck.rule == "ERR-1" for name in sample)
    assert not made("sample_soon_small").loopcheck.needs_run
    assert made("sample_soon_large").__doc__ == "A sample (soon, large)."


def test_each_gets_its_own_values() -> None:
    SEEN.clear()
    for name in sample:
        assert run_case(made(name), asyncio.new_event_loop, NoTrace()).kind == "ok"
    assert SEEN == [("soon", 1), ("soon", 100), ("timer", 1), ("timer", 100)]
