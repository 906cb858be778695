# Of two timers with one deadline the one that was armed last fires first (after libevent's timer heap).
# Breaks TIMER-6.

from __future__ import annotations

import asyncio
import heapq
from typing import Any

BREAKS = "TIMER-6"


class Late(asyncio.TimerHandle):
    __slots__ = ("number",)

    def __lt__(self, other: Any) -> bool:
        return (self.when(), -self.number) < (other.when(), -other.number)


class Loop(asyncio.SelectorEventLoop):
    armed = 0

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        self._check_closed()
        handle = Late(when, callback, args, self, context)
        self.armed += 1
        handle.number = self.armed
        heapq.heappush(self._scheduled, handle)
        handle._scheduled = True
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
