# close() leaves the loop's signal handlers installed (uvloop; zuvloop#62). Breaks LIFE-6.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-6"


class Loop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        if not self.is_closed() and self._signal_handlers:
            self._signal_handlers = {}
        super().close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
