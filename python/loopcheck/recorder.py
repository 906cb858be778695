"""Records what a case asked of a loop and what the loop's callbacks saw.

A case calls the loop's own methods through a `Recorder`, which hands over the same callback wrapped
so that its begin and its end stand in the trace. The monitor (contract/monitor.h) then judges the
universal rules in every case, whatever the case itself is about.
"""

from __future__ import annotations

import asyncio
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from loopcheck import _contract as c
from loopcheck import shim

HANDLES_MAX = 2000  # traced handles of one kind; callbacks beyond are handed over untraced
TICK_NS = 2_000_000  # timers are judged by the monitor beyond this; cases of TIMER-1 judge closer
DELAY_MAX_S = 1e8  # timers further away, or at no number at all, are handed over untraced
CLOCKS_APART_MAX_S = 60.0  # beyond, loop.time() is taken for another clock than time.monotonic()

EXCEPTIONS: tuple[tuple[type[BaseException], int], ...] = (
    (KeyboardInterrupt, 4),
    (SystemExit, 3),
    (asyncio.CancelledError, 2),
    (BaseException, 1),
)
POLL_BITS = (
    (select.POLLIN, c.IN),
    (select.POLLOUT, c.OUT),
    (select.POLLHUP, c.HUP),
    (select.POLLERR | select.POLLNVAL, c.ERR),
)


def exception_number(error: BaseException) -> int:
    """The number that stands for an exception's class in WHAT_END records."""
    return next(number for cls, number in EXCEPTIONS if isinstance(error, cls))


def readiness(fd: int) -> int:
    """LC_IN|LC_OUT|LC_HUP|LC_ERR as poll(2) shows them for `fd` now."""
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLOUT)
    shown = poller.poll(0)
    events = shown[0][1] if shown else 0
    return sum(bit for poll_bit, bit in POLL_BITS if events & poll_bit)


class Recorder:
    """The traced way to one loop. Not to be shared between loops: the monitor knows one at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, trace: Any) -> None:
        self.loop = loop
        self.trace = trace
        self.observations = 0  # callbacks handed to this very loop that ran on the thread inside its run
        self.run_thread = 0  # ident of the thread inside run*(), 0: none
        self._count: dict[int, int] = {}  # kind -> handles given out
        self._lock = threading.Lock()  # guards _count alone
        self._wide: dict[int, tuple[object, int]] = {}  # id(loop's handle) -> (it, our handle)
        self._watch: dict[tuple[int, int], int] = {}  # (fd, LC_IN or LC_OUT) -> our handle
        promises = c.PROMISE_FIFO | c.PROMISE_TURN | c.PROMISE_ORDER
        capabilities = c.CAP_MULTI  # a case's own stops and exceptions are not in the trace
        trace.add(c.WHAT_OPEN, arg=capabilities | promises << 32)
        self.tick_ns = shim.tick_ns(TICK_NS)
        trace.add(c.WHAT_TERMS, arg=self.tick_ns)

    # What the loop is asked. Each returns what the loop's own method returns.

    def soon(self, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:
        wide = self._new(c.KIND_SOON)
        handle = self.loop.call_soon(self._wrap(fn, c.EVENT_SOON, wide), *args, **options)
        self._asked(c.OP_SOON, wide, handle)
        return handle

    def later(self, delay_s: float, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:
        wide = self._new(c.KIND_TIMER) if abs(delay_s) < DELAY_MAX_S else 0
        before = time.monotonic()
        handle = self.loop.call_later(delay_s, self._wrap(fn, c.EVENT_TIMER, wide), *args, **options)
        after = time.monotonic()
        self._armed(wide, handle, before + delay_s, after + delay_s)
        return handle

    def at(self, when: float, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:
        wide = self._new(c.KIND_TIMER) if abs(when - self.loop.time()) < DELAY_MAX_S else 0
        before = time.monotonic()
        apart = before - self.loop.time()
        deadline = when + (apart if abs(apart) > CLOCKS_APART_MAX_S else 0.0)
        handle = self.loop.call_at(when, self._wrap(fn, c.EVENT_TIMER, wide), *args, **options)
        self._armed(wide, handle, deadline, deadline + time.monotonic() - before)
        return handle

    def threadsafe(self, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:
        wide = self._new(c.KIND_WAKER)
        self._add(c.WHAT_OP, wide, code=c.OP_WAKER)
        self._add(c.WHAT_POST, wide, code=c.OP_POST)
        wrapped = self._wrap(fn, c.EVENT_POSTED, wide)
        handle = self.loop.call_soon_threadsafe(wrapped, *args, **options)
        self._asked(c.OP_POST, wide, handle)
        return handle

    def reader(self, fd: Any, fn: Callable[..., object], *args: Any) -> None:
        self._watch_fd(fd, c.IN, self.loop.add_reader, fn, args)

    def writer(self, fd: Any, fn: Callable[..., object], *args: Any) -> None:
        self._watch_fd(fd, c.OUT, self.loop.add_writer, fn, args)

    def remove_reader(self, fd: Any) -> bool:
        return self._unwatch_fd(fd, c.IN, self.loop.remove_reader)

    def remove_writer(self, fd: Any) -> bool:
        return self._unwatch_fd(fd, c.OUT, self.loop.remove_writer)

    def cancel(self, handle: asyncio.Handle) -> None:
        handle.cancel()
        known = self._wide.get(id(handle))
        self._add(c.WHAT_OP, known[1] if known else 0, code=c.OP_CANCEL)

    # What the kit tells of a run.

    def enter(self) -> None:
        self.run_thread = threading.get_ident()
        self.trace.add(c.WHAT_RUN)

    def leave(self) -> None:
        """The run is over. Cases judge what has left it; the monitor knows no exits but those of programs."""
        self.run_thread = 0
        self.trace.add(c.WHAT_RAN)

    def closed(self) -> None:
        self.trace.add(c.WHAT_CLOSED)

    def error(self) -> None:
        self.trace.add(c.WHAT_ERROR)

    def note(self) -> None:
        """Counts one callback that does not fit the operations: a protocol's method, a coroutine."""
        self.trace.add(c.WHAT_NOTE)
        self._observe()

    # Inner part.

    def _new(self, kind: int) -> int:
        with self._lock:
            index = self._count[kind] = self._count.get(kind, 0) + 1
        return kind << 12 | index if index <= HANDLES_MAX else 0

    def _add(self, what: int, wide: int, **fields: int) -> None:
        if wide:
            self.trace.add(what, handle=wide, **fields)

    def _observe(self) -> None:
        if threading.get_ident() == self.run_thread:
            self.observations += 1

    def _wrap(self, fn: Callable[..., object], event: int, wide: int) -> Callable[..., object]:
        def callback(*args: Any) -> object:
            self._add(c.WHAT_BEGIN, wide, code=event)
            return self._inside(fn, args, event, wide)

        return callback

    def _inside(self, fn: Callable[..., object], args: Any, event: int, wide: int) -> object:
        self._observe()
        try:
            value = fn(*args)
        except BaseException as error:
            self._add(c.WHAT_END, wide, code=event, result=exception_number(error))
            raise
        self._add(c.WHAT_END, wide, code=event)
        return value

    def _asked(self, op: int, wide: int, handle: object, **fields: int) -> None:
        self._add(c.WHAT_OP, wide, code=op, **fields)
        if wide and handle is not None:
            self._wide[id(handle)] = (handle, wide)

    def _armed(self, wide: int, handle: Any, earliest: float, latest: float) -> None:
        """The deadline is the handle's own when() where that is credible: it is the exact one."""
        if not wide:
            return
        try:
            when = float(handle.when())
        except Exception:
            when = earliest
        tick = self.tick_ns / 1e9
        deadline = when if earliest - tick <= when <= latest + tick else earliest
        self._asked(c.OP_AT, wide, handle, arg=max(0, int(deadline * 1e9)))

    def _watch_fd(self, fd: Any, bits: int, add: Callable[..., Any], fn: Callable[..., object], args: Any) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()  # objects are for NUM-2 to judge, not for every case
        wide = self._new(c.KIND_WATCH)

        def callback() -> object:
            self._add(c.WHAT_BEGIN, wide, code=c.EVENT_READY, bits=bits, arg=readiness(number) if wide else 0)
            return self._inside(fn, args, c.EVENT_READY, wide)

        add(number, callback)  # whether *args arrive is for SOON-6 to judge, not for every case
        self._add(c.WHAT_OP, self._watch.pop((number, bits), 0), code=c.OP_CANCEL)
        self._watch[number, bits] = wide
        self._add(c.WHAT_OP, wide, code=c.OP_WATCH, bits=bits, arg=number)

    def _unwatch_fd(self, fd: Any, bits: int, remove: Callable[..., bool]) -> bool:
        number = fd if isinstance(fd, int) else fd.fileno()
        removed = remove(fd if number < 0 else number)
        self._add(c.WHAT_OP, self._watch.pop((number, bits), 0), code=c.OP_CANCEL)
        return removed
