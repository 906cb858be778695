# connection_lost is called once by close and once by the end of the read side (cpython gh-156512).
# Breaks STREAM-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "STREAM-1"


class Between(asyncio.Protocol):
    """Stands between a transport and its protocol."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any) -> None:
        self.loop = loop
        self.protocol = protocol

    def __getattribute__(self, name: str) -> Any:
        if name in ("loop", "protocol", "__class__", "connection_lost"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "protocol"), name)

    def connection_lost(self, exc: Any) -> None:
        self.protocol.connection_lost(exc)
        self.loop.call_soon(self.protocol.connection_lost, exc)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(self, sock: Any, protocol: Any, *args: Any, **options: Any) -> Any:
        return super()._make_socket_transport(sock, Between(self, protocol), *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
