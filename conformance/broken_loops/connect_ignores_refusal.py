# create_connection to a closed port never ends: sock_connect waits for an fd that it does not look at again (made up).
# Breaks CONNECT-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CONNECT-1"


class Loop(asyncio.SelectorEventLoop):
    async def sock_connect(self, sock: Any, address: Any) -> None:
        try:
            await super().sock_connect(sock, address)
        except ConnectionRefusedError:
            await self.create_future()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
