# cancel() of a timer that is due already does nothing (made up). Breaks TIMER-3.

from __future__ import annotations

import asyncio
import heapq
from typing import Any

BREAKS = "TIMER-3"


class Deaf(asyncio.TimerHandle):
    def cancel(self) -> None:
        if self._loop.time() < self.when():
            super().cancel()


class Loop(asyncio.SelectorEventLoop):
    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        self._check_closed()
        handle = Deaf(when, callback, args, self, context)
        heapq.heappush(self._scheduled, handle)
        handle._scheduled = True
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
