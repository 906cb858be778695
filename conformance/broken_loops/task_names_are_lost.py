# create_task takes a name and forgets it (uvloop#746, rloop@8ec4d8f). Breaks TASK-5.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-5"


class Loop(asyncio.SelectorEventLoop):
    def create_task(self, coro: Any, *, name: Any = None, **options: Any) -> Any:
        return super().create_task(coro, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
