# Timers are looked at only in a turn that finds nothing ready (after libev's idle watchers). Breaks TIMER-5.

from __future__ import annotations

import asyncio

BREAKS = "TIMER-5"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        if not self._ready:
            return super()._run_once()
        hidden, self._scheduled = self._scheduled, []
        try:
            super()._run_once()
        finally:
            for handle in self._scheduled:
                hidden.append(handle)
            self._scheduled = sorted(hidden)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
