# close() takes effect a few turns later, and until then data is delivered (after T12). Breaks CLOSE-1.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "CLOSE-1"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def close(self) -> None:
        self._loop.call_later(0.003, super().close)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
