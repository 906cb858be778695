# Signal handlers run in the context of whoever runs the loop (uvloop PR#348). Breaks CTX-1.

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

BREAKS = "CTX-1"


class Loop(asyncio.SelectorEventLoop):
    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        super().add_signal_handler(sig, lambda: None)
        self._signal_handlers[sig] = asyncio.Handle(callback, args, self, contextvars.Context())  # type: ignore[attr-defined]


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
