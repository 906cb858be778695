# close() closes the fds that are still watched, which are the user's (after T4, uvloop#763). Breaks LIFE-3.

from __future__ import annotations

import asyncio
import os

BREAKS = "LIFE-3"


class Loop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        if not self.is_closed():
            watched = [key.fd for key in self._selector.get_map().values()]
            for fd in watched:
                if fd != self._ssock.fileno():
                    os.close(fd)
        super().close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
