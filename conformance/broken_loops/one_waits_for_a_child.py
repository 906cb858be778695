# Only the first who waits for a child is told its status (libuv bae2992cb, exits that were missed). Breaks PROC-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "PROC-3"


class Loop(asyncio.SelectorEventLoop):
    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().subprocess_exec(*args, **options)
        plain, waits = transport._wait, []

        async def wait() -> Any:
            waits.append(1)
            return await (plain() if len(waits) == 1 else self.create_future())

        transport._wait = wait
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
