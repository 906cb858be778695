# The exception of a failed connect is held by a variable of its own traceback (cpython gh-88863). Breaks CONN-4.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CONN-4"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        errors = []
        try:
            return await super().create_connection(*args, **options)
        except OSError as error:
            errors.append(error)
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
