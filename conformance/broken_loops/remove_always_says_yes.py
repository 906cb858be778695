# remove_reader says True though there was nothing to remove (made up). Breaks FD-8.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "FD-8"


class Loop(asyncio.SelectorEventLoop):
    def remove_reader(self, fd: Any) -> bool:
        super().remove_reader(fd)
        return True


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
