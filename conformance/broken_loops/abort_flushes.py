# abort() waits until the buffer is flushed (made up: T13 the other way round). Breaks STREAM-4.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "STREAM-4"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def abort(self) -> None:
        self.close()


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
