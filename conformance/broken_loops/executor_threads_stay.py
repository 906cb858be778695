# shutdown_default_executor returns without waiting for the threads and leaves the executor in place (H5).
# Breaks THREAD-5.

from __future__ import annotations

import asyncio

BREAKS = "THREAD-5"


class Loop(asyncio.SelectorEventLoop):
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        pass


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
