# getaddrinfo drops the scope of a numeric IPv6 address (uvloop#539, bpo-35545). Breaks DNS-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "DNS-1"


class Loop(asyncio.SelectorEventLoop):
    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        found = await super().getaddrinfo(*args, **options)
        return [(*one[:4], (*one[4][:3], 0) if len(one[4]) == 4 else one[4]) for one in found]


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
