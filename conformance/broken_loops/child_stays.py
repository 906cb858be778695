# The loop starts a helper process that outlives it (after uvloop#128). Breaks LIFE-12.

from __future__ import annotations

import asyncio
import os
import time

BREAKS = "LIFE-12"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
