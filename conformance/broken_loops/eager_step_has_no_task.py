# In the first step of an eager task that a callback starts no task is current (py-asynkit@f6b79a8). Breaks TASK-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-4"
NEEDS_PYTHON = (3, 12)


class Loop(asyncio.SelectorEventLoop):
    def create_task(self, coro: Any, **options: Any) -> Any:
        eager = self.get_task_factory() is asyncio.eager_task_factory
        if not eager or asyncio.current_task(self) is not None:
            return super().create_task(coro, **options)
        try:
            coro.send(None)
        except StopIteration:
            return asyncio.Task(asyncio.sleep(0), loop=self)
        raise NotImplementedError("a first step that waits")


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
