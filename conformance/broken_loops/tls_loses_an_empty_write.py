# An empty write over TLS takes the write before it with it (picows#40, writes that overtake each other).
# Breaks TLS-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TLS-2"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(*args, **options)
        if options.get("ssl"):
            plain, held = transport.write, [b""]

            def write(data: Any) -> None:
                if not data:
                    held[0] = b""
                    return
                plain(held[0])
                held[0] = bytes(data)
                self.call_soon(flush)

            def flush() -> None:
                plain(held[0])
                held[0] = b""

            transport.write = write
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
