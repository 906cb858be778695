# Of sends that fail at once only the first is told (talyn BUG-004, its error path). Breaks DGRAM-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "DGRAM-2"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    was_told = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        if len(data) <= 65507 or not self.was_told:
            super().sendto(data, addr)
        self.was_told = self.was_told or len(data) > 65507


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
