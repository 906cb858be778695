# The handler of a signal is kept when it is replaced (zuvloop#62). Breaks HOLD-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "HOLD-2"


class Loop(asyncio.SelectorEventLoop):
    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        self.__dict__.setdefault("kept", []).append(callback)
        super().add_signal_handler(sig, callback, *args)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
