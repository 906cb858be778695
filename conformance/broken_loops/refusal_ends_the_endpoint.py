# A refused datagram closes its endpoint (cpython gh-156784, uvloop#338). Breaks DGRAM-2.

from __future__ import annotations

import asyncio
import asyncio.selector_events
import socket
from typing import Any

BREAKS = "DGRAM-2"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def _read_ready(self) -> None:
        if self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fatal_error(ConnectionRefusedError())
            return
        super()._read_ready()


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
