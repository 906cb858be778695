# A read pipe forgets what came with the end of file (libuv 2e2114ed8). Breaks PIPE-1.

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from typing import Any

BREAKS = "PIPE-1"


class Loop(asyncio.SelectorEventLoop):
    def _make_read_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        made = super()._make_read_pipe_transport(pipe, protocol, waiter, extra)  # type: ignore[misc]
        plain = made._read_ready

        def read_ready() -> None:
            poller = select.poll()
            poller.register(made._fileno, select.POLLIN)
            if any(events & select.POLLHUP for _, events in poller.poll(0)):
                with contextlib.suppress(OSError):
                    while os.read(made._fileno, 65536):
                        pass
            plain()

        made._read_ready = read_ready
        return made


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
