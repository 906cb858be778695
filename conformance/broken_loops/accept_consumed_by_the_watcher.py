# The watcher of a listening socket accepts the connection itself before it calls back (T2: TokioLoop's
# Fix_Attempt_1). Breaks FD-5.

from __future__ import annotations

import asyncio
import socket
from typing import Any

BREAKS = "FD-5"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._taken: list[socket.socket] = []

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()

        def take_and_call() -> None:
            with socket.socket(fileno=number) as listener:
                try:
                    if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        self._taken.append(listener.accept()[0])
                except OSError:
                    pass
                listener.detach()
            callback(*args)

        super().add_reader(fd, take_and_call)

    def close(self) -> None:
        for connection in self._taken:
            connection.close()
        super().close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
