# write() to a pipe that was closed raises (winloop#84). Breaks CLOSE-1.

from __future__ import annotations

import asyncio
import asyncio.unix_events
from typing import Any

BREAKS = "CLOSE-1"


class Pipe(asyncio.unix_events._UnixWritePipeTransport):
    def write(self, data: Any) -> None:
        if self.is_closing():
            raise RuntimeError("the handle is closed")
        super().write(data)


class Loop(asyncio.SelectorEventLoop):
    def _make_write_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        return Pipe(self, pipe, protocol, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
