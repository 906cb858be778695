# A task that was waiting goes on before those that became ready earlier (seed D.1). Breaks TASK-6.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-6"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if args and isinstance(args[0], asyncio.Future):  # a future tells one that waited for it
            self._ready.rotate(1)  # type: ignore[attr-defined]
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
