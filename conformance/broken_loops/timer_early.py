# Delays are rounded down to whole milliseconds (after uvloop#739). Breaks TIMER-1.

from __future__ import annotations

import asyncio
import math
from typing import Any

BREAKS = "TIMER-1"


class Loop(asyncio.SelectorEventLoop):
    def call_later(self, delay: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        whole = delay if not math.isfinite(delay) else math.floor(delay * 1000) / 1000
        return super().call_later(whole, callback, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
