# Datagrams are received into a buffer of 8 KiB: what is larger is cut (libuv cafbb1ac1, recvmsg). Breaks DGRAM-1.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "DGRAM-1"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    max_size = 8192


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
