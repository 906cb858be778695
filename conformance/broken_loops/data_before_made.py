# connection_made is put off until the connection is used, so that data may come first (T12: TokioLoop).
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
        if name in ("loop", "protocol", "__class__", "connection_made"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "protocol"), name)

    def connection_made(self, transport: Any) -> None:
        self.loop.call_later(0.005, self.protocol.connection_made, transport)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(self, sock: Any, protocol: Any, *args: Any, **options: Any) -> Any:
        return super()._make_socket_transport(sock, Between(self, protocol), *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
