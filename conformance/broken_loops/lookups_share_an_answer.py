# Lookups that run at the same time get the answer of the first (talyn BUG-131, answers that are kept). Breaks DNS-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "DNS-2"


class Loop(asyncio.SelectorEventLoop):
    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        pending = self.__dict__.setdefault("pending", [])
        pending.append(asyncio.ensure_future(super().getaddrinfo(*args, **options)))
        try:
            return await asyncio.shield(pending[0])
        finally:
            self.call_soon(pending.clear)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
