# abort() gives connection_lost the ECANCELED of the writes that it cancelled (zuvloop#16). Breaks STREAM-4.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "STREAM-4"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def abort(self) -> None:
        self._force_close(OSError(125, "operation cancelled"))


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
