# writelines() whose iterator raises has sent what it saw, and sends it again (zuvloop#67). Breaks INSIDE-3.

from __future__ import annotations

import asyncio
import asyncio.selector_events
from typing import Any

BREAKS = "INSIDE-3"


class Transport(asyncio.selector_events._SelectorSocketTransport):
    def writelines(self, pieces: Any) -> None:
        seen = []
        try:
            for piece in pieces:
                seen.append(piece)
                self.write(piece)
        except Exception:
            for piece in seen:
                self.write(piece)
            raise


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        return Transport(self, sock, protocol, waiter, extra, server)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
