# A task factory can be set and is never used, so that eager tasks do not start at once (a loop that makes its tasks
# itself). Breaks TASK-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-4"
NEEDS_PYTHON = (3, 12)


class Loop(asyncio.SelectorEventLoop):
    def create_task(self, coro: Any, **options: Any) -> Any:
        options.pop("eager_start", None)
        return asyncio.Task(coro, loop=self, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
