# A server is taken for frozen when it is silent though it has a processor; what it waits for one does not count.
from __future__ import annotations

import os
import types
from typing import Any

import pytest
from loopcheck import processes, supervisor
from loopcheck.load import Spec

LIMIT_S = 1000.0  # of a whole case


class Clock:
    """Each look at the server takes a second, of which it waits a part for a processor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, waiting: float) -> None:
        self.now_s, self.waiting = 0.0, waiting
        monkeypatch.setattr(processes, "clock_s", lambda: self.now_s)
        monkeypatch.setattr(processes, "run_delay_s", lambda pid: self.now_s * self.waiting)
        monkeypatch.setattr(processes, "state_of", lambda pid: "R")
        monkeypatch.setattr(supervisor.select, "poll", lambda: self)

    def register(self, *args: Any) -> None:
        pass

    def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
        self.now_s += 1.0
        return []


def silent_until(monkeypatch: pytest.MonkeyPatch, waiting: float) -> float:
    """The second at which a server that says nothing is given up."""
    clock = Clock(monkeypatch, waiting)
    server = supervisor.Server(Spec.parse("asyncio:new_event_loop"))
    process: Any = types.SimpleNamespace(pid=os.getpid(), control=None, output=-1)
    assert server._await(process, LIMIT_S) == ({}, "froze")
    return clock.now_s


@pytest.mark.parametrize(("waiting", "times"), [(0.0, 1), (0.5, 2), (0.9, 10)])
def test_waiting_for_a_processor_is_no_silence(monkeypatch: pytest.MonkeyPatch, waiting: float, times: int) -> None:
    given_up_s = silent_until(monkeypatch, waiting)
    assert supervisor.SILENCE_S_MAX * times <= given_up_s <= supervisor.SILENCE_S_MAX * times + 2 * times


def test_no_processor_at_all_ends_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LIMIT_S <= silent_until(monkeypatch, 1.0) <= LIMIT_S + 2
