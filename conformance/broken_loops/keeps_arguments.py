# Callbacks and arguments are held until the loop is closed (uvloop#239, uvloop#191). Breaks LIFE-11.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "LIFE-11"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._kept: list[Any] = []

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self._kept.append((callback, args))
        return super().call_soon(callback, *args, context=context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
