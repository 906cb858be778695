# A server that finds two clients at once lets only one of them in (made up, after rsloop@1d04c1c). Breaks SERVER-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SERVER-4"


class Loop(asyncio.SelectorEventLoop):
    busy = False

    async def _accept_connection2(self, factory: Any, conn: Any, *args: Any, **options: Any) -> None:
        if self.busy:
            self.kept = conn
            return
        self.busy = True
        try:
            await super()._accept_connection2(factory, conn, *args, **options)
        finally:
            self.busy = False


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
