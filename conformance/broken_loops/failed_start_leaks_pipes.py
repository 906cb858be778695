# A child that cannot be started leaves its pipes open (bpo-35721, uvloop PR#187). Breaks PROC-5.

from __future__ import annotations

import asyncio
import os
from typing import Any

BREAKS = "PROC-5"


class Loop(asyncio.SelectorEventLoop):
    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().subprocess_exec(*args, **options)
        except OSError:
            self.leaked = (*getattr(self, "leaked", ()), os.dup(0))
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
