# What a protocol factory raises is replaced by a plain protocol (zuvloop@131bb3a). Breaks RAISE-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "RAISE-4"


class Loop(asyncio.SelectorEventLoop):
    async def create_datagram_endpoint(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        def factory() -> Any:
            try:
                return protocol_factory()
            except Exception:
                return asyncio.DatagramProtocol()

        return await super().create_datagram_endpoint(factory, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
