"""asyncio's transports over a socket or a pipe, with what it gets wrong put right. Each has a case in loopcheck."""

from __future__ import annotations

import asyncio
import sys
from asyncio import selector_events, unix_events
from typing import Any

# asyncio counts 8 bytes more for each datagram in the queue and never takes them off, so that writing stays paused
# (gh-135444) [DGRAM-3]. From 3.13.6 on it takes them off.
COUNTS_HEADERS = (3, 13) <= sys.version_info < (3, 13, 6)


def must_not_send(loop: Any, sending: Any) -> None:
    """For a write() while `sending`, a task, sends a file: asyncio's fallback lets it into the file [SENDFILE-1]."""
    if sending is not None and asyncio.current_task(loop) is not sending:
        raise RuntimeError("unable to write; sendfile is in progress")


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
    """Ends once, reads no more after the end, and belongs to a sendfile() while it runs."""

    _has_seen_end = False
    _sending: asyncio.Task[Any] | None = None

    def _end_sending(self) -> None:
        # asyncio's sendfile() would wait for ever for a socket that is closed [SENDFILE-2].
        if self._sending is not None and self._empty_waiter is not None and self._empty_waiter.done():
            self._sending.cancel()
            self._reset_empty_waiter()

    def close(self) -> None:
        self._end_sending()
        super().close()

    def _force_close(self, exc: BaseException | None) -> None:
        self._end_sending()
        super()._force_close(exc)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        self._end_sending()
        super()._call_connection_lost(exc)

    def _read_ready__get_buffer(self) -> None:
        # asyncio reads on where get_buffer() has ended the transport, and hands over what came [LIFE-9].
        if self._conn_lost:
            return
        buffer = self._told("get_buffer", -1)
        if self._closing:
            return
        try:
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
            count = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return
        except Exception as error:
            self._fatal_error(error, "Fatal read error on socket transport")
            return
        if count:
            self._told("buffer_updated", count)
        else:
            self._read_ready__on_eof()

    def _told(self, method: str, argument: int) -> Any:
        """What the protocol's method returns; where it raises that is the end of the transport."""
        try:
            return getattr(self._protocol, method)(argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, f"Fatal error: protocol.{method}() call failed.")
            return None

    def _read_ready__on_eof(self) -> None:
        self._has_seen_end = True
        super()._read_ready__on_eof()

    def _add_reader(self, fd: int, callback: Any) -> None:
        # resume_reading() would have eof_received called again [STREAM-1]; before 3.11 a pause_reading() in
        # connection_made() has no effect [STREAM-6].
        if not self._has_seen_end and self.is_reading():
            super()._add_reader(fd, callback)

    def _write_ready(self) -> None:
        self._send_by("_write_ready")

    def _write_sendmsg(self) -> None:  # from 3.12 on
        self._send_by("_write_sendmsg")

    def _send_by(self, method: str) -> None:
        try:
            getattr(super(), method)()
        except OSError as error:  # of the shutdown() that write_eof() waited for: the peer has gone [ERR-2]
            self._fatal_error(error, "Fatal write error on socket transport")

    def write(self, data: Any) -> None:
        must_not_send(self._loop, self._sending)
        # asyncio counts the bytes that were sent as if they were items (gh-135862) [STREAM-2].
        if isinstance(data, memoryview) and (data.itemsize > 1 or data.ndim > 1):
            data = data.cast("B")
        super().write(data)

    def writelines(self, list_of_data: Any) -> None:
        # From 3.12 on asyncio does not look for the end, also not for one that the iterator brings (gh-136234)
        # [STREAM-1, INSIDE-3], nor, at first, whether it has to pause (gh-127655) [STREAM-5]; it asks for ever to send
        # empty parts, and may end a transport that is closed in the middle of its own work [CLOSE-1].
        must_not_send(self._loop, self._sending)
        views: list[Any] = [memoryview(part) for part in list_of_data]
        parts = [view.cast("B") for view in views if view.nbytes]
        if self._conn_lost or self._closing:
            self.write(b"".join(parts))
        else:
            super().writelines(parts)
            self._maybe_pause_protocol()


class _Unnamed(str):
    """The address of a UNIX socket without a name: asyncio takes an empty one for no peer at all [DGRAM-1]."""

    def __bool__(self) -> bool:
        return True


class DatagramTransport(EndsOnce, selector_events._SelectorDatagramTransport):  # type: ignore[name-defined,misc]
    """Ends once, and sends nothing after that."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self._extra.get("peername") == "":
            self._extra["peername"] = _Unnamed()

    def sendto(self, data: Any, addr: Any = None) -> None:
        if self._sock is None and not self._address:  # asyncio looks for the end only with a fixed address [DGRAM-4]
            memoryview(data)  # still a TypeError for what is no data
            return
        queued_before = len(self._buffer)
        super().sendto(data, addr)
        if COUNTS_HEADERS and len(self._buffer) > queued_before:
            self._buffer_size -= 8


class ReadPipeTransport(unix_events._UnixReadPipeTransport):  # type: ignore[name-defined,misc]
    """Reads nothing while it is paused, also where it was before it began; asyncio's begins all the same before 3.11.7
    [PIPE-1]."""

    _is_paused = False

    def pause_reading(self) -> None:
        super().pause_reading()
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        super().resume_reading()

    def is_reading(self) -> bool:
        return not self._is_paused and not self.is_closing()

    def _read_ready(self) -> None:
        if self._is_paused:
            self._loop._remove_reader(self._fileno)
        else:
            super()._read_ready()
