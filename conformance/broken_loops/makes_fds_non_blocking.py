# add_reader and add_writer make the fd non-blocking (uvloop#712). Breaks FD-7.

from __future__ import annotations

import asyncio
import os
from typing import Any

BREAKS = "FD-7"


class Loop(asyncio.SelectorEventLoop):
    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        os.set_blocking(fd if isinstance(fd, int) else fd.fileno(), False)
        super().add_reader(fd, callback, *args)

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        os.set_blocking(fd if isinstance(fd, int) else fd.fileno(), False)
        super().add_writer(fd, callback, *args)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
