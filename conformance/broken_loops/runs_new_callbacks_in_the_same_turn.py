# A turn goes on until the ready queue is empty, so that a chain of callbacks shuts out timers and fds
# (libevent's event_active). Breaks SOON-2.

from __future__ import annotations

import asyncio

BREAKS = "SOON-2"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        super()._run_once()
        while self._ready and not self._stopping:
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
