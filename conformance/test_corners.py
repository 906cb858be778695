# real clock
"""Cases that each come from one bug of the field and fit no family: loops, servers, signals, futures."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from typing import Any

from loopcheck.kit import Kit, case


@case("LIFE-7", needs_run=False)
def test_is_an_event_loop(kit: Kit) -> None:
    """The loop is an AbstractEventLoop and can be set as a thread's loop (leviathan#6)."""
    kit.check(isinstance(kit.loop, asyncio.AbstractEventLoop), "it is no AbstractEventLoop")
    asyncio.set_event_loop(kit.loop)
    kit.check(asyncio.get_event_loop_policy().get_event_loop() is kit.loop, "another loop was set")
    asyncio.set_event_loop(None)


@case("LIFE-6", needs_run=False)
def test_limits_of_the_process(kit: Kit) -> None:
    """Making, running and closing a loop changes no resource limit (talyn BUG-260)."""
    names = (resource.RLIMIT_NOFILE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_STACK)
    before = [resource.getrlimit(name) for name in names]
    kit.turns(2)
    kit.loop.close()
    kit.equal([resource.getrlimit(name) for name in names], before, "limits")


@case("ERR-3")
def test_plain_signal_handler_that_raises(kit: Kit) -> None:
    """What a handler of signal.signal raises leaves the run, and the loop runs again (uvloop#94)."""

    class Planted(BaseException):
        """Raised by the handler."""

    def handler(number: int, frame: object) -> None:
        raise Planted

    is_idle = threading.Event()  # soon: then the loop sleeps
    kit.turns(1)
    old = signal.signal(signal.SIGUSR1, handler)
    try:
        kit.thread(lambda: (is_idle.wait(), time.sleep(0.02), os.kill(os.getpid(), signal.SIGUSR1)))
        kit.soon(is_idle.set)
        kit.later(1.0, kit.stop)
        kit.raises(Planted, kit.run_forever)
    finally:
        signal.signal(signal.SIGUSR1, old)
    kit.turns(3)


@case("SIGNAL-1")
def test_handler_removed_by_another(kit: Kit) -> None:
    """A signal handler may remove another whose signal is under way (talyn BUG-037)."""
    calls: list[str] = []
    numbers = {"usr1": signal.SIGUSR1, "usr2": signal.SIGUSR2}

    def handler(name: str) -> None:
        calls.append(name)
        for number in numbers.values():
            kit.loop.remove_signal_handler(number)

    ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN), signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    for name, number in numbers.items():
        kit.loop.add_signal_handler(number, handler, name)
    kit.soon(lambda: [os.kill(os.getpid(), number) for number in numbers.values()])
    kit.run_for(0.02)
    signal.signal(signal.SIGUSR2, ignored[0])
    signal.signal(signal.SIGUSR1, ignored[1])
    kit.check(len(calls) in (1, 2) and len(set(calls)) == len(calls), f"handlers called: {calls}")


@case("SERVER-3")
def test_clients_of_a_cancelled_serve_forever(kit: Kit) -> None:
    """Cancelling serve_forever leaves a connection that works, or, as newer Pythons do, ends it (gh-123720)."""
    log = kit.protocol(data=lambda log, data: log.transport.write(data))

    async def main() -> bytes:
        server = await kit.loop.create_server(lambda: log, "127.0.0.1", 0)
        client = kit.client(server.sockets[0].getsockname())
        serving = asyncio.ensure_future(server.serve_forever())
        await log.until_event("made")
        serving.cancel()
        await asyncio.sleep(0.003)
        kit.put(client, b"hello")
        answer = await kit.loop.sock_recv(client, 10)
        client.close()
        await log.until_event("lost")
        await asyncio.wait({serving})
        return answer

    kit.check(
        kit.run(main()) in (b"hello", b""), "an answer or an end of the connection after serve_forever was cancelled"
    )


@case("SERVER-3")
def test_keep_alive(kit: Kit) -> None:
    """create_server(keep_alive=True) sets SO_KEEPALIVE on its clients (3.13; zuvloop#27)."""
    if sys.version_info < (3, 13):
        kit.skip("this Python's create_server has no keep_alive")

    async def main() -> int:
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0, keep_alive=True)
        is_set = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        server.close()
        await asyncio.sleep(0)
        return is_set

    kit.equal(kit.run(main()), 1, "SO_KEEPALIVE")


@case("SERVER-3")
def test_dropped_unix_server(kit: Kit) -> None:
    """A UNIX server whose object was dropped goes on accepting (uvloop#261)."""
    log = kit.protocol()

    async def main(path: str) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        await kit.loop.create_unix_server(lambda: log, sock=listener)
        gc.collect()
        open(path + "x", "w").close()
        client = kit.own(socket.socket(socket.AF_UNIX))
        await kit.loop.sock_connect(client, path)
        await log.until_event("made")
        client.close()
        await log.until_event("lost")
        kit.loop.remove_reader(listener.fileno())
        listener.close()

    with tempfile.TemporaryDirectory() as directory:
        kit.run(main(f"{directory}/s"))


@case("DGRAM-4")
def test_dropped_endpoints(kit: Kit) -> None:
    """Eighty datagram endpoints that are dropped without close() end quietly when they are collected (uvloop#125)."""
    kit.errors.clear()

    async def main() -> None:
        for _ in range(80):
            transport, _ = await kit.loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            kit.loop.call_later(0.01, transport.abort)
            del transport
        gc.collect()
        await asyncio.sleep(0.03)

    kit.run(main())


@case("FD-3")
def test_socket_closed_in_its_own_reader(kit: Kit) -> None:
    """A reader may remove itself and close its socket, though a writer was due too (gevent@686277bc)."""
    calls: list[str] = []
    for _ in range(20):
        left, right = socket.socketpair()
        right.send(b"x")

        def ends(left: socket.socket = left, right: socket.socket = right) -> None:
            calls.append("reader")
            kit.remove_reader(left)
            kit.remove_writer(left)
            left.close()
            right.close()

        kit.reader(left, ends)
        kit.writer(left, calls.append, "writer")
    kit.run_for(0.005)
    kit.equal(calls.count("reader"), 20, "calls of the readers")


@case("LIFE-11")
def test_generator_dropped_in_a_thread(kit: Kit) -> None:
    """In debug mode an asynchronous generator that is dropped in a thread is closed by the loop (uvloop#200)."""
    kit.loop.set_debug(True)
    ended: list[int] = []
    held: list[Any] = []

    async def generator() -> Any:
        try:
            yield 1
        finally:
            ended.append(threading.get_ident())

    async def main() -> None:
        held.append(generator())
        await held[0].__anext__()
        kit.thread(held.clear).join()
        for _ in range(100):
            if ended:
                break
            await asyncio.sleep(0.002)

    kit.run(main())
    kit.equal(ended, [threading.get_ident()], "threads in which the generator ended")


@case("LIFE-11")
def test_generator_dropped_while_the_loop_sleeps(kit: Kit) -> None:
    """An asynchronous generator that a thread drops wakes the loop, which has nothing else to do, and is closed."""
    held: list[Any] = []

    async def generator(ended: asyncio.Event) -> Any:
        try:
            yield 1
        finally:
            ended.set()

    def drop() -> None:
        time.sleep(0.005)  # the loop sleeps by then
        held.clear()

    async def main() -> None:
        ended = asyncio.Event()
        held.append(generator(ended))
        await held[0].__anext__()
        kit.thread(drop)
        await ended.wait()

    kit.run(main())


@case("TASK-4")
def test_eager_task_with_a_bad_context(kit: Kit) -> None:
    """An eager task whose context is none, or is entered already, harms no other task (cpython gh-157301)."""
    if sys.version_info < (3, 12):
        kit.skip("this Python has no eager tasks")

    async def body() -> str:
        return "fine"

    kit.loop.set_task_factory(asyncio.eager_task_factory)

    async def main() -> str:
        for context in (2.14, contextvars.copy_context()):
            coro = body()
            enter = context.run if isinstance(context, contextvars.Context) else lambda fn: fn()
            try:
                enter(lambda c=coro, x=context: kit.loop.create_task(c, context=x))
            except (TypeError, RuntimeError):
                coro.close()
        await asyncio.sleep(0)
        return await kit.loop.create_task(body())

    kit.equal(kit.run(main(), 2.0), "fine", "result of a later task")


@case("TASK-5")
def test_remove_done_callback_counts(kit: Kit) -> None:
    """remove_done_callback says how many it removed: all the first time, none the second (talyn BUG-195)."""
    future = kit.loop.create_future()
    for _ in range(3):
        future.add_done_callback(print)
    kit.equal([future.remove_done_callback(print), future.remove_done_callback(print)], [3, 0], "counts")
    kit.loop.call_soon(future.set_result, 1)
    kit.equal(kit.run(asyncio.wait_for(future, 2)), 1, "result")
