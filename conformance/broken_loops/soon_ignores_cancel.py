# cancel() of a callback that is in the ready queue does nothing (made up). Breaks SOON-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOON-4"


class Deaf(asyncio.Handle):
    def cancel(self) -> None:
        pass


class Loop(asyncio.SelectorEventLoop):
    def _call_soon(self, callback: Any, args: Any, context: Any = None) -> asyncio.Handle:
        handle = Deaf(callback, args, self, context)
        self._ready.append(handle)
        return handle


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
