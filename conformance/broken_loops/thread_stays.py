# The loop's helper thread outlives close() (T8, H5). Breaks LIFE-6.

from __future__ import annotations

import asyncio
import threading

BREAKS = "LIFE-6"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
