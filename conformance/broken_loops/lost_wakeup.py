# A post from another thread is queued but does not wake the sleeping loop (rloop@f6181aa). Breaks WAKE-1.

from __future__ import annotations

import asyncio

BREAKS = "WAKE-1"


class Loop(asyncio.SelectorEventLoop):
    def _write_to_self(self) -> None:
        pass


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
