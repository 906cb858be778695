# A delay too large for 32-bit milliseconds wraps round to zero (uvloop#259). Breaks TIMER-9.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TIMER-9"


class Loop(asyncio.SelectorEventLoop):
    def call_later(self, delay: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        return super().call_later(delay if delay < 2**32 / 1000 else 0, callback, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
