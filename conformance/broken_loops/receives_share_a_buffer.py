# sock_recv_into fills a buffer from its start, whatever part of it was given (talyn BUG-256). Breaks SOCK-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOCK-2"


class Loop(asyncio.SelectorEventLoop):
    async def sock_recv_into(self, sock: Any, buffer: Any) -> int:
        whole = buffer.obj if isinstance(buffer, memoryview) else buffer
        return await super().sock_recv_into(sock, memoryview(whole)[: len(buffer)])


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
