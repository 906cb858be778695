# The transport of a TLS connection knows nothing of its handshake (zuvloop@56e5339: get_extra_info was None).
# Breaks TLS-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TLS-1"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(*args, **options)
        if options.get("ssl"):
            transport.get_extra_info = lambda name, default=None: default
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
