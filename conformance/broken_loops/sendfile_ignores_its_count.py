# sendfile sends the whole file, whatever the count (bpo-37279). Breaks SENDFILE-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SENDFILE-1"


class Loop(asyncio.SelectorEventLoop):
    async def sendfile(
        self, transport: Any, file: Any, offset: int = 0, count: Any = None, *, fallback: bool = True
    ) -> Any:
        return await super().sendfile(transport, file, offset, None, fallback=fallback)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
