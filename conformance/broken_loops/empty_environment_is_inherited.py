# An empty environment is taken for none: the child inherits its parent's (uvloop#439, zuvloop#32). Breaks PROC-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "PROC-1"


class Loop(asyncio.SelectorEventLoop):
    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        options["env"] = options.get("env") or None
        return await super().subprocess_exec(*args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
