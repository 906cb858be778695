# A signal that comes before the run is forgotten (uvloop sets the wakeup fd in the run). Breaks LIVE-2.

from __future__ import annotations

import asyncio
import contextlib

BREAKS = "LIVE-2"


class Loop(asyncio.SelectorEventLoop):
    def run_forever(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._ssock.recv(4096):  # type: ignore[attr-defined]
                pass
        super().run_forever()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
