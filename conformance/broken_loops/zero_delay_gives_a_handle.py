# call_later(0) gives a Handle with no when() (uvloop#482). Breaks TIMER-8.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TIMER-8"


class Loop(asyncio.SelectorEventLoop):
    def call_later(self, delay: float, callback: Any, *args: Any, **options: Any) -> Any:
        if delay <= 0:
            return self.call_soon(callback, *args, **options)
        return super().call_later(delay, callback, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
