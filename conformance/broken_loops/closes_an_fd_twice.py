# The fd of a connection that was lost is closed a second time a little later, when its number may be somebody else's
# (T4; talyn BUG-186). Breaks LIFE-13.

from __future__ import annotations

import asyncio
import asyncio.selector_events
import contextlib
import os
from typing import Any

BREAKS = "LIFE-13"


def close_again(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _call_connection_lost(self, exc: Any) -> None:
        fd = self._sock.fileno()
        self._loop.call_later(0.002, close_again, fd)
        super()._call_connection_lost(exc)


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
