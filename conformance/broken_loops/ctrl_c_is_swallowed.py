# KeyboardInterrupt does not leave the loop (T7, rsloop#32). Breaks SIGNAL-2.

from __future__ import annotations

import asyncio
import contextlib

BREAKS = "SIGNAL-2"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            super()._run_once()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
