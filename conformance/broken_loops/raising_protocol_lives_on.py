# An exception in data_received is logged and the next data is delivered (zuvloop#23). Breaks RAISE-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "RAISE-2"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _fatal_error(self, exc: Any, message: str = "") -> None:
        if "data_received" in message:
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
