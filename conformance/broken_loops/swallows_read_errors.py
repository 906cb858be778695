# A reset of the connection is taken for its orderly end: connection_lost is given no error (after T3). Breaks CLOSE-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "CLOSE-2"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _fatal_error(self, exc: Any, message: str = "") -> None:
        self._force_close(None if isinstance(exc, ConnectionError) else exc)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
