# run_forever inside a callback runs the loop once more within itself (H4, nest_asyncio's way). Breaks LIFE-7.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-7"


class Loop(asyncio.SelectorEventLoop):
    def run_forever(self) -> None:
        if not self.is_running():
            return super().run_forever()
        while not self._stopping:
            self._run_once()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
