# The port of a datagram is cut to 16 bits: it goes to another one (zuvloop#18). Breaks DGRAM-5.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "DGRAM-5"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def sendto(self, data: Any, addr: Any = None) -> None:
        if isinstance(addr, tuple) and len(addr) == 2 and isinstance(addr[1], int):
            addr = (addr[0], addr[1] & 0xFFFF)
        super().sendto(data, addr)


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
