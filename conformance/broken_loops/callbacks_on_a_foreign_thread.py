# Posted callbacks run on a worker thread of the loop (T8: TokioLoop's runtime threads). Breaks THREAD-1.

from __future__ import annotations

import asyncio
import threading
from typing import Any

BREAKS = "THREAD-1"


class Loop(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        def elsewhere() -> None:
            worker = threading.Thread(target=callback, args=args)
            worker.start()
            worker.join()

        return super().call_soon_threadsafe(elsewhere, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
