# A create_connection that is cancelled leaves the task that connects (uvloop#645, python/asyncio#205). Breaks CONN-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CONN-1"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return await asyncio.shield(super().create_connection(*args, **options))


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
