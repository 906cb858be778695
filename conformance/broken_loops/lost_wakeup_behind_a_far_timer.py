# A post does not wake a loop that sleeps until a timer that is more than a minute away (rloop@f6181aa: posts
# before and after a far timer is armed). Breaks WAKE-1.

from __future__ import annotations

import asyncio

BREAKS = "WAKE-1"


class Loop(asyncio.SelectorEventLoop):
    def _write_to_self(self) -> None:
        if not self._scheduled or self._scheduled[0].when() < self.time() + 60:
            super()._write_to_self()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
