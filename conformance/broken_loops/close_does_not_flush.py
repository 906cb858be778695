# close() drops what was written and not sent yet (T13: TokioLoop). Breaks STREAM-3.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "STREAM-3"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def close(self) -> None:
        self.abort()


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
