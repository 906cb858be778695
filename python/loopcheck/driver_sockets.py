"""What a program has the driver of asyncio loops wait for: connections, servers, and calls that end by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import socket
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, Protocol, cast

from loopcheck import _contract as c

LOOPBACK = "127.0.0.1"
BACKLOG = 128
BUFFER_BYTES = 4096


class Driver(Protocol):
    """What is needed of loopcheck.driver.AsyncioDriver."""

    failures: list[str]

    def is_lacking(self, code: int, error: BaseException | None) -> bool: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def called(
        self, handle: int, event: int, bits: int = 0, error: int = 0, data: bytes = b"", fd: int = 0
    ) -> None: ...

    def accept(self, handle: int) -> Connection: ...


def error_code(error: BaseException | None) -> int:
    """0, or -errno of an exception; of one that has none -EIO."""
    if error is None:
        return 0
    if isinstance(error, asyncio.CancelledError):
        return -errno.ECANCELED
    return -(getattr(error, "errno", None) or errno.EIO)


@contextlib.contextmanager
def given_back(sock: socket.socket) -> Iterator[None]:
    """When the loop refuses what the socket object was made for, the fd stays the program's."""
    try:
        yield
    except BaseException:
        sock.detach()
        raise


class Connection(asyncio.BaseProtocol):
    """One stream of a program: hands everything that the loop says of it to the driver.

    The end of file keeps the transport open, since only the program closes it. A stream that was
    destroyed is aborted, and its connection_lost is reported as CLOSED.
    """

    def __init__(self, driver: Driver, handle: int) -> None:
        self.sock: socket.socket | None = None
        self.transport: asyncio.Transport | None = None
        self.port_of = ""  # the extra_info by which its connection is known
        self._connecting: asyncio.Future[Any] | None = None
        self._driver = driver
        self._handle = handle
        self._is_destroyed = self._is_lost = self._is_done = False
        self._was_lost_first = False  # before it was destroyed
        self._is_replaced = False

    def replace(self) -> Connection:
        """Another protocol takes its place: it must hear nothing any more."""
        other = copy.copy(self)
        assert self.transport is not None, "the runner waits for MADE"
        self.transport.set_protocol(other)
        self._is_replaced = True  # unless the transport has refused it
        return other

    def _tell(self, event: int, bits: int = 0, error: int = 0, data: bytes = b"", fd: int = 0) -> None:
        told = c.EVENT_STALE if self._is_replaced else event
        self._driver.called(self._handle, told, bits, error, data, fd)

    def take(self, fd: int) -> None:
        """Makes a stream of a connected socket."""
        loop = self._driver.loop
        sock = self.sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        with given_back(sock):
            self._connecting = loop.create_task(self._wrap(loop, sock))
        self._connecting.add_done_callback(self._taken)

    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        if sock.family == socket.AF_UNIX:
            # Where this, or its sock=, is missing, a transport may take the socket all the same.
            with contextlib.suppress(NotImplementedError, TypeError):
                await loop.create_unix_connection(lambda: self, sock=sock)
                return
        await loop.create_connection(lambda: self, sock=sock)

    def connect(self, port: int) -> None:
        """Makes a stream by connecting it to a port."""
        self.port_of = "sockname"
        self._connecting = asyncio.ensure_future(
            self._driver.loop.create_connection(lambda: self, LOOPBACK, port), loop=self._driver.loop
        )
        self._connecting.add_done_callback(self._connected)

    def cancel(self) -> None:
        """Cancels the connect."""
        assert self._connecting is not None, "the runner cancels only a connect"
        self._connecting.cancel()

    def destroy(self) -> None:
        """CLOSED at once if the connection is lost already, else once it is."""
        self._is_destroyed = True
        if self.transport is not None and not self._is_lost:
            self.transport.abort()
        elif self._connecting is not None and self.port_of == "sockname" and not self._is_done:
            self._connecting.cancel()  # and CLOSED when that is over
        elif self._is_lost or self._is_done or self._connecting is None:
            self._tell(c.EVENT_CLOSED)

    def give_up_fd(self) -> None:
        """Keeps a socket object that the loop forgot from closing an fd that has its number by then."""
        if self.sock is not None and self.sock.fileno() >= 0:
            self._driver.failures.append(f"fd {self.sock.detach()} was closed, but not its socket object")

    def _taken(self, connecting: asyncio.Task[Any]) -> None:
        if connecting.cancelled():
            return
        if self._driver.is_lacking(c.OP_STREAM, connecting.exception()):
            assert self.sock is not None
            self.sock.close()
        elif connecting.exception() is not None:
            self._driver.failures.append(f"connecting a stream failed: {connecting.exception()!r}")

    def _connected(self, connecting: asyncio.Task[Any]) -> None:
        if not connecting.cancelled() and self._driver.is_lacking(c.OP_CONNECT, connecting.exception()):
            return
        error = -errno.ECANCELED if connecting.cancelled() else error_code(connecting.exception())
        self._is_done = True
        if not self._is_destroyed:
            self._tell(c.EVENT_DONE, 0, error)
        elif self.transport is None or self._was_lost_first:
            self._tell(c.EVENT_CLOSED)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # some loops' transports do not inherit
        if self._is_destroyed:
            self.transport.abort()
            return
        port, fd = 0, -1
        sock = transport.get_extra_info("socket")
        if self.port_of:
            port = (transport.get_extra_info(self.port_of) or (LOOPBACK, 0))[1]
            fd = sock.fileno()
        elif sock is not None:
            fd = sock.fileno()
        self._tell(c.EVENT_MADE, port, 0, b"", fd)

    def eof_received(self) -> bool:
        self._tell(c.EVENT_EOF)
        return True

    # What a transport says of its buffer while it throws that away is nowhere settled.

    def pause_writing(self) -> None:
        if not self._is_destroyed:
            self._tell(c.EVENT_PAUSE_WRITING)

    def resume_writing(self) -> None:
        if not self._is_destroyed:
            self._tell(c.EVENT_RESUME_WRITING)

    def connection_lost(self, exc: Exception | None) -> None:
        is_first, self._is_lost = not self._is_lost, True
        if self._is_destroyed and is_first:
            self._tell(c.EVENT_CLOSED)
        else:
            self._was_lost_first |= not self._is_destroyed
            self._tell(c.EVENT_LOST, 0, error_code(exc))


class StreamProtocol(Connection, asyncio.Protocol):
    """That gets its bytes handed over."""

    def data_received(self, data: bytes) -> None:
        self._tell(c.EVENT_DATA, data=bytes(data))


class BufferedStreamProtocol(Connection, asyncio.BufferedProtocol):
    """That offers a buffer for its bytes."""

    def __init__(self, driver: Driver, handle: int) -> None:
        super().__init__(driver, handle)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:
        self._tell(c.EVENT_GET_BUFFER)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._is_destroyed:  # when it was asked for the buffer; what was read by then nobody wants
            self._tell(c.EVENT_DATA, data=bytes(self._buffer[:nbytes]))


class Server:
    """A server of a program on a free port; those who connect become the streams of these handles, one each."""

    def __init__(self, driver: Driver, handle: int, streams: Sequence[int]) -> None:
        self._driver = driver
        self._handle = handle
        self._streams: Iterator[int] = iter(streams)
        self._is_closed = False
        self._server: asyncio.AbstractServer | None = None
        self._sock = socket.socket()
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # create_server sets it too
        self._sock.bind((LOOPBACK, 0))
        self._sock.listen(BACKLOG)  # at once: who connects before the loop listens waits
        self.port: int = self._sock.getsockname()[1]
        try:
            self._starting = driver.loop.create_task(self._start())
        except BaseException:
            self._sock.close()
            raise

    async def _start(self) -> None:
        try:
            server = await self._driver.loop.create_server(self._factory, sock=self._sock, backlog=BACKLOG)
        except Exception as error:
            if not self._driver.is_lacking(c.OP_LISTEN, error):
                raise
            self._sock.close()
            return
        self._server = server
        if self._is_closed:
            self._close()

    def _factory(self) -> Connection:
        """Some loops hand over after close() whom they had let in before: of a closed server it is not reported."""
        handle = next(self._streams)
        if not self._is_closed:
            self._driver.called(self._handle, c.EVENT_FACTORY)
        protocol = self._driver.accept(handle)
        protocol.port_of = "peername"
        return protocol

    def close(self) -> None:
        """CLOSED at once, or as soon as there is a server to be closed."""
        self._is_closed = True
        if self._server is not None:
            self._close()

    def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._driver.called(self._handle, c.EVENT_CLOSED)


async def turns(count: int) -> None:
    """Lets the others run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


class Call:
    """One call that ends by itself; the socket, if any, stays the program's."""

    def __init__(
        self,
        driver: Driver,
        code: int,
        handle: int,
        call: Coroutine[Any, Any, bytes | None],
        sock: socket.socket | None = None,
    ) -> None:
        self._driver = driver
        self._code = code
        self._handle = handle
        self._is_destroyed = self._is_over = False
        self._sock = sock
        self._call = asyncio.ensure_future(call, loop=driver.loop)
        self._call.add_done_callback(self._done)

    def cancel(self) -> None:
        self._call.cancel()

    def destroy(self) -> None:
        """CLOSED at once if the call is over, else once it is."""
        self._is_destroyed = True
        if self._is_over:
            self._driver.called(self._handle, c.EVENT_CLOSED)
        else:
            self._call.cancel()

    def _done(self, call: asyncio.Task[bytes | None]) -> None:
        self._is_over = True
        if self._sock is not None:
            self._sock.detach()
        if not call.cancelled() and self._driver.is_lacking(self._code, call.exception()):
            return
        if self._is_destroyed:
            self._driver.called(self._handle, c.EVENT_CLOSED)
            return
        error = -errno.ECANCELED if call.cancelled() else error_code(call.exception())
        self._driver.called(self._handle, c.EVENT_DONE, 0, error, b"" if error else call.result() or b"")
