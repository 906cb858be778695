# An exception in buffer_updated is reported and the connection stays (zuvloop#23). Breaks BUF-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "BUF-2"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _fatal_error(self, exc: Any, message: str = "") -> None:
        if "buffer_updated" in message:
            self._loop.call_exception_handler({"message": message, "exception": exc})
            return
        super()._fatal_error(exc, message)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
