# An exception in data_received reaches the handler, and the next data comes as if nothing had been (zuvloop#23).
# Breaks ERR-4.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "ERR-4"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        if "data_received" in message:
            self._loop.call_exception_handler({"message": message, "exception": exc, "transport": self})
        else:
            super()._fatal_error(exc, message)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
