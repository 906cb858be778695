# sock_recv gives b"" for a connection that was reset (zuvloop#45, errors that are swallowed). Breaks SOCK-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOCK-1"


class Loop(asyncio.SelectorEventLoop):
    async def sock_recv(self, sock: Any, count: int) -> Any:
        try:
            return await super().sock_recv(sock, count)
        except ConnectionResetError:
            return b""


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
