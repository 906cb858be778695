# call_soon puts callbacks at the front of the queue (after libuv's idle handles). Breaks SOON-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-1"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        self._ready.rotate(1)
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
