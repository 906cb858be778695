# A cancelled sock_recv removes the reader and the writer of its socket (zuvloop@664c29d, python/asyncio#366).
# Breaks FD-10.

from __future__ import annotations

import asyncio
import socket

BREAKS = "FD-10"


class Loop(asyncio.SelectorEventLoop):
    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        try:
            return await super().sock_recv(sock, n)
        except asyncio.CancelledError:
            self.remove_reader(sock)
            self.remove_writer(sock)
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
