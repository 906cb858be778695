# The transports of connections are kept (talyn BUG-110). Breaks HOLD-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "HOLD-1"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        made = await super().create_connection(*args, **options)
        self.__dict__.setdefault("kept", []).append(made)
        return made


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
