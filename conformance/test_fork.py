# real clock
"""Cases of fork (FORK-*): what a child does with a loop that it inherits does not reach its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from loopcheck.family import family
from loopcheck.kit import Kit, case

CHILD_S = 5.0  # until a child that hangs is killed


def forked(kit: Kit, work: Callable[[], object]) -> int:
    """Does the work in a forked child, without the kit; its exit status, 1 for an exception, or minus the signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(int(CHILD_S))
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def all_is_well(kit: Kit) -> None:
    """Timers, watchers, and posts of threads of the parent's loop all work, the last within a second."""
    ran: list[str] = []
    read_end, write_end = kit.pipe()
    is_read = threading.Event()
    kit.reader(read_end, lambda: (ran.append("reader"), kit.remove_reader(read_end), is_read.set()))
    kit.later(0.002, ran.append, "timer")
    kit.later(0.004, kit.put, write_end)
    limit = kit.later(1.0, lambda: (ran.append("nothing for a second"), kit.stop()))

    def post() -> None:
        is_read.wait(2)
        time.sleep(0.01)  # the loop falls asleep
        kit.loop.call_soon_threadsafe(lambda: (ran.append("post"), kit.stop()))

    kit.thread(post)
    kit.run_forever()
    kit.cancel(limit)
    kit.turns(2)
    kit.equal(ran, ["timer", "reader", "post"], "what the parent's loop served after the fork")


def use_new_loop(kit: Kit) -> None:
    """In a child: makes a loop and runs it."""
    loop = kit.factory()

    async def main() -> None:
        await asyncio.sleep(0.001)
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.setblocking(False)
            loop.call_soon(right.send, b"x")
            assert await loop.sock_recv(left, 1) == b"x"

    loop.run_until_complete(main())
    loop.close()


@case("FORK-1")
def test_child_does_nothing(kit: Kit) -> None:
    """A child that ends at once leaves the parent's loop as it was."""
    kit.turns(2)
    kit.equal(forked(kit, lambda: None), 0, "status of the child")
    all_is_well(kit)


@case("FORK-1")
def test_child_uses_a_new_loop(kit: Kit) -> None:
    """A child may make, run and close a loop of its own, and the parent's loop goes on."""
    kit.turns(2)
    kit.equal(forked(kit, lambda: use_new_loop(kit)), 0, "status of the child")
    all_is_well(kit)


@family("FORK-2", when=("idle", "with_watchers", "with_a_connection"))
def test_child_closes_the_inherited_loop(kit: Kit, when: str) -> None:
    """A child that closes the loop it inherited takes nothing from its parent's"""
    kit.turns(2)
    read_end, write_end = kit.pipe()
    calls: list[int] = []
    if when == "with_watchers":
        kit.reader(read_end, lambda: (calls.append(1), kit.remove_reader(read_end)))
    log, peer = kit.connection() if when == "with_a_connection" else (None, None)
    kit.turns(2)
    loop = kit.loop
    kit.equal(forked(kit, loop.close), 0, "status of the child")
    kit.put(write_end)
    if peer is not None and log is not None:
        kit.put(peer, b"hello")
    kit.run_for(0.01)
    if when == "with_watchers":
        kit.equal(calls, [1], "calls of the parent's reader")
    if log is not None:
        kit.equal(bytes(log.received), b"hello", "data of the parent's connection")
        log.transport.abort()
        kit.run_for(0.002)
    all_is_well(kit)


@case("FORK-1")
def test_child_looks_up_a_name(kit: Kit) -> None:
    """A child whose parent has looked up names can look one up in a loop of its own (uvloop#39)."""
    kit.run(kit.loop.getaddrinfo("localhost", 80))

    def look_up() -> None:
        loop = kit.factory()
        loop.run_until_complete(loop.getaddrinfo("localhost", 80))
        loop.run_until_complete(loop.run_in_executor(None, int))
        loop.close()

    kit.equal(forked(kit, look_up), 0, "status of the child")
    all_is_well(kit)


@case("FORK-1")
def test_fork_in_a_callback(kit: Kit) -> None:
    """A child forked inside a callback may use a loop of its own; the parent's run goes on."""
    statuses: list[int] = []

    def callback() -> None:
        statuses.append(forked(kit, child))

    def child() -> None:
        asyncio._set_running_loop(None)
        use_new_loop(kit)

    kit.soon(callback)
    kit.turns(3)
    kit.equal(statuses, [0], "status of the child")
    all_is_well(kit)


@case("FORK-1")
def test_no_running_loop_in_a_forked_child(kit: Kit) -> None:
    """In a child forked inside a callback no loop counts as running."""
    statuses: list[int] = []

    def child() -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise AssertionError

    kit.soon(lambda: statuses.append(forked(kit, child)))
    kit.turns(3)
    kit.equal(statuses, [0], "status of the child")


@case("FORK-1")
def test_signals_after_a_fork(kit: Kit) -> None:
    """A signal handler of the parent's loop works after a fork, and a child's own loop can have handlers."""
    calls: list[int] = []
    kit.loop.add_signal_handler(signal.SIGUSR1, lambda: (calls.append(1), kit.stop()))
    kit.turns(1)

    def child() -> None:
        loop = kit.factory()
        loop.add_signal_handler(signal.SIGUSR2, loop.stop)
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR2)
        loop.run_forever()

    kit.equal(forked(kit, child), 0, "status of the child")
    kit.thread(lambda: (time.sleep(0.01), os.kill(os.getpid(), signal.SIGUSR1)))
    kit.run_forever()
    kit.soon(kit.loop.remove_signal_handler, signal.SIGUSR1)
    kit.turns(3)
    kit.equal(calls, [1], "calls of the parent's handler")


@case("FORK-1")
def test_fork_in_a_thread(kit: Kit) -> None:
    """A child forked in a thread has that thread as its main one: its loop takes signals (uvloop PR#453)."""
    kit.turns(1)
    statuses: list[int] = []

    def child() -> None:
        assert threading.current_thread() is threading.main_thread()
        loop = kit.factory()
        loop.add_signal_handler(signal.SIGUSR2, loop.stop)
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR2)
        loop.run_forever()

    kit.thread(lambda: statuses.append(forked(kit, child))).join()
    kit.equal(statuses, [0], "status of the child")
    kit.turns(2)
