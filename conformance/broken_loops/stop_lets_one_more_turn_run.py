# stop() is itself a callback, so that what is asked for after it still runs (uvloop's stop, bpo-25593).
# Breaks LIFE-2.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-2"


class Loop(asyncio.SelectorEventLoop):
    def stop(self) -> None:
        self.call_soon(super().stop)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
