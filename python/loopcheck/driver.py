"""The driver for asyncio loops: carries a program's operations to any loop with asyncio's interface.

The C runner (contract/runner.h) calls `apply` with one operation at a time; the callbacks report to
`sink`, which the runner sets. The loop runs in its ordinary run-forever mode: a step that may wait
sleeps in the loop's own wait and ends with the first callback, so that a lost wake-up is seen as
what it is. A rescue timer in the same loop ends a step that slept through something due.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol, cast

from loopcheck import _contract as c
from loopcheck import shim
from loopcheck.driver_datagrams import DatagramProtocol
from loopcheck.driver_sockets import (
    BufferedStreamProtocol,
    Call,
    Connection,
    Server,
    StreamProtocol,
    given_back,
    turns,
)
from loopcheck.edges import EDGES
from loopcheck.kit import is_missing
from loopcheck.load import describe

Factory = Callable[[], asyncio.AbstractEventLoop]

RESCUE_S = 2.0  # far beyond what a loaded machine delays a loop that was woken
# Some loops keep whole milliseconds, of a coarse clock that may be one behind; programs ask for no less.
TICK_NS = 2_000_000


class ProgramError(Exception):
    """What a callback raises because its program says so."""


class ProgramCancelled(asyncio.CancelledError):
    """The same as a CancelledError."""


class ProgramExit(SystemExit):
    """The same as a SystemExit, which leaves the run."""


class ProgramInterrupt(KeyboardInterrupt):
    """The same as a KeyboardInterrupt, which leaves the run."""


RAISES: dict[int, type[BaseException]] = {
    c.RAISE_EXCEPTION: ProgramError,
    c.RAISE_CANCELLED: ProgramCancelled,
    c.RAISE_EXIT: ProgramExit,
    c.RAISE_INTERRUPT: ProgramInterrupt,
}


class Sink(Protocol):
    """Where callbacks report; loopcheck._contract.Sink."""

    def begin(
        self, handle: int, event: int, bits: int = 0, error: int = 0, data: bytes = b"", fd: int = 0, /
    ) -> int: ...

    def end(self, handle: int, event: int, /) -> None: ...


class Callback:
    """What a loop is given to call. Nobody but the loop holds it."""

    __slots__ = ("__weakref__", "_bits", "_driver", "_event", "_handle")

    def __init__(self, driver: AsyncioDriver, handle: int, event: int, bits: int) -> None:
        self._driver, self._handle, self._event, self._bits = driver, handle, event, bits

    def __call__(self) -> None:
        self._driver.called(self._handle, self._event, self._bits)


class AsyncioDriver:
    """One loop of `factory` at a time, driven by `loopcheck._contract.run`.

    Results of `apply`: 0 or more, or -errno. An exception of the loop becomes -EIO, or its own
    errno, or -ENOSYS for NotImplementedError; its text is kept in `failures`.
    """

    capabilities: int = (
        c.CAP_STOP
        | c.CAP_RAISE
        | c.CAP_EXIT
        | c.CAP_STREAM
        | c.CAP_MADE
        | c.CAP_FLUSH
        | c.CAP_WRITE_EOF
        | c.CAP_FLOW
        | c.CAP_SERVER
        | c.CAP_CONNECT
        | c.CAP_CANCEL
        | c.CAP_REQUEST
        | c.CAP_DATAGRAM
        | c.CAP_WRITELINES
        | c.CAP_BUFFERED
        | c.CAP_SWITCH
        | c.CAP_TASK
        | c.CAP_GC
        | c.CAP_EDGE
    )
    promises: int = c.PROMISE_FIFO | c.PROMISE_TURN | c.PROMISE_ORDER
    sink: Sink

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        self.tick_ns = shim.tick_ns(TICK_NS)
        self.failures: list[str] = []
        self.callbacks = 0  # that ran inside run_forever of the factory's loop
        self.lacks: dict[int, str] = {}  # op that the loop has turned out not to have -> what it says
        self.refused = ""  # why an op of the latest run was, that the loop does not have
        self._is_void = False  # the present run, which asked for such an op and was not refused at once
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends_with_first = False  # the present step ends with its first callback
        self._is_running = False
        self._started_ns = 0
        self._handles: dict[int, list[asyncio.Handle]] = {}
        self._watches: dict[int, tuple[int, int]] = {}  # handle -> (fd, bits)
        self._streams: dict[int, Connection] = {}
        self._endpoints: dict[int, DatagramProtocol] = {}
        self._servers: dict[int, Server] = {}
        self._calls: dict[int, Call] = {}
        self._given: list[tuple[int, weakref.ref[Any]]] = []  # what the loop was given, and by which handle
        self._verbs: dict[int, Callable[[int, int, int], int | None]] = {
            c.OP_OPEN: self._open,
            c.OP_CLOSE: self._close,
            c.OP_NOW: lambda handle, arg, flags: time.monotonic_ns(),
            c.OP_SOON: self._soon,
            c.OP_TIMER: self._timer,
            c.OP_AT: self._at,
            c.OP_EDGE: self._edge,
            c.OP_WATCH: self._watch,
            c.OP_WAKER: lambda handle, arg, flags: 0,
            c.OP_POST: self._post,
            c.OP_CANCEL: self._cancel,
            c.OP_REARM: self._rearm,
            c.OP_DESTROY: self._destroy,
            c.OP_STOP: lambda handle, arg, flags: self.loop.stop(),
            c.OP_RUN: self._run,
            c.OP_STEP: self._step,
            c.OP_STREAM: self._stream,
            c.OP_DATAGRAM: self._datagram,
            c.OP_CONNECT: self._connect,
            c.OP_SWITCH: self._switch,
            c.OP_DROP: self._drop,
            c.OP_GC: lambda handle, arg, flags: gc.collect(1) and None,
            c.OP_LIMITS: self._limits,
            c.OP_PAUSE: lambda handle, arg, flags: self._transport(handle).pause_reading(),
            c.OP_RESUME: lambda handle, arg, flags: self._transport(handle).resume_reading(),
            c.OP_WRITE_EOF: lambda handle, arg, flags: self._transport(handle).write_eof(),
            c.OP_FLUSH: lambda handle, arg, flags: self._transport(handle).close(),
            c.OP_ABORT: lambda handle, arg, flags: self._transport(handle).abort(),
        }

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "OP_OPEN comes first"
        return self._loop

    def run(self, program: bytes, trace: c.Trace, number: int = 0) -> c.Stats:
        """Runs a program; anew, as if it had not been, when what an op asks for turns out later not to be there."""
        while True:
            lacked, callbacks, mark = len(self.lacks), self.callbacks, trace.mark()
            self.refused = ""
            stats = c.run(program, self, trace, number)
            if len(self.lacks) == lacked:
                return stats
            trace.rewind(mark)
            self.callbacks = callbacks

    def _says_missing(self, error: BaseException) -> bool:
        """Is it the loop itself, not something inside it, that lacks a method?"""
        holder = getattr(error, "obj", None)
        loops = [self._loop] if self._loop is not None else []
        return (holder is None or holder is self._loop) and is_missing(error, loops)

    def is_lacking(self, code: int, error: BaseException | None) -> bool:
        """Does the exception that ended an op say that the loop has none such? Then the run comes to nothing."""
        if error is None or not self._says_missing(error):
            return False
        self.lacks[code] = describe(error)
        self._is_void = True
        self.loop.stop()
        return True

    def apply(self, code: int, handle: int, arg: int | bytes, flags: int, n: int, b: int = 0) -> int:
        """Carries out one operation; `arg` of OP_LIMITS is taken from n, that of OP_WRITE and OP_SEND is bytes."""
        if code in self.lacks:
            self.refused = self.lacks[code]
            return -errno.ENOSYS
        try:
            if code in (c.OP_RECV, c.OP_SENDALL, c.OP_TASK):
                self._calls[handle] = self._call(code, handle, arg, n, b)
                return 0
            if code == c.OP_LISTEN:
                return self._listen(handle, b, n)
            if isinstance(arg, bytes):
                if code == c.OP_SEND:
                    self._endpoints[handle].send(arg)
                else:
                    self._write(handle, arg, is_in_pieces=code == c.OP_WRITELINES)
                return 0
            return self._verbs[code](handle, n if code == c.OP_LIMITS else arg, flags) or 0
        except (ProgramExit, ProgramInterrupt):
            return c.LEFT
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            if self._says_missing(error):
                self.refused = describe(error)
                return -errno.ENOSYS
            return -(getattr(error, "errno", None) or errno.EIO)

    # Callbacks.

    def called(self, handle: int, event: int, bits: int = 0, error: int = 0, data: bytes = b"", fd: int = 0) -> None:
        """What every callback does: reports, ends a step that was to end with it, raises if the program says so."""
        self.callbacks += self._is_running
        raises = self.sink.begin(handle, event, bits, error, data, fd)
        if self._ends_with_first:
            self._ends_with_first = False  # one stop is enough; what a second one does is a case's business
            self.loop.stop()
        self.sink.end(handle, event)
        if raises:
            raise RAISES[raises](f"raised by the program in callback {handle:#x}")

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), (ProgramError, ProgramCancelled)):
            self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")
        self.sink.begin(0, c.EVENT_ERROR)

    def _rescue(self) -> None:
        if time.monotonic_ns() - self._started_ns > RESCUE_S * 0.9e9:
            self.sink.begin(0, c.EVENT_RESCUE)
        self.loop.stop()

    # Verbs: (handle, arg, flags) as in struct lc_op of contract/driver.h.

    def _open(self, handle: int, arg: int, flags: int) -> None:
        self._handles.clear()
        self._watches.clear()
        self._streams.clear()
        self._endpoints.clear()
        self._servers.clear()
        self._calls.clear()
        self._given.clear()
        self._is_void = False
        self._loop = self.factory()
        self._loop.set_exception_handler(self._on_error)

    def _close(self, handle: int, arg: int, flags: int) -> None:
        loop = self.loop
        loop.close()
        self._loop = None
        if self._servers:  # asyncio's own loses whom it lets in while it is closed to the garbage collector
            gc.collect(1)
        self._let_go()
        self._report_held()

    def _let_go(self) -> None:
        for protocol in self._streams.values():
            protocol.give_up_fd()
        for endpoint in self._endpoints.values():
            endpoint.give_up_fd()
        for table in (self._handles, self._watches, self._streams, self._endpoints, self._servers, self._calls):
            table.clear()

    def _report_held(self) -> None:
        """What the loop, which is closed and not yet gone, has not let go of."""
        for generation in (1, 2):  # it may have let go of a cycle; the old objects are many
            if any(given() is not None for _, given in self._given):
                gc.collect(generation)
        for handle, given in self._given:
            if given() is not None:
                self.sink.begin(handle, c.EVENT_HELD)

    def _callback(self, handle: int, event: int, bits: int = 0) -> Callback:
        callback = Callback(self, handle, event, bits)
        self._given.append((handle, weakref.ref(callback)))
        return callback

    def _protocol(self, handle: int, kind: type[Connection] = StreamProtocol) -> Connection:
        protocol = self._streams[handle] = kind(self, handle)
        self._given.append((handle, weakref.ref(protocol)))
        return protocol

    def _soon(self, handle: int, arg: int, flags: int) -> None:
        self._handles[handle] = [self.loop.call_soon(self._callback(handle, c.EVENT_SOON))]

    def _timer(self, handle: int, arg: int, flags: int) -> None:
        self._handles[handle] = [self.loop.call_later(arg / 1e9, self._callback(handle, c.EVENT_TIMER))]

    def _at(self, handle: int, arg: int, flags: int) -> None:
        ticks = -((time.monotonic_ns() - arg) // self.tick_ns)  # whole ones, rounded up; may be negative
        when = self.loop.time() + ticks * (self.tick_ns / 1e9)
        self._handles[handle] = [self.loop.call_at(when, self._callback(handle, c.EVENT_TIMER))]

    def _edge(self, handle: int, arg: int, flags: int) -> int:
        try:
            self._handles[handle] = [self.loop.call_later(float(EDGES[flags]), self._callback(handle, c.EVENT_TIMER))]
        except (ValueError, OverflowError):
            return -errno.ERANGE
        return 0

    def _watch(self, handle: int, arg: int, flags: int) -> None:
        self._watches[handle] = (arg, flags)  # no arguments: whether they arrive is for SOON-6's cases to judge
        if flags & c.IN:
            self.loop.add_reader(arg, self._callback(handle, c.EVENT_READY, c.IN))
        if flags & c.OUT:
            self.loop.add_writer(arg, self._callback(handle, c.EVENT_READY, c.OUT))

    def _post(self, handle: int, arg: int, flags: int) -> None:
        posted = self.loop.call_soon_threadsafe(self._callback(handle, c.EVENT_POSTED))
        self._handles.setdefault(handle, []).append(posted)

    def _cancel(self, handle: int, arg: int, flags: int) -> None:
        if handle in self._streams:
            self._streams[handle].cancel()
            return
        if handle in self._calls:
            self._calls[handle].cancel()
            return
        for pending in self._handles.pop(handle, []):
            pending.cancel()
        fd, bits = self._watches.pop(handle, (-1, 0))
        if bits & c.IN:
            self.loop.remove_reader(fd)
        if bits & c.OUT:
            self.loop.remove_writer(fd)

    def _rearm(self, handle: int, arg: int, flags: int) -> None:
        kind = handle >> 4
        if kind == c.KIND_SOON:
            self._soon(handle, arg, flags)
        elif kind == c.KIND_WATCH:
            self._watch(handle, arg, flags)
        else:
            (self._at if flags else self._timer)(handle, arg, flags)

    # Streams: an op comes only after MADE, so that there is a transport.

    def _stream(self, handle: int, arg: int, flags: int) -> None:
        self._protocol(handle, BufferedStreamProtocol if flags & c.BUFFERED else StreamProtocol).take(arg)

    def _datagram(self, handle: int, arg: int, flags: int) -> None:
        protocol = self._endpoints[handle] = DatagramProtocol(self, handle, arg)
        self._given.append((handle, weakref.ref(protocol)))

    def _connect(self, handle: int, arg: int, flags: int) -> None:
        self._protocol(handle).connect(arg)

    def _listen(self, handle: int, first: int, count: int) -> int:
        server = self._servers[handle] = Server(self, handle, range(first, first + count))
        return server.port

    def accept(self, handle: int) -> Connection:
        """The protocol of a server's next stream."""
        return self._protocol(handle)

    def _switch(self, handle: int, arg: int, flags: int) -> None:
        protocol = self._streams[handle] = self._streams[handle].replace()
        self._given.append((handle, weakref.ref(protocol)))

    def _write(self, handle: int, data: bytes, *, is_in_pieces: bool) -> None:
        transport = self._transport(handle)
        if is_in_pieces:
            cut = len(data) // 3
            transport.writelines([data[:cut], b"", memoryview(data)[cut:]])
        else:
            transport.write(data)

    def _call(self, code: int, handle: int, arg: int | bytes, n: int, fd: int) -> Call:
        if code == c.OP_TASK:
            return Call(self, code, handle, turns(n))
        sock = socket.socket(fileno=fd if isinstance(arg, bytes) else arg)
        sock.setblocking(False)  # it is; debug mode asks the object
        with given_back(sock):
            call = self.loop.sock_sendall(sock, arg) if isinstance(arg, bytes) else self.loop.sock_recv(sock, n)
            return Call(self, code, handle, call, sock)

    def _drop(self, handle: int, arg: int, flags: int) -> None:
        self._handles.pop(handle, None)
        self._calls.pop(handle, None)

    def _transport(self, handle: int) -> asyncio.Transport:
        protocol = self._streams.get(handle) or self._endpoints[handle]
        assert protocol.transport is not None, "the runner waits for MADE"
        return cast(asyncio.Transport, protocol.transport)  # the ops are those that both sorts have

    def _limits(self, handle: int, arg: int, flags: int) -> None:
        self._transport(handle).set_write_buffer_limits(high=arg, low=arg // 4)

    def _destroy(self, handle: int, arg: int, flags: int) -> None:
        if handle in self._streams:
            self._streams[handle].destroy()
            return
        if handle in self._endpoints:
            self._endpoints[handle].destroy()
            return
        if handle in self._servers:
            self._servers[handle].close()
            return
        if handle in self._calls:
            self._calls[handle].destroy()
            return
        with contextlib.suppress(ValueError, AttributeError):  # its fd may be gone, or the loop gave None for a handle
            self._cancel(handle, arg, flags)
        self.sink.begin(handle, c.EVENT_CLOSED)
        self.sink.end(handle, c.EVENT_CLOSED)

    def _run(self, handle: int, arg: int, flags: int) -> None:
        if not self._is_void:
            self._run_forever(ends_with_first=False)

    def _step(self, handle: int, arg: int, flags: int) -> None:
        if self._is_void:
            return
        if flags & c.WAIT:
            self._run_forever(ends_with_first=True)
            return
        self.loop.call_soon(self.loop.stop)
        self._is_running = True
        try:
            self.loop.run_forever()
        finally:
            self._is_running = False

    def _run_forever(self, *, ends_with_first: bool) -> None:
        self._started_ns = time.monotonic_ns()
        rescue = self.loop.call_later(RESCUE_S, self._rescue)
        self._ends_with_first = ends_with_first
        self._is_running = True
        try:
            self.loop.run_forever()
        finally:
            self._is_running = self._ends_with_first = False
            rescue.cancel()
