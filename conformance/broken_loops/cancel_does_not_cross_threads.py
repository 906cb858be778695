# A cancellation posted by another thread is dropped (U3). Breaks THREAD-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "THREAD-4"


class Loop(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        if getattr(callback, "__name__", "") == "cancel":
            handle.cancel()
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
