# Limits of the write buffer that contradict each other are taken (zuvloop#79). Breaks NUM-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "NUM-2"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        self._high_water, self._low_water = high or 0, low or 0


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
