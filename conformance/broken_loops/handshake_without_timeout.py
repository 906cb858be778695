# ssl_handshake_timeout is taken and not obeyed (uvloop@9bc4a20, a waiter that is never woken). Breaks TLS-6.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TLS-6"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        options.pop("ssl_handshake_timeout", None)
        return await super().create_connection(*args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
