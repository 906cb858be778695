"""What a conformance case is written with: the mark, the kit it gets, and the one who runs it.

    @case("FD-1")
    def test_idle_pipe(kit):
        '''A reader of an empty pipe is not called.'''
        calls = []
        kit.reader(kit.pipe()[0], calls.append, 1)
        kit.run_for(0.05)
        kit.check(not calls, "the reader of an empty pipe was called")

A case cites exactly one rule. It passes when it returns, and what its callbacks saw is judged by the
monitor besides. Case files are plain Python: they need neither pytest nor a particular loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from loopcheck import shim, surroundings
from loopcheck.protocols import Hook, Log
from loopcheck.recorder import Recorder
from loopcheck.resources import THREADS_END_S, THREADS_LOOK_S, Allowance, Resources, inode_of, leaks_since

T = TypeVar("T")
Factory = Callable[[], asyncio.AbstractEventLoop]
Case = Callable[["Kit"], None]

SETTLE_TURNS = 10  # of Kit.run_for
BUFFER_BYTES = 1 << 16  # of the kernel, for each direction of Kit.tcp_pair
DETAIL_SIZE_MAX = 2000  # characters of a traceback that are kept: its end


@dataclass(frozen=True)
class CaseInfo:
    """What `@case` says of a function: the rule it judges and how it has to be run."""

    rule: str
    needs_run: bool = True  # False: the case is judged without a callback of the loop
    timeout_s: float | None = None  # None: the default of the check


def case(rule: str, *, needs_run: bool = True, timeout_s: float | None = None) -> Callable[[Case], Case]:
    """Marks a function `test_xxx(kit)` as a case of `rule`."""

    def mark(function: Case) -> Case:
        function.loopcheck = CaseInfo(rule, needs_run, timeout_s)  # type: ignore[attr-defined]
        return function

    return mark


class Broken(Exception):
    """A rule is broken."""

    def __init__(self, rule: str, sentence: str) -> None:
        super().__init__(f"{rule}: {sentence}")
        self.rule = rule
        self.sentence = sentence


class Skip(Exception):
    """The case cannot be judged here; its text is the reason."""


@dataclass
class Outcome:
    """What came of a case, as far as the process that ran it can tell."""

    kind: str  # "ok", "broken", "skip", "missing" (not implemented), "error" (an exception nobody expected)
    rule: str
    detail: str = ""
    observations: int = 0
    leaks: list[tuple[str, str]] = field(default_factory=list)  # (rule, sentence)
    program: str = ""  # a small one that breaks the rule, as text


class Kit:
    """The hands of one case: its loop, traced calls, and files, threads and loops that are tidied up."""

    def __init__(self, factory: Factory, rule: str, trace: Any, program: bytes = b"") -> None:
        self.factory = factory
        self.rule = rule
        self.trace = trace
        self.program = program
        self.broken: Broken | None = None  # the first one raised, also where a loop swallowed it
        self.remark = ""  # what the case wants to say though it passes
        self.program_shrunk = ""  # the text of a small program that breaks the rule
        self.program_callbacks = 0  # callbacks that programs got inside run_forever of the factory's loops
        self.are_errors_expected = False
        self._is_stopping = False
        self._errors: list[dict[str, Any]] = []
        self._recorder: Recorder | None = None
        self._loops: list[asyncio.AbstractEventLoop] = []
        self._sockets: list[tuple[socket.socket, int]] = []  # with the inode it had
        self._fds: list[tuple[int, int]] = []  # likewise, for plain descriptors
        self._threads: list[threading.Thread] = []

    # Verdicts.

    def check(self, condition: object, sentence: str, *, rule: str | None = None) -> None:
        """Breaks the case's rule (or `rule`) with `sentence` unless `condition` holds."""
        if not condition:
            self.fail(sentence, rule=rule)

    def fail(self, sentence: str, *, rule: str | None = None) -> NoReturn:
        raise self.blame(sentence, rule=rule)

    def blame(self, sentence: str, *, rule: str | None = None) -> Broken:
        """Notes that a rule is broken, without raising: the end of the run or of the case will."""
        broken = Broken(rule or self.rule, sentence)
        if self.broken is None:
            self.broken = broken
        recorder = self._recorder
        if recorder is not None and recorder.run_thread == threading.get_ident():
            recorder.loop.stop()  # in a callback: the loop may swallow what it raises
        return broken

    def equal(self, seen: object, expected: object, what: str, *, rule: str | None = None) -> None:
        """`check` that two values are equal; the sentence shows both."""
        self.check(seen == expected, f"{what}: {seen!r} instead of {expected!r}", rule=rule)

    def raises(self, error: type[BaseException], fn: Callable[..., object], *args: Any) -> BaseException:
        """Calls fn(*args) and breaks the rule unless it raises `error`."""
        try:
            value = fn(*args)
        except error as seen:
            return seen
        if inspect.iscoroutine(value):
            value.close()
        self.fail(f"{getattr(fn, '__name__', fn)}() did not raise {error.__name__}")

    def skip(self, reason: str) -> NoReturn:
        raise Skip(reason)

    # Loops.

    @property
    def recorder(self) -> Recorder:
        if self._recorder is None:
            loop = self.new_loop()
            self._recorder = Recorder(loop, self.trace)
        return self._recorder

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop under test, made by the factory at first use and closed at the end."""
        return self.recorder.loop

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Another loop of the factory; not traced, closed at the end."""
        loop = self.factory()
        self._loops.append(loop)
        with contextlib.suppress(NotImplementedError):
            loop.set_exception_handler(self._on_error)
        return loop

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Contexts that the loops' exception handlers received. A case that does not read this list
        breaks its rule when one arrives."""
        self.are_errors_expected = True
        return self._errors

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._errors.append(dict(context))
        if self._recorder is not None and loop is self._recorder.loop:
            self._recorder.error()

    # Running. Anything the loop raises comes out.

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Around a direct call of one of kit.loop's run methods."""
        recorder = self.recorder
        self._is_stopping = False
        recorder.enter()
        try:
            yield
        except BaseException:
            if self.broken is None:
                raise
        finally:
            recorder.leave()
        if self.broken is not None:
            raise self.broken

    def run(self, awaitable: Awaitable[T], limit_s: float | None = None) -> T:
        """run_until_complete. Past `limit_s` the rule is broken; without it the check's own limit
        ends a case that hangs, which is fairer to a busy machine."""

        async def body() -> T:
            self.recorder.note()
            if limit_s is None:
                return await awaitable
            task = asyncio.ensure_future(awaitable)
            done, _ = await asyncio.wait({task}, timeout=limit_s)
            self.check(done, f"not done within {limit_s} s")
            return task.result()

        with self.running():
            return self.loop.run_until_complete(body())

    def run_forever(self) -> None:
        with self.running():
            self.loop.run_forever()

    def run_for(self, seconds: float) -> None:
        """Runs the loop until a timer of its own ends it after `seconds` and SETTLE_TURNS more turns, so
        that a machine that slept through the seconds still serves what was due in them."""
        self.later(seconds, self._stop_after, SETTLE_TURNS)
        self.run_forever()

    def turns(self, count: int) -> None:
        """Runs the loop for at least `count` turns, which do not sleep."""
        self.loop.call_soon(self._stop_after, count)
        self.run_forever()

    def _stop_after(self, turns: int) -> None:
        if turns > 0:
            self.loop.call_soon(self._stop_after, turns - 1)
        else:
            self.recorder.note()
            self.stop()

    def stop(self) -> None:
        """loop.stop(), once a run: what further stops in a run do is for LIFE-2 to judge, not for every case."""
        if not self._is_stopping:
            self._is_stopping = True
            self.loop.stop()

    # The loop's own methods, traced.

    def soon(self, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:
        return self.recorder.soon(fn, *args, **options)

    def later(self, delay_s: float, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:
        return self.recorder.later(delay_s, fn, *args, **options)

    def at(self, when: float, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:
        return self.recorder.at(when, fn, *args, **options)

    def threadsafe(self, fn: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:
        return self.recorder.threadsafe(fn, *args, **options)

    def reader(self, fd: Any, fn: Callable[..., object], *args: Any) -> None:
        self.recorder.reader(fd, fn, *args)

    def writer(self, fd: Any, fn: Callable[..., object], *args: Any) -> None:
        self.recorder.writer(fd, fn, *args)

    def remove_reader(self, fd: Any) -> bool:
        return self.recorder.remove_reader(fd)

    def remove_writer(self, fd: Any) -> bool:
        return self.recorder.remove_writer(fd)

    def cancel(self, handle: asyncio.Handle) -> None:
        self.recorder.cancel(handle)

    def observed(self, fn: Callable[..., T]) -> Callable[..., T]:
        """`fn` so that its calls count as the case's observations; for protocols and the like."""

        def observer(*args: Any, **options: Any) -> T:
            self.recorder.note()
            return fn(*args, **options)

        return observer

    # Things that are tidied up at the end.

    def thread(self, fn: Callable[..., object], *args: Any) -> threading.Thread:
        """Starts a thread; it is joined at the end. Makes the loop first, so that no thread has to."""
        _ = self.recorder
        thread = threading.Thread(target=fn, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def own(self, sock: socket.socket) -> socket.socket:
        """Makes a socket the case's own: non-blocking, closed at the end, and not to be closed by the loop."""
        sock.setblocking(False)
        shim.spare(sock.fileno())
        self._sockets.append((sock, os.fstat(sock.fileno()).st_ino))
        return sock

    def socketpair(self) -> tuple[socket.socket, socket.socket]:
        left, right = socket.socketpair()
        return self.own(left), self.own(right)

    def pipe(self) -> tuple[int, int]:
        """A pipe (read end, write end), both non-blocking."""
        ends = os.pipe()
        for fd in ends:
            os.set_blocking(fd, False)
            shim.spare(fd)
            self._fds.append((fd, os.fstat(fd).st_ino))
        return ends

    def put(self, fd: int | socket.socket, data: bytes = b"x") -> None:
        """Makes the other end of a pipe or a socket pair readable."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self.check(os.write(number, data) == len(data), "the kit could not write to its own file")

    def fill(self, fd: int | socket.socket) -> int:
        """Writes until the kernel takes no more; returns the number of bytes."""
        number, total = fd if isinstance(fd, int) else fd.fileno(), 0
        with contextlib.suppress(BlockingIOError):
            while True:
                total += os.write(number, b"x" * BUFFER_BYTES)
        return total

    def listener(self) -> socket.socket:
        """A listening TCP socket on a free port of 127.0.0.1."""
        return self.own(socket.create_server(("127.0.0.1", 0)))

    def client(self, listener: socket.socket | tuple[str, int]) -> socket.socket:
        """A connected client of `listener`, or of an address."""
        address = listener if isinstance(listener, tuple) else listener.getsockname()
        return self.own(socket.create_connection(address))

    def tcp_pair(self) -> tuple[socket.socket, socket.socket]:
        """Two connected TCP sockets: one to be given to the loop, and its peer, the case's own.

        Their buffers are small, so that a megabyte does not disappear in the kernel.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            given = socket.create_connection(listener.getsockname())
            given.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            peer, _ = listener.accept()
        given.setblocking(False)
        return given, self.own(peer)

    def protocol(self, **hooks: Hook) -> Log:
        return Log(self, **hooks)

    def connection(self, **hooks: Hook) -> tuple[Log, socket.socket]:
        """A connected protocol and the case's own end of the connection."""
        given, peer = self.tcp_pair()
        log = self.protocol(**hooks)
        self.run(self.loop.create_connection(lambda: log, sock=given))
        return log, peer

    def close_files(self) -> list[tuple[str, str]]:
        """Closes the case's files; returns LIFE-3 for each that somebody else closed before."""
        stolen = []
        for sock, inode in self._sockets:
            fd = sock.fileno()
            is_other = fd >= 0 and inode_of(fd) != inode
            if is_other and sock.fileno() == fd:  # else a thread of the case has just closed it
                stolen.append(("LIFE-3", f"the user's own socket (fd {fd}) was closed by the loop"))
        for sock, _ in self._sockets:
            with contextlib.suppress(OSError):
                sock.close()
        for fd, inode in self._fds:
            if inode_of(fd) == inode:
                os.close(fd)
        self._sockets, self._fds = [], []
        return stolen

    def close(self) -> list[tuple[str, str]]:
        """Closes loops, files and threads, in this order."""
        for loop in self._loops:
            loop.close()
        if self._recorder is not None:
            self._recorder.closed()
        stolen = self.close_files()
        self.close_threads()
        return stolen

    def close_threads(self) -> None:
        """Waits for the case's threads to end."""
        for thread in self._threads:
            thread.join()


def _bare_loop(factory: Factory) -> asyncio.AbstractEventLoop | None:
    """One loop made, run and closed, or None when the factory raised."""
    loop = None
    with contextlib.suppress(BaseException):
        loop = factory()
        try:
            loop.call_soon(loop.stop)
            loop.run_forever()
        finally:
            loop.close()
    return loop


INTERFACES = (asyncio.AbstractEventLoop, asyncio.AbstractServer, asyncio.Transport, asyncio.DatagramTransport)
NO_INTERFACES = ("NoneType", "int", "str", "bytes", "tuple", "list", "dict", "function")


def is_missing(error: BaseException, loops: list[asyncio.AbstractEventLoop]) -> bool:
    """Does the exception say that the loop lacks something of asyncio's interface?"""
    if isinstance(error, NotImplementedError):
        return True
    if not isinstance(error, AttributeError):
        return False
    words = str(error).split("'")  # 'Loop' object has no attribute 'sock_recvfrom'
    name = words[-2] if len(words) > 2 else ""
    if words[1:2] and words[1] in NO_INTERFACES:  # a transport that forgot its socket (uvloop#207) lacks no feature
        return error.__context__ is not None and is_missing(error.__context__, loops)  # what a case does at its end
    holders = [error.obj] if getattr(error, "obj", None) is not None else loops
    is_known = not name.startswith("__") and any(hasattr(interface, name) for interface in INTERFACES)
    return is_known and any(not hasattr(holder, name) for holder in holders)


def _judge(function: Case, kit: Kit) -> Outcome:
    """Runs the case itself and names what came out of it."""
    try:
        function(kit)
        if kit.broken is not None:
            raise kit.broken
        if kit._errors and not kit.are_errors_expected:
            context = kit._errors[0]
            kit.fail(f"the exception handler was called: {context.get('message')} {context.get('exception')!r}")
    except Broken as broken:
        return Outcome("broken", broken.rule, broken.sentence)
    except Skip as skip:
        return Outcome("skip", kit.rule, str(skip))
    except BaseException as error:
        if is_missing(error, kit._loops):
            return Outcome("missing", kit.rule, f"{type(error).__name__}: {error}")
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        return Outcome("error", kit.rule, text[-DETAIL_SIZE_MAX:])
    return Outcome("ok", kit.rule, kit.remark)


class NoTrace:
    """Takes the place of a trace where nothing is to be recorded."""

    def add(self, *_: int, **__: int) -> None: ...


def _attempt(
    function: Case, factory: Factory, trace: Any, program: bytes, bare: Allowance, threads_s: float
) -> Outcome:
    info: CaseInfo = function.loopcheck  # type: ignore[attr-defined]
    before = Resources.now()
    kit = Kit(factory, info.rule, trace, program)
    outcome = _judge(function, kit)
    outcome.program = kit.program_shrunk
    outcome.observations = kit.program_callbacks
    if kit._recorder is not None:
        outcome.observations += kit._recorder.observations
    if outcome.kind != "ok":
        kit.close_files()
        return outcome
    try:
        stolen = kit.close()
    except Exception as error:
        return Outcome("broken", "LIFE-5", f"close() raised {error!r}", outcome.observations)
    outcome.leaks = stolen + leaks_since(before, bare.for_case(info.rule, len(kit._loops)), threads_s)
    return outcome


def run_case(function: Case, factory: Factory, trace: Any, program: bytes = b"") -> Outcome:
    """Runs one case on a fresh Kit and says what came of it, with what was left behind.

    Only a case that went well is tidied up and examined for leaks: closing a loop that was seen to
    misbehave could hang and hide the reason. What is left is a leak if it is left again when the
    case runs once more, since a loop may keep something for the process at first use, such as its
    threads, which only then get ample time to end; signal state and surroundings are judged at once.
    What every loop of the factory leaves, used or not, is told by the cases of LIFE-3, LIFE-6 and
    LIFE-14 alone. Never raises.
    """
    start = Resources.now()
    bare = Allowance.of(lambda: _bare_loop(factory))
    info: CaseInfo = function.loopcheck  # type: ignore[attr-defined]
    before = start if info.rule == "LIFE-6" else Resources.now()
    around = surroundings.AT_START if info.rule == surroundings.RULE else surroundings.Surroundings.now()
    outcome = _attempt(function, factory, trace, program, bare, THREADS_LOOK_S)
    changes = before.compare_signals(Resources.now()) if outcome.kind == "ok" else []
    changes += around.compare(surroundings.Surroundings.now()) if outcome.kind == "ok" else []
    if outcome.leaks:
        again = _attempt(function, factory, NoTrace(), program, bare, THREADS_END_S)
        hurried = [leak for leak in outcome.leaks if "thread" not in leak[1]]
        outcome.leaks = again.leaks if again.kind == "ok" else hurried
    outcome.leaks = changes + [leak for leak in outcome.leaks if leak not in changes]
    return outcome
