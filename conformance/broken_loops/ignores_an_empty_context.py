# context= is dropped when the context is empty, because it is falsy (asynkit E4). Breaks SOON-6.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-6"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(callback, *args, context=context or None)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
