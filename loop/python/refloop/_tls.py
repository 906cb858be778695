"""asyncio's TLS, with what it gets wrong put right. Each has a case in loopcheck."""

from __future__ import annotations

import asyncio
import contextvars
import ssl
import sys
from asyncio import sslproto
from typing import TYPE_CHECKING, Any

from ._transport import SocketTransport, must_not_send

asyncio_protocol: Any = sslproto.SSLProtocol  # asyncio's stubs leave out most of it


class SSLTransport(sslproto._SSLProtocolTransport):
    """What a protocol over TLS has as its transport; its name says so, which a test of CPython asks for."""

    def abort(self) -> None:
        if self._ssl_protocol is not None:  # before 3.11.7 asyncio's does not ask, after a second close() [TLS-3]
            super().abort()


class Held(asyncio_protocol):  # type: ignore[misc]
    """Belongs to a sendfile() while it runs."""

    _sending: asyncio.Task[Any] | None = None

    def _write_appdata(self, data: Any) -> None:
        must_not_send(self._loop, self._sending if data else None)  # 3.10 begins its close_notify by an empty write
        super()._write_appdata(data)


class Upgraded(Held):
    """A protocol that start_tls puts between a transport and the protocol that the transport had."""

    _app_transport_created: bool
    _was_paused = False

    def _get_app_transport(self) -> Any:
        if not self._app_transport_created:
            self._app_transport, self._app_transport_created = SSLTransport(self._loop, self), True
        return super()._get_app_transport()

    def take_over(self, transport: Any) -> None:
        """Goes on where the old protocol is: what it has read ahead, and whether writing is paused."""
        self._was_paused = self._app_writing_paused = transport._protocol_paused
        self._ssl_writing_paused = self._was_paused  # or resume_writing() fails an assertion (gh-109051) [TLS-5]
        reader = getattr(self._app_protocol, "_stream_reader", None)
        if reader is not None and reader._buffer:  # a hello that the stream has read would be lost (gh-142352) [TLS-5]
            self._incoming.write(reader._buffer)
            reader._buffer.clear()

    def hand_over(self) -> None:
        """After the handshake: the old protocol, if it was told to pause, is told to go on by the new transport."""
        if self._was_paused and self._app_protocol is not None:
            self._was_paused = False
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._app_protocol is not None:
            self._control_app_writing()


class Flowing(Upgraded):
    """Sends and pauses when it should."""

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        super()._on_handshake_complete(handshake_exc)
        if self._state is sslproto.SSLProtocolState.WRAPPED and self._app_reading_paused:
            self._process_outgoing()  # asyncio sends its last flight behind what it reads, which may be nothing [TLS-1]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._set_write_buffer_limits(self._outgoing_high_water, self._outgoing_low_water)

    def _control_app_writing(self) -> None:
        # asyncio pauses at the mark, not above it, and at a mark of 0 nobody would resume (gh-102792) [FLOW-1].
        is_paused = self._app_writing_paused
        if not self._was_paused and (is_paused or self._get_write_buffer_size() > self._outgoing_high_water):
            super()._control_app_writing()

    # asyncio does not count what the transport below holds, so that one large write pauses nobody [FLOW-1]. With the
    # same marks below, what is above them waits here, and resume_writing() of the one comes with that of the other.

    def _get_write_buffer_size(self) -> int:
        below = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return int(super()._get_write_buffer_size() + below)

    def _set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_write_buffer_limits(high, low)
        if self._transport is not None:
            self._transport.set_write_buffer_limits(self._outgoing_high_water, self._outgoing_low_water)


class Filled(Flowing):
    """Fills the buffers of a BufferedProtocol."""

    _space = memoryview(b"")
    _is_full = False

    def _set_app_protocol(self, app_protocol: Any) -> None:
        super()._set_app_protocol(app_protocol)
        if self._app_protocol_is_buffer:
            self._app_protocol_get_buffer = self._get_space
            self._app_protocol_buffer_updated = self._space_updated

    def _get_space(self, sizehint: int) -> memoryview:
        # Of a bytearray asyncio would take slices, which are copies (gh-156275) [TLS-2].
        self._space = memoryview(self._app_protocol.get_buffer(sizehint))
        return self._space

    def _space_updated(self, count: int) -> None:
        is_full = count == len(self._space)
        self._space.release()  # so that the protocol may resize its buffer
        self._app_protocol.buffer_updated(count)
        self._is_full = is_full

    def _do_read(self) -> None:
        if not self._app_reading_paused:  # else nothing is read, and what is left is left
            self._is_full = False
        super()._do_read()
        self._space.release()

    def _do_flush(self) -> None:
        # asyncio reads one buffer's worth and drops what is left to decrypt when the end comes [TLS-2].
        self._do_read()
        while self._is_full and not self._app_reading_paused:
            self._do_read()
        if not self._must_wait() and self._state is sslproto.SSLProtocolState.FLUSHING:
            super()._do_flush()

    def _must_wait(self) -> bool:
        """The peer has closed, and the protocol has paused reading before it got everything."""
        is_flushing = self._state is sslproto.SSLProtocolState.FLUSHING
        return bool(is_flushing and self._eof_received and self._app_reading_paused and self._is_full)

    def eof_received(self) -> bool:
        return bool(super().eof_received()) or self._must_wait()


class Notified(Held):
    """Of Python 3.10, where a close_notify ends the connection without eof_received [TLS-3]."""

    def connection_made(self, transport: Any) -> None:
        """Begins the handshake, by a pipe that gives what one read decrypted in one piece."""
        super().connection_made(transport)
        feed = self._sslpipe.feed_ssldata

        def feed_joined(data: Any, only_handshake: bool = False) -> Any:
            encrypted, plain = feed(data, only_handshake)  # piece by piece data_received would come after a pause
            return encrypted, [b"".join(plain)] * any(plain) + [b""] * (b"" in plain)  # the end is empty [STREAM-6]

        self._sslpipe.feed_ssldata = feed_joined

    def take_over(self, transport: Any) -> None:
        """The old protocol is told of pauses as before."""

    def hand_over(self) -> None:
        """Nothing is left to be told."""

    def _start_shutdown(self) -> None:
        is_asked_for = self._app_transport is None or self._app_transport._closed  # by close(), not by the peer
        if not (is_asked_for or self._in_shutdown or self._in_handshake):
            try:
                self._app_protocol.eof_received()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal_error(error, "application protocol failed to receive the end")
                return
        super()._start_shutdown()
        if is_asked_for and self._transport is not None:
            self._transport.resume_reading()  # the answer has to come, also where the protocol has paused [TLS-3]

    def _finalize(self) -> None:
        if self._sslpipe is not None and self._transport is not None:
            self._transport.write(self._sslpipe._outgoing.read())  # our close_notify, which would come too late [TLS-3]
        super()._finalize()

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        super()._fatal_error(exc, message)
        if self._app_transport is not None:
            self._app_transport._closed = True  # is_closing() has to say so [RAISE-2]


SSLProtocol: Any = Filled if sys.version_info >= (3, 11) else Notified


class Tls(asyncio.SelectorEventLoop):
    """The TLS connections of a loop."""

    if TYPE_CHECKING:  # what asyncio's stubs leave out
        _ensure_fd_no_transport: Any

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)
        tls = SSLProtocol(self, protocol, sslcontext, waiter, **options)
        of_transport = {} if context is None else {"context": context}  # from 3.15 on
        SocketTransport(self, rawsock, tls, None, extra, server, **of_transport)
        return tls._app_transport

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> Any:
        """The transport over TLS, for the protocol; as asyncio's, with the protocol of above."""
        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}")
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        waiter = self.create_future()
        tls = SSLProtocol(self, protocol, sslcontext, waiter, call_connection_made=False, **options)
        transport.pause_reading()  # until the protocol knows its transport
        tls.take_over(transport)
        transport.set_protocol(tls)
        steps = [self.call_soon(tls.connection_made, transport), self.call_soon(transport.resume_reading)]
        try:
            await waiter
        except BaseException:
            transport.close()
            for step in steps:
                step.cancel()
            raise
        tls.hand_over()
        return tls._app_transport
