# sock_connect takes away the watchers of the socket, also that of a call that waits (bpo-32015). Breaks SOCK-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SOCK-2"


class Loop(asyncio.SelectorEventLoop):
    async def sock_connect(self, sock: Any, address: Any) -> None:
        self._remove_reader(sock.fileno())  # type: ignore[attr-defined]
        await super().sock_connect(sock, address)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
