# Datagrams that the kernel does not take at once are dropped (talyn BUG-034). Breaks DGRAM-3.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "DGRAM-3"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def sendto(self, data: Any, addr: Any = None) -> None:
        super().sendto(data, addr)
        self._buffer.clear()
        self._buffer_size = 0
        self._loop._remove_writer(self._sock_fd)
        self._maybe_resume_protocol()


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
