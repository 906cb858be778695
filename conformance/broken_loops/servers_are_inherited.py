# Listening sockets of create_server are inherited by every program that is started (uvloop#40). Breaks LIFE-15.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "LIFE-15"


class Loop(asyncio.SelectorEventLoop):
    def _start_serving(self, protocol_factory: Any, sock: Any, *args: Any, **options: Any) -> None:
        sock.set_inheritable(True)
        super()._start_serving(protocol_factory, sock, *args, **options)  # type: ignore[misc]


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
