# call_at drops the fraction of a second of its deadline (rloop#9). Breaks TIMER-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TIMER-1"


class Loop(asyncio.SelectorEventLoop):
    def call_at(self, when: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        whole = when // 0.02 * 0.02
        return super().call_at(whole, callback, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
