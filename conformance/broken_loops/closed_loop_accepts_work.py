# A closed loop takes callbacks and never calls them (made up). Breaks LIFE-5.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "LIFE-5"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.is_closed():
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon(callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
