# resume_writing does not come when the buffer has drained (zuvloop@069cf9e, uvloop#311). Breaks STREAM-5.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "STREAM-5"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _maybe_resume_protocol(self) -> None:
        pass


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
