"""asyncio's transports over a socket, with what it gets wrong put right. Each has a case in loopcheck."""

from __future__ import annotations

import sys
from asyncio import selector_events
from typing import Any


class EndsOnce:
    """The end of a transport that reaches it by any way."""

    _sock: Any
    _conn_lost: int

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        if self._sock is None:  # abort() in resume_writing() ends it, and the write that resumed once more [CLOSE-1]
            return
        self._conn_lost = self._conn_lost or 1  # a close() that flushed leaves 0: abort() would end it again [INSIDE-1]
        super()._call_connection_lost(exc)  # type: ignore[misc]


class SocketTransport(EndsOnce, selector_events._SelectorSocketTransport):  # type: ignore[name-defined,misc]
    """Ends once, and reads no more after the end of file."""

    _has_seen_end = False

    def _read_ready__on_eof(self) -> None:
        self._has_seen_end = True
        super()._read_ready__on_eof()

    def _add_reader(self, fd: int, callback: Any) -> None:
        if not self._has_seen_end:  # resume_reading() would have eof_received called again [STREAM-1]
            super()._add_reader(fd, callback)


class DatagramTransport(EndsOnce, selector_events._SelectorDatagramTransport):  # type: ignore[name-defined,misc]
    """Ends once, and sends nothing after that."""

    def sendto(self, data: Any, addr: Any = None) -> None:
        if self._sock is None and not self._address:  # asyncio looks for the end only with a fixed address [DGRAM-4]
            memoryview(data)  # still a TypeError for what is no data
        else:
            super().sendto(data, addr)


if (3, 13) <= sys.version_info < (3, 13, 6):
    # Counted into the buffer's size and never taken off, so that writing stays paused (gh-135444) [DGRAM-3].
    DatagramTransport._header_size = 0
