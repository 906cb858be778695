# The loop sleeps 300 ms at a time, whatever comes (rloop@f6181aa, gevent#790). Breaks LIVE-1.

from __future__ import annotations

import asyncio
import time
from typing import Any

BREAKS = "LIVE-1"


class Loop(asyncio.SelectorEventLoop):
    def _process_events(self, events: Any) -> None:
        super()._process_events(events)  # type: ignore[misc]
        if not self._ready and not self._scheduled:  # type: ignore[attr-defined]
            self.call_soon(time.sleep, 0.3)
        elif events:
            time.sleep(0.3)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
