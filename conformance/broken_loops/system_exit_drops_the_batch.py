# SystemExit leaves run_forever and takes the rest of the ready batch with it (rsloop PR#57, talyn BUG-024).
# Breaks ERR-3.

from __future__ import annotations

import asyncio

BREAKS = "ERR-3"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        try:
            super()._run_once()
        except (SystemExit, KeyboardInterrupt):
            self._ready.clear()
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
