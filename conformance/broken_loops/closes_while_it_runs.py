# close() of a running loop closes it at the end of the run (U6). Breaks LIFE-5.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-5"


class Loop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        if self.is_running():
            self._must_close = True
            self.stop()
        else:
            super().close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
