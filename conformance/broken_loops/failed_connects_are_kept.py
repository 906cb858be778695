# The exceptions of failed connects are kept (cpython gh-88863, rsloop@0ac2e0e). Breaks CONN-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "CONN-3"


class Loop(asyncio.SelectorEventLoop):
    async def create_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().create_connection(*args, **options)
        except OSError as error:
            self.__dict__.setdefault("kept", []).append(error)
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
