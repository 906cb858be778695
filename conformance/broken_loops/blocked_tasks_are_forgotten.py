# A task that waits for a future made by the loop is missing from all_tasks() meanwhile (talyn BUG-268). Breaks TASK-6.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-6"


class Future(asyncio.futures._PyFuture):  # type: ignore[misc,name-defined]
    def __await__(self) -> Any:
        task = asyncio.current_task(self._loop)
        if not self.done():
            asyncio.tasks._unregister_task(task)
        result = yield from super().__await__()
        asyncio.tasks._register_task(task)
        return result

    __iter__ = __await__


class Loop(asyncio.SelectorEventLoop):
    def create_future(self) -> Any:
        return Future(loop=self)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
