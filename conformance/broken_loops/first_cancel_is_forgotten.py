# cancel() of a task is forgotten while its first step is due (uringcore@adc108c). Breaks TASK-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-2"


class Loop(asyncio.SelectorEventLoop):
    def create_task(self, coro: Any, **options: Any) -> Any:
        async def begins() -> Any:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass
            return await coro

        return super().create_task(begins(), **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
