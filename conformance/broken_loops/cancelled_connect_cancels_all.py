# A connect that is cancelled takes every other one that is under way with it (made up, after uvloop#653).
# Breaks CONNECT-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CONNECT-2"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self.connects: set[asyncio.Task[Any] | None] = set()

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        task = asyncio.current_task()
        self.connects.add(task)
        try:
            await asyncio.sleep(0)
            return await super().create_connection(*args, **options)
        except asyncio.CancelledError:
            for other in self.connects - {task, None}:
                other.cancel()
            raise
        finally:
            self.connects.discard(task)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
