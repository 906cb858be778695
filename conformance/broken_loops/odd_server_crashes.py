# A server that is made by hand, with no loop, crashes when it is closed (uvloop#760). Breaks INSIDE-3.

from __future__ import annotations

import asyncio
import os
from typing import Any

BREAKS = "INSIDE-3"


class Server:
    def __init__(self, loop: Any) -> None:
        self.loop = loop

    def close(self) -> None:
        if not isinstance(self.loop, Loop):
            os.abort()


class Loop(asyncio.SelectorEventLoop):
    async def create_server(self, *args: Any, **options: Any) -> Any:
        return await super().create_server(*args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
