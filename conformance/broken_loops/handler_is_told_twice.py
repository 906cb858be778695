# The exception handler is called twice for each exception (made up). Breaks ERR-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "ERR-2"


class Loop(asyncio.SelectorEventLoop):
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        super().call_exception_handler(context)
        super().call_exception_handler(context)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
