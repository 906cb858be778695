# A UNIX server removes its path when it is closed, though another owns it now (zuvloop@495fd91). Breaks UNIX-2.

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

BREAKS = "UNIX-2"


class Loop(asyncio.SelectorEventLoop):
    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **options: Any) -> Any:
        server = await super().create_unix_server(protocol_factory, path, **options)
        plain = server.close

        def close() -> None:
            plain()
            if path is not None:
                with contextlib.suppress(OSError, ValueError):
                    os.unlink(path)

        server.close = close
        return server


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
