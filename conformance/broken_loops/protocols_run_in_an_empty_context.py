# The methods of protocols run in an empty context (uvloop PR#348). Breaks CTX-4.

from __future__ import annotations

import asyncio
import asyncio.selector_events
import contextvars
from typing import Any

BREAKS = "CTX-4"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _read_ready(self) -> None:
        contextvars.Context().run(super()._read_ready)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
