# The loop never sleeps longer than a millisecond (T10: TokioLoop's select!). Breaks LIFE-4.

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any

BREAKS = "LIFE-4"


class Impatient(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            events = super().select(min(max(left, 0), 0.001))
            if events or left <= 0:
                return events


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(Impatient())


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
