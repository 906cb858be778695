# Every fiftieth callback runs twice (after libuv 2e131237e). Breaks SOON-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-3"


class Loop(asyncio.SelectorEventLoop):
    asked = 0

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        self.asked += 1
        if self.asked % 50 == 0:
            self._ready.append(handle)
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
