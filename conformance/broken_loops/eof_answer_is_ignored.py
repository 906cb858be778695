# The transport closes at end of file whatever eof_received answers (T9: TokioLoop). Breaks STREAM-7.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "STREAM-7"


class Between(asyncio.Protocol):
    """Stands between a transport and its protocol."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any) -> None:
        self.loop = loop
        self.protocol = protocol

    def __getattribute__(self, name: str) -> Any:
        if name in ("loop", "protocol", "__class__", "eof_received"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "protocol"), name)

    def eof_received(self) -> bool:
        self.protocol.eof_received()
        return False


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(self, sock: Any, protocol: Any, *args: Any, **options: Any) -> Any:
        return super()._make_socket_transport(sock, Between(self, protocol), *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
