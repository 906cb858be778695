# Datagrams that were there when the endpoint was closed are still delivered (zuvloop#77). Breaks DGRAM-4.

from __future__ import annotations

import asyncio
import asyncio.selector_events
import contextlib
from typing import Any

BREAKS = "DGRAM-4"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def close(self) -> None:
        if not self.is_closing():
            with contextlib.suppress(OSError):
                while True:
                    self._protocol.datagram_received(*self._sock.recvfrom(65536))
        super().close()


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
