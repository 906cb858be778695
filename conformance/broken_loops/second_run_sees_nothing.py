# What was scheduled in one run is forgotten when the loop stops (after T5). Breaks LIFE-1.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-1"


class Loop(asyncio.SelectorEventLoop):
    def run_forever(self) -> None:
        try:
            super().run_forever()
        finally:
            self._scheduled.clear()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
