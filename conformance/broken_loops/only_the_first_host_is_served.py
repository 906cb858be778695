# create_server with several hosts listens at the first of them alone (made up). Breaks SERVER-5.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SERVER-5"


class Loop(asyncio.SelectorEventLoop):
    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        first = host[0] if isinstance(host, (list, tuple)) and host else host
        return await super().create_server(factory, first, port, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
