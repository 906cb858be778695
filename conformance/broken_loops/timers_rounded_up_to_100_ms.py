# Deadlines are rounded up to a tenth of a second (T6: wrong resolution). Breaks TIMER-5.

from __future__ import annotations

import asyncio
import math
from typing import Any

BREAKS = "TIMER-5"


class Loop(asyncio.SelectorEventLoop):
    def call_later(self, delay: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        coarse = delay if not math.isfinite(delay) else math.ceil(delay * 10) / 10
        return super().call_later(coarse, callback, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
