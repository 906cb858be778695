# A loop takes sys.stdout away when it runs (hostile input of the kit). Breaks LIFE-14.

from __future__ import annotations

import asyncio
import sys

BREAKS = "LIFE-14"


class Loop(asyncio.SelectorEventLoop):
    def run_forever(self) -> None:
        sys.stdout = sys.stderr = None  # type: ignore[assignment]
        super().run_forever()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
