# The socket of get_extra_info stays armed after the transport closed its fd (zuvloop@c3d4765). Breaks CONN-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CONN-2"


class View:
    def __init__(self, sock: Any, number: int) -> None:
        self.sock, self.number = sock, number

    def fileno(self) -> int:
        return self.number

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(*args, **options)
        sock = transport.get_extra_info("socket")
        if sock is not None and not options.get("ssl"):
            number = sock.fileno()
            transport._extra["socket"] = View(sock, number)
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
