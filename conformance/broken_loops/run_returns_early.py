# run_forever returns when nothing is scheduled (uv_run's way). Breaks LIFE-8.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-8"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        if not self._ready and not self._scheduled and len(self._selector.get_map()) == 1:
            self.stop()
        super()._run_once()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
