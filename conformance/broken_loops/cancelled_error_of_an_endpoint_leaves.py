# A CancelledError that datagram_received raises leaves run_forever (uvloop 0.23.0). Breaks RAISE-1.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "RAISE-1"


class Transport(asyncio.selector_events._SelectorDatagramTransport):
    def _read_ready(self) -> None:
        try:
            super()._read_ready()
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error


class Loop(asyncio.SelectorEventLoop):
    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, address, waiter, extra)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
