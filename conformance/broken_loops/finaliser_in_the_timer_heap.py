# Cancelled timers are let go while the heap is walked: what their finalisers ask for is lost (zuvloop#15).
# Breaks INSIDE-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "INSIDE-2"


class Loop(asyncio.SelectorEventLoop):
    def _timer_handle_cancelled(self, handle: Any) -> None:
        heap = [one for one in self._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        self.is_walking = True
        handle._callback = handle._args = None
        self.is_walking = False
        self._scheduled = heap

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = super().call_soon(callback, *args, context=context)
        if getattr(self, "is_walking", False):
            self._ready.pop()  # type: ignore[attr-defined]
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
