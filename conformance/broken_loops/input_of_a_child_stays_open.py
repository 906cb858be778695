# Closing the stdin of a child does not close the pipe: the child never sees its end (zuvloop@5310b9d). Breaks PROC-4.

from __future__ import annotations

import asyncio
import os
from typing import Any

BREAKS = "PROC-4"


class Loop(asyncio.SelectorEventLoop):
    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().subprocess_exec(*args, **options)
        pipe = transport.get_pipe_transport(0)
        if pipe is not None:
            held = os.dup(pipe.get_extra_info("pipe").fileno())
            self.call_later(3600, os.close, held)
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
