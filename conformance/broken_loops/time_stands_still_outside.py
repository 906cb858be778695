# loop.time() is cached by the turn and stands still while the loop does not run (after libuv's cached time).
# Breaks TIMER-10.

from __future__ import annotations

import asyncio
import time

BREAKS = "TIMER-10"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._now = time.monotonic()
        super().__init__()

    def time(self) -> float:
        if self.is_running():
            self._now = time.monotonic()
        return self._now


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
