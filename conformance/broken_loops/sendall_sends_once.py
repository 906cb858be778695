# sock_sendall sends what there is room for and calls it all (made up). Breaks SOCK-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOCK-2"


class Loop(asyncio.SelectorEventLoop):
    async def sock_sendall(self, sock: Any, data: Any) -> None:
        try:
            sock.send(data)
        except BlockingIOError:
            await super().sock_sendall(sock, data)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
