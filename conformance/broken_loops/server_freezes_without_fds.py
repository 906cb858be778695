# A server that cannot accept for want of fds never accepts again (talyn@fa1c6ba). Breaks SERVER-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SERVER-2"


class Loop(asyncio.SelectorEventLoop):
    def call_exception_handler(self, context: Any) -> None:
        if "out of system resource" in str(context.get("message")):
            self.is_frozen = True
        super().call_exception_handler(context)

    def _start_serving(self, *args: Any, **options: Any) -> None:
        if not getattr(self, "is_frozen", False):
            super()._start_serving(*args, **options)  # type: ignore[misc]


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
