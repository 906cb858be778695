# SystemExit in a callback is handled like any exception (zuvloop#23b, uvloop's data_received). Breaks ERR-3.

from __future__ import annotations

import asyncio

BREAKS = "ERR-3"


class Loop(asyncio.SelectorEventLoop):
    def _run_once(self) -> None:
        try:
            super()._run_once()
        except SystemExit as error:
            self.call_exception_handler({"message": "exception in callback", "exception": error})
            if self._ready:
                return
            self.stop()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
