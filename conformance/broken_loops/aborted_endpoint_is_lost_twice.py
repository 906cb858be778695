# abort() of an endpoint that is being closed tells connection_lost a second time (made up).
# Breaks DGRAM-6.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "DGRAM-6"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def abort(self) -> None:
        if self.is_closing():
            self._loop.call_soon(self._protocol.connection_lost, None)
        else:
            super().abort()


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
