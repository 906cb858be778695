"""An asyncio event loop in C that keeps every rule of loopcheck.

    refloop.run(main())                  as asyncio.run, on this loop
    asyncio.Runner(loop_factory=refloop.new_event_loop)
    refloop.install()                    every new loop of this process, where Python still has policies

`EventLoop` is the class; `EventLoopPolicy` exists where asyncio has policies.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ._loop import EventLoop

if TYPE_CHECKING:
    from ._policy import EventLoopPolicy

__all__ = ["EventLoop", "EventLoopPolicy", "install", "new_event_loop", "run"]

T = TypeVar("T")


def new_event_loop() -> EventLoop:
    """A new loop. It is the caller's to close."""
    return EventLoop()


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Runs a coroutine as asyncio.run does, on a new loop of this package."""
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("refloop.run() cannot be called from a running event loop")
    if sys.version_info >= (3, 11):
        with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
            return runner.run(main)
    from ._run import run_without_runner

    return run_without_runner(main, new_event_loop, debug)


def install() -> None:
    """Makes asyncio.new_event_loop() and asyncio.run() use this loop. RuntimeError where Python has no policies."""
    set_policy = getattr(asyncio, "set_event_loop_policy", None)
    if set_policy is None:
        raise RuntimeError("this Python has no event loop policies; use refloop.run() or a loop_factory")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # whoever calls this wants a policy
        set_policy(__getattr__("EventLoopPolicy")())


def __getattr__(name: str) -> Any:
    """The policy only when it is asked for: asyncio's own is deprecated from 3.14 on, and then goes."""
    if name != "EventLoopPolicy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if getattr(asyncio, "DefaultEventLoopPolicy", None) is None:
            raise AttributeError("this Python has no event loop policies")
        from ._policy import EventLoopPolicy
    return EventLoopPolicy
