# What datagram_received raises is told, and then the endpoint is closed as a stream would be (made up).
# Breaks DGRAM-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "DGRAM-2"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def _read_ready(self) -> None:
        try:
            super()._read_ready()
        except Exception as error:
            self._fatal_error(error)


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
