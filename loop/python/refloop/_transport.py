"""asyncio's transport over a socket, with what it gets wrong put right. Each has a case in loopcheck."""

from __future__ import annotations

from asyncio import selector_events
from typing import Any


class SocketTransport(selector_events._SelectorSocketTransport):  # type: ignore[name-defined,misc]
    """Ends once, and reads no more after the end of file."""

    _has_seen_end = False

    def _read_ready__on_eof(self) -> None:
        self._has_seen_end = True
        super()._read_ready__on_eof()

    def _add_reader(self, fd: int, callback: Any) -> None:
        if not self._has_seen_end:  # resume_reading() would have eof_received called again [STREAM-1]
            super()._add_reader(fd, callback)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        if (
            self._sock is not None
        ):  # abort() in resume_writing() ends it once, the write that resumed once more [CLOSE-1]
            super()._call_connection_lost(exc)
