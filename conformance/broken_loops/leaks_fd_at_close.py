# close() leaves one fd of the loop open (H2, T4). Breaks LIFE-3.

from __future__ import annotations

import asyncio
import os

BREAKS = "LIFE-3"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._spare, self._wake = os.pipe()

    def close(self) -> None:
        if not self.is_closed():
            os.close(self._wake)
        super().close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
