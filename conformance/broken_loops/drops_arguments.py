# Callbacks with more than one argument get the first alone (made up). Breaks SOON-6.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-6"


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(callback, *args[:1], context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
