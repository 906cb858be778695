# A write that finds the kernel's buffer full goes before those that wait (made up). Breaks STREAM-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "STREAM-2"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def write(self, data: Any) -> None:
        if self._buffer:
            waiting = bytes(self._buffer) if isinstance(self._buffer, bytearray) else b"".join(self._buffer)
            self._buffer.clear()
            super().write(data)
            super().write(waiting)
        else:
            super().write(data)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
