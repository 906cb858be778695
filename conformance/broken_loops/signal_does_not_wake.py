# A signal's handler is queued but the sleeping loop is not woken (T7: TokioLoop's _sig_add stub).
# Breaks SIGNAL-1.

from __future__ import annotations

import asyncio
import signal
from typing import Any

BREAKS = "SIGNAL-1"


class Loop(asyncio.SelectorEventLoop):
    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        super().add_signal_handler(sig, callback, *args)
        signal.set_wakeup_fd(-1)
        signal.signal(sig, lambda *_: self.call_soon(callback, *args) and None)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
