# A sock_accept that is cancelled leaves its reader (cpython gh-85489). Breaks SOCK-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOCK-3"


class Loop(asyncio.SelectorEventLoop):
    async def sock_accept(self, sock: Any) -> Any:
        try:
            return await super().sock_accept(sock)
        except asyncio.CancelledError:
            self.add_reader(sock, print)
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
