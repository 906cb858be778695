# Every hundredth callback is never called (after rsloop PR#57). Breaks SOON-5.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-5"


class Loop(asyncio.SelectorEventLoop):
    asked = 0

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        self.asked += 1
        if self.asked % 100 == 0:
            self._ready.pop()
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
