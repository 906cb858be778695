# A watcher that is removed in the batch in which it is due is called all the same (after libuv c9406ba0e).
# Breaks FD-3.

from __future__ import annotations

import asyncio
import selectors
from typing import Any

BREAKS = "FD-3"


class Loop(asyncio.SelectorEventLoop):
    def _process_events(self, event_list: Any) -> None:
        for key, mask in event_list:
            reader, writer = key.data
            for handle, bit in ((reader, selectors.EVENT_READ), (writer, selectors.EVENT_WRITE)):
                if handle is not None and mask & bit and not handle.cancelled():
                    self._ready.append(asyncio.Handle(handle._callback, handle._args, self, handle._context))


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
