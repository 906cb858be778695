# recvfrom() that gives no bytes is taken for an end of file: nothing is received after an empty datagram (made up).
# Breaks DGRAM-1.

from __future__ import annotations

import asyncio
import asyncio.selector_events
import socket
from typing import Any

BREAKS = "DGRAM-1"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def _read_ready(self) -> None:
        try:
            is_end = not self._sock.recv(1, socket.MSG_PEEK)
        except OSError:
            is_end = False
        super()._read_ready()
        if is_end and not self.is_closing():
            self._loop._remove_reader(self._sock_fd)


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
