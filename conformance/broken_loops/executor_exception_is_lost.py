# run_in_executor gives None when the function raises (T16). Breaks THREAD-5.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "THREAD-5"


class Loop(asyncio.SelectorEventLoop):
    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        def quiet() -> Any:
            try:
                return func(*args)
            except Exception:
                return None

        return super().run_in_executor(executor, quiet)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
