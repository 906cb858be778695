# Debug mode does not tell of slow callbacks (cpython gh-155338, debug mode without effect). Breaks DEBUG-1.

from __future__ import annotations

import asyncio

BREAKS = "DEBUG-1"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        is_on, self._debug = self._debug, False  # type: ignore[has-type]
        try:
            super()._run_once()  # type: ignore[misc]
        finally:
            self._debug = is_on


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
