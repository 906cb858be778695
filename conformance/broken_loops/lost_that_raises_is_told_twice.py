# An exception in connection_lost is told to the handler by two layers (talyn BUG-170). Breaks RAISE-1.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "RAISE-1"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _call_connection_lost(self, exc: Any) -> None:
        try:
            super()._call_connection_lost(exc)
        except BaseException as error:
            self_loop = asyncio.get_running_loop()
            self_loop.call_exception_handler({"message": "connection_lost", "exception": error})
            raise


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
