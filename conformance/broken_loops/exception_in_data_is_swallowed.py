# connection_lost is not told what data_received raised, only the exception handler is (made up). Breaks ERR-4.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "ERR-4"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _force_close(self, exc: BaseException | None) -> None:
        super()._force_close(exc if isinstance(exc, OSError) else None)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
