# Cancelled timers stay in the heap until they are due (zuvloop#15, seed T). Breaks HOLD-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "HOLD-3"


class Loop(asyncio.SelectorEventLoop):
    def _timer_handle_cancelled(self, handle: Any) -> None:
        self.__dict__.setdefault("cancelled", []).append(handle)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
