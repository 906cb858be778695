# An abstract address is cut at its second zero (uvloop#528, zuvloop#86). Breaks UNIX-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "UNIX-1"


class Loop(asyncio.SelectorEventLoop):
    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **options: Any) -> Any:
        if isinstance(path, str) and path.startswith("\0"):
            path = "\0" + path[1:].split("\0")[0]
        return await super().create_unix_server(protocol_factory, path, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
