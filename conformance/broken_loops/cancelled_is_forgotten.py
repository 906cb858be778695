# cancel() of a callback that has run is forgotten: cancelled() goes on saying no (made up). Breaks SOON-7.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-7"


class Forgetful(asyncio.Handle):
    has_run = False

    def _run(self) -> None:
        self.has_run = True
        super()._run()

    def cancel(self) -> None:
        if not self.has_run:
            super().cancel()


class Loop(asyncio.SelectorEventLoop):
    def _call_soon(self, callback: Any, args: Any, context: Any = None) -> asyncio.Handle:
        handle = Forgetful(callback, args, self, context)
        self._ready.append(handle)
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
