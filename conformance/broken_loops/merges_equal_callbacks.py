# A callback that is asked for while an equal one waits is merged with it (after uv_async's coalescing).
# Breaks SOON-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-3"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if len(self._ready) > 1 and self._ready[-2]._callback == callback and self._ready[-2]._args == args:
            self._ready.pop()
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
