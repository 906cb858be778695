# What is left over is still there when the loop is closed (uvloop#239). Breaks HOLD-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "HOLD-4"


class Loop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        left: Any = [*self._ready, *self._scheduled] if not self.is_closed() else []
        super().close()
        self.__dict__.setdefault("left", []).extend(left)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
