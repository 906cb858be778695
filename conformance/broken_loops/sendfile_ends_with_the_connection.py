# sendfile returns as if it were done when its connection is reset (talyn BUG-015). Breaks SENDFILE-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SENDFILE-2"


class Loop(asyncio.SelectorEventLoop):
    async def sock_sendfile(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().sock_sendfile(*args, **options)
        except ConnectionError:
            return 0


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
