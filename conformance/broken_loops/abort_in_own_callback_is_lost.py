# abort() inside data_received or eof_received is forgotten (uvloop#538). Breaks INSIDE-1.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "INSIDE-1"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    is_reading = False

    def _read_ready(self) -> None:
        self.is_reading = True
        try:
            super()._read_ready()
        finally:
            self.is_reading = False

    def abort(self) -> None:
        if self.is_reading:
            self._closing = True
            self._conn_lost += 1
            self._loop._remove_reader(self._sock_fd)
        else:
            super().abort()


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
