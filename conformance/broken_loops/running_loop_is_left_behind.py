# After a run get_running_loop() still answers with the loop (made up). Breaks LIFE-10.

from __future__ import annotations

import asyncio

BREAKS = "LIFE-10"


class Loop(asyncio.SelectorEventLoop):
    def run_forever(self) -> None:
        asyncio._set_running_loop(None)
        try:
            super().run_forever()
        finally:
            asyncio._set_running_loop(self)

    def close(self) -> None:
        super().close()
        asyncio._set_running_loop(None)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
