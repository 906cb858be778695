"""Loops that do their worst, once told to: each is a factory named after what it does.

They misbehave in a callback, after `set_debug(True)`, so that the same loop is harmless in the next
case, which must run unharmed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

ALL_SIGNALS = signal.valid_signals()


class Hostile(asyncio.SelectorEventLoop):
    """A stdlib loop with one bad habit."""

    def act(self) -> None:
        """What it does in its own callback."""

    def set_debug(self, enabled: bool) -> None:
        """The sign to begin."""
        super().set_debug(False)
        if enabled:
            self.call_soon(self.act)


def hostile(act: Callable[[Any], object]) -> type[Hostile]:
    """Makes a loop class, which is its own factory, of a bad habit."""
    return type(act.__name__, (Hostile,), {"act": act, "__module__": __name__})


@hostile
def hang(loop: Any) -> None:
    threading.Event().wait()


@hostile
def segfault(loop: Any) -> None:
    ctypes.string_at(0)


@hostile
def exit_zero(loop: Any) -> None:
    os._exit(0)


@hostile
def raise_system_exit(loop: Any) -> None:
    sys.exit(0)


@hostile
def run_another_program(loop: Any) -> None:
    os.execv(sys.executable, [sys.executable, "-c", ""])


@hostile
def close_every_fd(loop: Any) -> None:
    os.closerange(0, 4096)


@hostile
def close_stdout(loop: Any) -> None:
    sys.stdout.close()


@hostile
def close_fd_1(loop: Any) -> None:
    os.close(1)


@hostile
def block_signals_and_hang(loop: Any) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)
    threading.Event().wait()


@hostile
def block_signals(loop: Any) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)


@hostile
def fork_and_both_go_on(loop: Any) -> None:
    os.fork()


@hostile
def fork_and_parent_exits(loop: Any) -> None:
    if os.fork():
        os._exit(0)


@hostile
def fork_and_parent_waits(loop: Any) -> None:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)


@hostile
def fork_and_child_exits_later(loop: Any) -> None:
    if os.fork() == 0:
        loop.call_later(0.005, os._exit, 0)


@hostile
def fork_and_child_exits_at_the_end(loop: Any) -> None:
    if os.fork() == 0:
        loop.stop = lambda: os._exit(0)


@hostile
def fork_behind_pythons_back(loop: Any) -> None:
    ctypes.CDLL(None).fork()


@hostile
def fork_many(loop: Any) -> None:
    while True:
        if os.fork() == 0:
            signal.pause()


@hostile
def leave_a_daemon(loop: Any) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
    os.wait()


@hostile
def spin(loop: Any) -> None:
    while True:
        pass


@hostile
def allocate(loop: Any) -> None:
    held = []
    while True:
        held.append(b"x" * (1 << 20) + bytes([len(held) % 256]))


@hostile
def recurse(loop: Any) -> None:
    sys.setrecursionlimit(1 << 30)

    def down(*_: object) -> object:
        return sorted([1], key=down)

    down()


@hostile
def print_a_megabyte(loop: Any) -> None:
    sys.stderr.write("x" * (1 << 20))
    sys.stdout.write("y" * (1 << 20))
    sys.stdout.flush()


@hostile
def kill_itself(loop: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@hostile
def stop_itself(loop: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@hostile
def kill_its_parent(loop: Any) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


@hostile
def kill_its_parent_and_leave_a_daemon(loop: Any) -> None:
    if os.fork() == 0:
        os.setsid()
        signal.pause()
    os.kill(os.getppid(), signal.SIGKILL)


@hostile
def stop_its_parent(loop: Any) -> None:
    os.kill(os.getppid(), signal.SIGSTOP)


@hostile
def stop_its_parent_and_hang(loop: Any) -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    threading.Event().wait()


def scribble_over(fill: int) -> None:
    """Overwrites every shared, writable mapping of this process."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, mode, *_ = line.split()
            first, last = (int(address, 16) for address in span.split("-"))
            if mode == "rw-s":
                ctypes.memset(first, fill, last - first)


@hostile
def scribble_ones(loop: Any) -> None:
    scribble_over(0xFF)


@hostile
def scribble_zeros(loop: Any) -> None:
    scribble_over(0)


@hostile
def scribble_and_exit(loop: Any) -> None:
    scribble_over(0x5A)
    os._exit(0)


@hostile
def patch_everything(loop: Any) -> None:
    os.getpid = os._exit = lambda *_: 0  # type: ignore[assignment]


def sys_exit() -> Hostile:
    """A factory that ends the interpreter instead."""
    sys.exit(0)


def raising() -> Hostile:
    """A factory that raises."""
    raise RuntimeError("no loop today")


def hanging() -> Hostile:
    """A factory that does not return."""
    threading.Event().wait()
    raise AssertionError


def exiting() -> Hostile:
    """A factory that ends the process, politely."""
    os._exit(0)


def crashing() -> Hostile:
    """A factory that crashes."""
    ctypes.string_at(0)
    raise AssertionError


def no_loop() -> int:
    """A factory of something else."""
    return 42


def plain() -> asyncio.AbstractEventLoop:
    """The stdlib's loop under another name."""
    return asyncio.new_event_loop()


def patched() -> asyncio.AbstractEventLoop:
    """The stdlib's loop with one method of its own."""
    loop = asyncio.new_event_loop()
    original = loop.call_soon
    loop.call_soon = lambda *args, **options: original(*args, **options)  # type: ignore[method-assign]
    return loop


WORD = "not a factory"
