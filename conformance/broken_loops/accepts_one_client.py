# After the first client a server accepts nobody (after talyn@fa1c6ba). Breaks SERVER-1.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "SERVER-1"


class Loop(asyncio.SelectorEventLoop):
    def _accept_connection(self, protocol_factory: Any, sock: Any, *args: Any) -> None:
        self._remove_reader(sock.fileno())
        sock.setblocking(False)
        super()._accept_connection(protocol_factory, sock, None, None, 1)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
