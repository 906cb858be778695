# An exception in one callback drops the rest of the ready batch (after rsloop PR#57). Breaks ERR-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "ERR-1"


class Loop(asyncio.SelectorEventLoop):
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._ready.clear()
        super().call_exception_handler(context)

    def _run_once(self) -> None:
        ready = self._ready
        try:
            super()._run_once()
        except IndexError:
            ready.clear()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
