# A transport that was not closed closes itself in its finaliser by a call of the closed loop (gh-92841). Breaks LIFE-5.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "LIFE-5"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def __del__(self) -> None:
        if self._sock is not None:
            sock, self._sock = self._sock, None
            sock.close()
            self._loop.call_soon(sock.close)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(self, sock: Any, protocol: Any, waiter: Any = None, **options: Any) -> Any:
        return Transport(self, sock, protocol, waiter, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
