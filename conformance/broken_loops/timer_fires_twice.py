# A timer that is due fires in two turns (made up). Breaks TIMER-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TIMER-4"


class Loop(asyncio.SelectorEventLoop):
    def call_at(self, when: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        def twice() -> None:
            callback(*args)
            if not handle.cancelled():
                self._ready.append(again)

        again = asyncio.Handle(callback, args, self)
        handle = super().call_at(when, twice, **options)
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
