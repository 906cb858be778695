# Timers that are due together run with the latest deadline first (T6, T15). Breaks TIMER-2.

from __future__ import annotations

import asyncio
import heapq

BREAKS = "TIMER-2"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        now = self.time()
        due = [handle for handle in self._scheduled if handle.when() <= now]
        if len(due) > 1:
            self._scheduled = [handle for handle in self._scheduled if handle.when() > now]
            heapq.heapify(self._scheduled)
            for handle in sorted(due, key=lambda handle: -handle.when()):
                handle._scheduled = False
                self._ready.append(handle)
        super()._run_once()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
