"""The endpoints of datagrams of a program, for the driver of asyncio loops."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from typing import Any, cast

from loopcheck import _contract as c
from loopcheck.driver_sockets import Driver, error_code, given_back

SENDS_EMPTY = sys.version_info >= (3, 13)  # before, sendto() says nowhere what it does with no bytes: asyncio's nothing


class DatagramProtocol(asyncio.DatagramProtocol):
    """One endpoint of a program: hands everything that the loop says of it to the driver.

    One that was destroyed is aborted, and its connection_lost is reported as CLOSED.
    """

    def __init__(self, driver: Driver, handle: int, fd: int) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self._driver = driver
        self._handle = handle
        self._is_destroyed = self._is_lost = False
        self.sock = socket.socket(fileno=fd)
        self.sock.setblocking(False)
        try:
            self._peer = self.sock.getpeername()
        except OSError:  # nobody can be reached any more
            self._peer = None
        loop = driver.loop
        with given_back(self.sock):
            self._making = loop.create_task(loop.create_datagram_endpoint(lambda: self, sock=self.sock))
        self._making.add_done_callback(self._made)

    def send(self, data: bytes) -> None:
        if not data and not SENDS_EMPTY:
            raise OSError(errno.EINVAL, "this Python's documentation has no empty datagrams")
        assert self.transport is not None, "the runner waits for MADE"
        self.transport.sendto(data)

    def destroy(self) -> None:
        """CLOSED at once if it is lost already, else once it is."""
        self._is_destroyed = True
        if self._is_lost:
            self._driver.called(self._handle, c.EVENT_CLOSED)
        elif self.transport is not None:
            self.transport.abort()

    def give_up_fd(self) -> None:
        """Keeps a socket object that the loop forgot from closing an fd that has its number by then."""
        if self.sock.fileno() >= 0:
            self._driver.failures.append(f"fd {self.sock.detach()} was closed, but not its socket object")

    def _made(self, making: asyncio.Task[Any]) -> None:
        if making.cancelled():
            return
        if self._driver.is_lacking(c.OP_DATAGRAM, making.exception()):
            self.sock.close()
        elif making.exception() is not None:
            self._driver.failures.append(f"making an endpoint failed: {making.exception()!r}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # some loops' transports do not inherit
        if self._is_destroyed:
            self.transport.abort()
        else:
            self._driver.called(self._handle, c.EVENT_MADE)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._driver.called(self._handle, c.EVENT_DATAGRAM, int(addr != self._peer), 0, bytes(data))

    def error_received(self, exc: Exception) -> None:
        self._driver.called(self._handle, c.EVENT_REFUSED, 0, error_code(exc))

    # What a transport says of its buffer while it throws that away is nowhere settled.

    def pause_writing(self) -> None:
        if not self._is_destroyed:
            self._driver.called(self._handle, c.EVENT_PAUSE_WRITING)

    def resume_writing(self) -> None:
        if not self._is_destroyed:
            self._driver.called(self._handle, c.EVENT_RESUME_WRITING)

    def connection_lost(self, exc: Exception | None) -> None:
        is_first, self._is_lost = not self._is_lost, True
        if self._is_destroyed and is_first:
            self._driver.called(self._handle, c.EVENT_CLOSED)
        else:
            self._driver.called(self._handle, c.EVENT_LOST, 0, error_code(exc))
