# SystemExit and KeyboardInterrupt in data_received are told to the handler and swallowed (zuvloop#23, uvloop does so
# too). Breaks RAISE-3.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "RAISE-3"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _read_ready(self) -> None:
        try:
            super()._read_ready()
        except (SystemExit, KeyboardInterrupt) as error:
            self._fatal_error(error, "data_received")


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
