# start_tls drops the bytes that arrive while it begins (uvloop#707, bytes that were read ahead). Breaks TLS-5.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TLS-5"


class Loop(asyncio.SelectorEventLoop):
    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> Any:
        if options.get("server_side"):
            transport.resume_reading()
            await asyncio.sleep(0.005)
        return await super().start_tls(transport, protocol, sslcontext, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
