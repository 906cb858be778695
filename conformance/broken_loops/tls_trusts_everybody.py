# A client verifies neither the certificate nor the name of its server (seed E, a context that is replaced by an own
# one; rsloop#37). Breaks TLS-4.

from __future__ import annotations

import asyncio
import ssl
from typing import Any

BREAKS = "TLS-4"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        if options.get("ssl"):
            options["ssl"] = context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return await super().create_connection(*args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
