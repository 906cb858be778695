# Posts that wait together are served last in, first out (made up). Breaks WAKE-3.

from __future__ import annotations

import asyncio
import threading
from typing import Any

BREAKS = "WAKE-3"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._stack: list[asyncio.Handle] = []

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self._thread_id == threading.get_ident():
            return super().call_soon_threadsafe(callback, *args, context=context)
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._stack.append(handle)
        super().call_soon_threadsafe(self._unload)
        return handle

    def _unload(self) -> None:
        while self._stack:
            self._ready.append(self._stack.pop())


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
