# The contexts of callbacks are kept (uvloop#191). Breaks CTX-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CTX-3"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self.__dict__.setdefault("kept", []).append(context)
        return super().call_soon(callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
