# pause_reading takes effect when the next data has come (T12: TokioLoop polls it every 10 ms). Breaks STREAM-6.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "STREAM-6"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def pause_reading(self) -> None:
        if self.is_reading():
            self._loop.call_later(0.03, super().pause_reading)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
