# close() of a TLS connection sends neither what waits nor a close_notify (uvloop@6476aad, data lost when TLS is shut
# down). Breaks TLS-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TLS-3"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(*args, **options)
        if options.get("ssl"):
            transport.close = transport.abort
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
