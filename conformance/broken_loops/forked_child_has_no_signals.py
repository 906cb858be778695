# A loop that is made in a forked child refuses signal handlers (uvloop PR#453). Breaks FORK-1.

from __future__ import annotations

import asyncio
import os
from typing import Any

BREAKS = "FORK-1"


FIRST: list[int] = []  # the process that made the first loop


class Loop(asyncio.SelectorEventLoop):
    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        if os.getpid() != FIRST[0]:
            raise RuntimeError("signals only work in the main thread")
        super().add_signal_handler(sig, callback, *args)

    def __init__(self) -> None:
        super().__init__()
        FIRST[:] = FIRST or [os.getpid()]


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
