# Tasks that wait for one future go on in the reverse order (seed D.1, callbacks out of order). Breaks TASK-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "TASK-1"


class Backwards(asyncio.futures._PyFuture):  # type: ignore[misc,name-defined]
    def set_result(self, result: Any) -> None:
        self._callbacks.reverse()
        super().set_result(result)


class Loop(asyncio.SelectorEventLoop):
    def create_future(self) -> Any:
        return Backwards(loop=self)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
