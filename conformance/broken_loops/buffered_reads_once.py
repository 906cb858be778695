# A chunk that is larger than the offered buffer loses its rest (bpo-33694). Breaks BUF-1.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "BUF-1"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def _read_ready__get_buffer(self) -> None:
        buffer = self._protocol.get_buffer(-1)
        data = self._sock.recv(max(len(buffer), 4096))
        if data:
            count = min(len(data), len(buffer))
            memoryview(buffer).cast("B")[:count] = data[:count]
            self._protocol.buffer_updated(count)
        else:
            self._read_ready__on_eof()


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
