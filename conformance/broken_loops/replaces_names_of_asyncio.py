# The import of the loop replaces asyncio.get_running_loop with a function of its own (tokioloop). Breaks LIFE-14.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "LIFE-14"

original = asyncio.get_running_loop


def get_running_loop() -> Any:
    return original()


asyncio.get_running_loop = get_running_loop


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
