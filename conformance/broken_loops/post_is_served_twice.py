# Every tenth post from another thread is served twice (made up). Breaks WAKE-2.

from __future__ import annotations

import asyncio
import threading
from typing import Any

BREAKS = "WAKE-2"


class Loop(asyncio.SelectorEventLoop):
    posts = 0

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self._thread_id not in (None, threading.get_ident()):
            self.posts += 1
            if self.posts % 10 == 0:
                super().call_soon_threadsafe(callback, *args, context=context)
        return super().call_soon_threadsafe(callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
