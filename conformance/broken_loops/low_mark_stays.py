# set_write_buffer_limits(high=) keeps the low mark of the call before (made up). Breaks FLOW-3.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "FLOW-3"


class Loop(asyncio.SelectorEventLoop):
    def _make_socket_transport(self, *args: Any, **options: Any) -> Any:
        made = super()._make_socket_transport(*args, **options)  # type: ignore[misc]
        plain = made.set_write_buffer_limits

        def keep(high: int | None = None, low: int | None = None) -> None:
            if high is not None and low is None:
                low = min(made.get_write_buffer_limits()[0], high)
            plain(high, low)

        made.set_write_buffer_limits = keep
        return made


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
