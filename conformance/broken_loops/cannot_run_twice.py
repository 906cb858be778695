# A loop that was stopped cannot run again (T5: TokioLoop before test_multiple_calls_to_run_until_complete).
# Breaks LIFE-1.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-1"


class Loop(asyncio.SelectorEventLoop):
    has_run = False

    def run_forever(self) -> None:
        if self.has_run:
            raise RuntimeError("the runtime was shut down")
        self.has_run = True
        super().run_forever()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
