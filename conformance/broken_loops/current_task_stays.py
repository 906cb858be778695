# A task that raised stays the current one (talyn BUG-197). Breaks TASK-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-3"


class Loop(asyncio.SelectorEventLoop):
    def run_until_complete(self, future: Any) -> Any:
        task = asyncio.ensure_future(future, loop=self)
        try:
            return super().run_until_complete(task)
        except BaseException:
            asyncio.tasks._enter_task(self, task)  # type: ignore[attr-defined]
            self.call_soon(asyncio.tasks._leave_task, self, task)  # type: ignore[attr-defined]
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
