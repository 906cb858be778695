# Exceptions of callbacks are swallowed: the exception handler is not called (T3, T16). Breaks ERR-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "ERR-2"


class Loop(asyncio.SelectorEventLoop):
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if "handle" not in context:
            super().call_exception_handler(context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
