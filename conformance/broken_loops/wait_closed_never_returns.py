# wait_closed() of a server waits for ever once one waits already (zuvloop#31). Breaks SERVER-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SERVER-3"


class Loop(asyncio.SelectorEventLoop):
    async def create_server(self, *args: Any, **options: Any) -> Any:
        server = await super().create_server(*args, **options)
        plain, waits = server.wait_closed, []

        async def wait_closed() -> None:
            waits.append(1)
            await (plain() if len(waits) == 1 else self.create_future())

        server.wait_closed = wait_closed
        return server


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
