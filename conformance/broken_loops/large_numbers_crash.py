# A delay beyond 2**63 ns ends in an error that nobody expects (rsloop#48, talyn BUG-185). Breaks NUM-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "NUM-1"


class Loop(asyncio.SelectorEventLoop):
    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if delay != delay or abs(delay) > 2**63 / 1e9:
            raise SystemError("timespec is out of range")
        return super().call_later(delay, callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
