# The descriptor of a datagram endpoint is closed once more when the loop runs next (talyn BUG-186). Breaks LIFE-13.

from __future__ import annotations

import asyncio
import asyncio.selector_events
import contextlib
import os
from typing import Any

BREAKS = "LIFE-13"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def _call_connection_lost(self, exc: Any) -> None:
        self._loop.closed_once.append(self._sock_fd)
        super()._call_connection_lost(exc)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self.closed_once: list[int] = []

    def run_forever(self) -> None:
        while self.closed_once:
            with contextlib.suppress(OSError):
                os.close(self.closed_once.pop())
        super().run_forever()

    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
