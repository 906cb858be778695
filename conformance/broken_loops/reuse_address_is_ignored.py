# create_datagram_endpoint takes reuse_address and does as if nothing was asked for (bpo-37228). Breaks DGRAM-5.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "DGRAM-5"


class Loop(asyncio.SelectorEventLoop):
    async def create_datagram_endpoint(self, *args: Any, reuse_address: Any = None, **options: Any) -> Any:
        return await super().create_datagram_endpoint(*args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
