# Only the thread that runs the loop is kept from running it again (U1: two threads in run_until_complete).
# Breaks THREAD-2.

from __future__ import annotations

import asyncio
import threading

BREAKS = "THREAD-2"


class Loop(asyncio.SelectorEventLoop):
    def _check_running(self) -> None:
        if self._thread_id in (None, threading.get_ident()):
            super()._check_running()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
