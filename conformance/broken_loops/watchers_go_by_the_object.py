# A watcher that was added by its number is not found by its socket (made up). Breaks FD-11.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "FD-11"


class Loop(asyncio.SelectorEventLoop):
    def remove_reader(self, fd: Any) -> bool:
        return isinstance(fd, int) and super().remove_reader(fd)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
