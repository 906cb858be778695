# A negative delay wraps round to a very long one (talyn BUG-245). Breaks TIMER-7.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TIMER-7"


class Loop(asyncio.SelectorEventLoop):
    def call_later(self, delay: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        return super().call_later(delay if delay >= 0 else delay + 2**32, callback, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
