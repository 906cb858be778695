# call_later(None) is taken for call_later(0), and hides the mistake of its caller (made up). Breaks TIMER-11.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TIMER-11"


class Loop(asyncio.SelectorEventLoop):
    def call_later(self, delay: Any, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return super().call_later(delay or 0, callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
