# The protocol that set_protocol has replaced goes on getting the data (uvloop#538, in kind). Breaks STREAM-9.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "STREAM-9"


class Loop(asyncio.SelectorEventLoop):
    async def create_unix_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_unix_connection(*args, **options)
        if not isinstance(protocol, asyncio.BufferedProtocol):
            change = transport.set_protocol

            def set_protocol(other: asyncio.BaseProtocol) -> None:
                received = transport.get_protocol().data_received
                change(other)
                other.data_received = received  # type: ignore[attr-defined]

            transport.set_protocol = set_protocol
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
