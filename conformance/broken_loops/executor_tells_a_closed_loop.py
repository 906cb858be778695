# The executor's end is told to a closed loop, and the thread dies of it (zuvloop@f0abf6e). Breaks THREAD-5.

from __future__ import annotations

import asyncio
import threading
from typing import Any

BREAKS = "THREAD-5"
NEEDS_PYTHON = (3, 12)


class Loop(asyncio.SelectorEventLoop):
    async def shutdown_default_executor(self, timeout: Any = None) -> None:
        executor, self._default_executor = self._default_executor, None  # type: ignore[has-type]
        self._executor_shutdown_called = True
        ended = self.create_future()

        def wait() -> None:
            executor.shutdown(wait=True)
            self.call_soon_threadsafe(lambda: ended.done() or ended.set_result(None))

        if executor is not None:
            threading.Thread(target=wait).start()
            await asyncio.wait({ended}, timeout=timeout)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
