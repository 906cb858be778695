# With a reader and a writer on one fd, either event calls both (after gevent#1144). Breaks FD-6.

from __future__ import annotations

import asyncio
import selectors
from typing import Any

BREAKS = "FD-6"


class Loop(asyncio.SelectorEventLoop):
    def _process_events(self, event_list: Any) -> None:
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        super()._process_events([(key, both if None not in key.data else mask) for key, mask in event_list])


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
