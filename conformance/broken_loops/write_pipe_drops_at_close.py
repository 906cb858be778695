# close() of a write pipe drops what waits (cpython gh-70850). Breaks PIPE-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "PIPE-2"


class Loop(asyncio.SelectorEventLoop):
    def _make_write_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        made = super()._make_write_pipe_transport(pipe, protocol, waiter, extra)  # type: ignore[misc]
        made.close = made.abort
        return made


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
