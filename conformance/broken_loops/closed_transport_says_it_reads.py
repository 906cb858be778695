# is_reading() looks at pause_reading alone, and is true of a transport that was closed (made up). Breaks STREAM-10.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "STREAM-10"


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(self, *args: Any, **options: Any) -> Any:
        made = super()._make_socket_transport(*args, **options)  # type: ignore[misc]
        made.is_reading = lambda: not made._paused
        return made


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
