# An old callback is called for the fd that took over its number (libuv c9406ba0e, pyuv#54). Breaks FD-4.

from __future__ import annotations

import asyncio
import os
from typing import Any

BREAKS = "FD-4"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._mine: dict[int, Any] = {}  # fd -> (inode, callback)

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        inode, old = self._mine.get(number, (0, None))

        def call() -> None:
            if old is not None and os.fstat(number).st_ino != inode:
                old()
            callback(*args)

        self._mine[number] = (os.fstat(number).st_ino, lambda: callback(*args))
        super().add_reader(fd, call)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
