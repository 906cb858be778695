# call_soon inside a callback calls back from within the call (after T1, for call_soon). Breaks SOON-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-2"


class Loop(asyncio.SelectorEventLoop):
    depth = 0

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if self.is_running() and self.depth < 20:
            self._ready.pop()
            self.depth += 1
            handle._run()
            self.depth -= 1
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
