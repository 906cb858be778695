# Readers are called on a worker thread of the loop (T8). Breaks THREAD-1.

from __future__ import annotations

import asyncio
import threading
from typing import Any

BREAKS = "THREAD-1"


class Loop(asyncio.SelectorEventLoop):
    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        def elsewhere() -> None:
            worker = threading.Thread(target=callback, args=args)
            worker.start()
            worker.join()

        super().add_reader(fd, elsewhere)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
