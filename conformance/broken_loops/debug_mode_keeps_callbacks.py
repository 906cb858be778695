# Debug mode keeps every callback for its reports (talyn BUG-217). Breaks DEBUG-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "DEBUG-2"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        if self.get_debug():
            self.__dict__.setdefault("kept", []).append(callback)
        return super().call_soon(callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
