# add_reader calls back at once and only once, ready or not, and sock_accept, built on it, waits for ever (T1:
# TokioLoop's log). Breaks FD-1.

from __future__ import annotations

import asyncio
import socket
from typing import Any

BREAKS = "FD-1"


class Loop(asyncio.SelectorEventLoop):
    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.call_soon(callback, *args)

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        future: asyncio.Future[tuple[socket.socket, Any]] = self.create_future()

        def ready() -> None:
            try:
                connection, address = sock.accept()
            except BlockingIOError:
                return  # one shot: nobody asks again
            connection.setblocking(False)
            future.set_result((connection, address))

        self.add_reader(sock.fileno(), ready)
        return await future


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
