# The file of a pipe is closed a second time after connection_lost (uvloop#763). Breaks PIPE-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "PIPE-3"


class Loop(asyncio.SelectorEventLoop):
    def _make_read_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        made = super()._make_read_pipe_transport(pipe, protocol, waiter, extra)  # type: ignore[misc]
        plain = made._call_connection_lost
        made._call_connection_lost = lambda exc: (plain(exc), pipe.close())
        return made


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
