# The loop aborts the process when a descriptor of its own has one of the numbers 0 to 2 (uvloop#580). Breaks LIFE-13.

from __future__ import annotations

import asyncio
import os

BREAKS = "LIFE-13"


class Loop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        if not self.is_closed() and self._selector.fileno() <= 2:  # type: ignore[attr-defined]
            os.abort()
        super().close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
