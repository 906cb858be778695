# A context that is given to a timer is copied (asynkit E4; talyn BUG-215). Breaks CTX-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CTX-2"


class Loop(asyncio.SelectorEventLoop):
    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_at(when, callback, *args, context=None if context is None else context.copy())


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
