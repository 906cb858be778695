# real clock
"""Cases of debug mode (DEBUG-*): it tells more and changes nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.programs import generate, run_programs


@contextlib.contextmanager
def records(level: int = logging.WARNING) -> Iterator[list[str]]:
    """What the logger "asyncio" is told meanwhile."""
    told: list[str] = []
    handler = logging.Handler(level)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)


@case("DEBUG-1", needs_run=False)
def test_switch(kit: Kit) -> None:
    """set_debug() is what get_debug() says, also while the loop runs."""
    for is_on in (True, False):
        kit.loop.set_debug(is_on)
        kit.equal(kit.loop.get_debug(), is_on, "get_debug()")
    seen: list[bool] = []
    kit.soon(lambda: (kit.loop.set_debug(True), seen.append(kit.loop.get_debug())))
    kit.turns(2)
    kit.equal(seen, [True], "get_debug() in a callback")


@case("DEBUG-1")
def test_switched_on_by_the_environment(kit: Kit) -> None:
    """A loop that is made while PYTHONASYNCIODEBUG is set is in debug mode; while it is empty, it is not."""
    if sys.flags.dev_mode or sys.flags.ignore_environment:
        kit.skip("this Python does not ask the environment")
    kit.turns(1)
    for value in ("1", ""):
        with mock.patch.dict(os.environ, PYTHONASYNCIODEBUG=value):
            kit.equal(kit.new_loop().get_debug(), bool(value), f"get_debug() with {value!r}")


@case("DEBUG-1")
def test_tracking_is_switched(kit: Kit) -> None:
    """set_debug() inside a run tracks where coroutines come from, from then on; after the run nothing is tracked."""
    depths: list[int] = []

    def look() -> None:
        depths.append(sys.get_coroutine_origin_tracking_depth())

    async def main() -> None:
        for is_on in (True, False, True):
            kit.loop.set_debug(is_on)
            await asyncio.sleep(0.001)
            look()

    look()
    kit.run(main())
    look()
    kit.equal([depth > 0 for depth in depths], [False, True, False, True, False], "is it tracked")


@case("DEBUG-1")
def test_blocking_socket_of_each_call(kit: Kit) -> None:
    """In debug mode each sock_* call refuses a blocking socket with ValueError."""
    kit.loop.set_debug(True)
    left, _ = kit.socketpair()
    left.setblocking(True)
    loop = kit.loop
    for ask in (
        lambda: loop.sock_accept(left),
        lambda: loop.sock_connect(left, "/nonexistent"),
        lambda: loop.sock_recv(left, 1),
        lambda: loop.sock_recv_into(left, bytearray(1)),
        lambda: loop.sock_sendall(left, b"x"),
    ):
        kit.raises(ValueError, lambda ask=ask: kit.run(ask()))


@case("DEBUG-1")
def test_foreign_thread_is_refused(kit: Kit) -> None:
    """In debug mode each way to ask for a callback but call_soon_threadsafe is refused on another thread."""
    kit.loop.set_debug(True)
    taken: list[str] = []

    def work() -> None:
        for name, args in (("call_soon", ()), ("call_later", (60,)), ("call_at", (kit.loop.time() + 60,))):
            with contextlib.suppress(RuntimeError):
                getattr(kit.loop, name)(*args, int)
                taken.append(name)

    async def main() -> None:
        await kit.loop.run_in_executor(None, work)

    kit.run(main())
    kit.run(kit.loop.shutdown_default_executor())
    kit.equal(taken, [], "calls on another thread that were taken")


@family("DEBUG-1", kind=("soon", "timer", "task"))
def test_slow_callback_is_logged(kit: Kit, kind: str) -> None:
    """A callback that takes longer than slow_callback_duration is logged; one that does not is not"""
    kit.loop.set_debug(True)
    kit.loop.slow_callback_duration = 0.03  # type: ignore[attr-defined]

    async def body() -> None:
        time.sleep(0.05)

    with records() as told:
        if kind == "task":
            kit.run(kit.loop.create_task(body()))
        else:
            ask = kit.loop.call_soon if kind == "soon" else lambda fn, arg: kit.loop.call_later(0.001, fn, arg)
            ask(time.sleep, 0.05)
            kit.run_for(0.01)
    kit.check(any("took" in text for text in told), f"nothing was logged of a slow callback: {told}")


@case("DEBUG-1")
def test_fast_callbacks_are_not_logged(kit: Kit) -> None:
    """With a long slow_callback_duration nothing is logged, and without debug mode nothing at all."""
    with records() as told:
        for is_on in (True, False):
            kit.loop.set_debug(is_on)
            kit.loop.slow_callback_duration = 60.0 if is_on else 0.0  # type: ignore[attr-defined]
            kit.soon(time.sleep, 0.002)
            kit.turns(3)
    kit.equal([text for text in told if "took" in text], [], "what was logged")


@family("DEBUG-1", what=("coroutine", "coroutine_function"))
def test_no_callback(kit: Kit, what: str) -> None:
    """In debug mode a coroutine or a coroutine function, asked for in any way, raises TypeError"""

    async def body() -> None: ...

    given: Any = body() if what == "coroutine" else body
    kit.loop.set_debug(True)
    kit.turns(1)
    kit.raises(TypeError, kit.loop.call_soon, given)
    kit.raises(TypeError, kit.loop.call_later, 1, given)
    kit.raises(TypeError, kit.loop.call_at, kit.loop.time() + 1, given)
    kit.raises(TypeError, kit.loop.call_soon_threadsafe, given)
    kit.raises(TypeError, kit.loop.run_in_executor, None, given)
    if what == "coroutine":
        given.close()


@case("DEBUG-1")
def test_error_knows_where_it_was_asked_for(kit: Kit) -> None:
    """In debug mode the context of an error has the traceback of the call that asked for the callback."""
    kit.loop.set_debug(True)
    kit.soon(lambda: 1 // 0)
    kit.turns(3)
    kit.equal(len(kit.errors), 1, "errors told")
    kit.check(kit.errors[0].get("source_traceback"), f"the context has only {sorted(kit.errors[0])}")


@case("DEBUG-1")
def test_origin_of_coroutines(kit: Kit) -> None:
    """Debug mode records the origin of coroutines while the loop runs, and only then."""
    seen: list[int] = []
    before = sys.get_coroutine_origin_tracking_depth()
    kit.loop.set_debug(True)
    kit.soon(lambda: seen.append(sys.get_coroutine_origin_tracking_depth()))
    kit.turns(2)
    kit.check(seen[0] > before, f"depth of the origin inside the run: {seen[0]}")
    kit.equal(sys.get_coroutine_origin_tracking_depth(), before, "depth after the run")


@case("DEBUG-2")
def test_programs_in_debug_mode(kit: Kit) -> None:
    """No random program breaks a rule in debug mode."""
    plain = kit.factory

    def factory() -> asyncio.AbstractEventLoop:
        loop = plain()
        loop.set_debug(True)
        loop.slow_callback_duration = 60.0  # type: ignore[attr-defined]
        return loop

    kit.factory = factory
    run_programs(kit, [generate(seed) for seed in range(6000, 6010)])


@case("DEBUG-2")
def test_order_in_debug_mode(kit: Kit) -> None:
    """Callbacks, timers and posts keep their order in debug mode, and arguments arrive."""
    kit.loop.set_debug(True)
    ran: list[int] = []
    for i in range(50):
        (kit.soon if i % 2 else kit.threadsafe)(ran.append, i)
    now = kit.loop.time()
    kit.at(now + 0.06, ran.append, 51)
    kit.at(now + 0.03, ran.append, 50)
    kit.run_for(0.07)
    kit.equal((sorted(ran[:50]), ran[50:]), (list(range(50)), [50, 51]), "callbacks")


@case("DEBUG-2")
def test_nothing_is_kept_in_debug_mode(kit: Kit) -> None:
    """In debug mode too callbacks are let go, called, cancelled or raising (talyn BUG-217)."""

    class Thing:
        def __init__(self, fails: bool = False) -> None:
            self.fails = fails

        def __call__(self) -> None:
            if self.fails:
                raise ZeroDivisionError("planted")

    kit.loop.set_debug(True)

    def ask() -> list[weakref.ref[Thing]]:
        things = [Thing(), Thing(True), Thing()]
        for thing in things[:2]:
            kit.loop.call_soon(thing)
        kit.loop.call_later(3600, things[2]).cancel()
        return [weakref.ref(thing) for thing in things]

    references = ask()
    kit.turns(3)
    kit.errors.clear()
    gc.collect()
    kit.equal([one() is None for one in references], [True] * 3, "is it freed: called, raising, cancelled")


@case("DEBUG-2")
def test_connection_in_debug_mode(kit: Kit) -> None:
    """A connection in debug mode carries its bytes and ends as it does without."""
    kit.loop.set_debug(True)
    kit.loop.slow_callback_duration = 60.0  # type: ignore[attr-defined]
    log, peer = kit.connection(data=lambda log, data: log.transport.write(data))
    kit.put(peer, b"hello")
    kit.run(log.until_event("data"))
    kit.turns(2)
    peer.settimeout(1.0)  # a loop may leave the sending to the kernel
    kit.equal(peer.recv(10), b"hello", "answer")
    peer.close()
    kit.run(log.until_event("lost"))
    kit.equal(log.events, ["made", "data", "eof", "lost"], "events")


@case("DEBUG-1")
def test_blocking_socket_is_refused(kit: Kit) -> None:
    """In debug mode the sock_* calls refuse a blocking socket with ValueError."""
    kit.loop.set_debug(True)
    left, _ = kit.socketpair()
    left.setblocking(True)
    for call in (
        lambda: kit.run(kit.loop.sock_recv(left, 10)),
        lambda: kit.run(kit.loop.sock_sendall(left, b"x")),
        lambda: kit.run(kit.loop.sock_accept(left)),
        lambda: kit.run(kit.loop.sock_connect(left, ("127.0.0.1", 9))),
    ):
        kit.raises(ValueError, call)


@case("DEBUG-1")
def test_loop_made_in_another_thread(kit: Kit) -> None:
    """In debug mode a loop belongs to the thread that runs it, wherever it was made, and to none while it stops."""
    kit.turns(1)
    loop, seen = kit.new_loop(), list[str]()
    loop.set_debug(True)
    loop.call_soon(seen.append, "before")

    def work() -> None:
        loop.call_soon(seen.append, "beside")
        loop.run_until_complete(asyncio.sleep(0.001))
        seen.append("ran")

    thread = kit.thread(work)
    thread.join()
    loop.call_soon(seen.append, "after")
    loop.run_until_complete(asyncio.sleep(0))
    kit.equal(seen, ["before", "beside", "ran", "after"], "what was done")


@family("DEBUG-2", way=("call_soon", "call_later", "call_soon_threadsafe", "create_task"))
def test_context_in_debug_mode(kit: Kit, way: str) -> None:
    """In debug mode too a callback or a task runs in the context that was given"""
    if way == "create_task" and sys.version_info < (3, 11):
        kit.skip("this Python's create_task takes no context")
    kit.loop.set_debug(True)
    variable = contextvars.ContextVar("variable", default="other")
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    seen: list[str] = []

    async def body() -> None:
        seen.append(variable.get())

    if way == "create_task":
        kit.loop.create_task(body(), context=context)
    else:
        ask = getattr(kit.loop, way)
        ask(*([0] if way == "call_later" else []), lambda: seen.append(variable.get()), context=context)
    kit.run_for(0.002)
    kit.equal(seen, ["given"], "what was seen")
