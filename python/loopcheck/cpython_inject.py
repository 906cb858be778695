"""Puts the loop under test where CPython's own tests of asyncio get theirs, besides where inject.py puts it.

Those places are create_event_loop() and new_loop() of test classes, and the loop_factory that a class sets itself. What
would look into a loop's private attributes in every test is put right as well: `close_loop`, which reads
_default_executor, and the child watcher that needs a SIGCHLD handler of the loop (up to 3.13).
"""

from __future__ import annotations

import asyncio
import sys
import types
import unittest
from collections.abc import Callable, Iterable
from typing import Any

from loopcheck.inject import MADE, Factory, inject_asyncio

HOOKS = ("create_event_loop", "new_loop")
OWN_NEW_LOOP = "shutdown_ag_run"  # what test_runners' new_loop() sets on its loop, and its tests read


def inject(factory: Factory, package: str, module: types.ModuleType) -> None:
    """Makes the tests of one module of `package` use loops of the factory."""
    make = inject_asyncio(factory)
    utils = sys.modules[f"{package}.utils"]
    functional = sys.modules.get(f"{package}.functional")
    inject_hooks((*_classes(module), *(_classes(functional) if functional else ())), make)
    utils.TestCase.close_loop = staticmethod(neutral_close(utils.TestCase.close_loop))
    watcher = getattr(asyncio, "ThreadedChildWatcher", None)
    if hasattr(module, "UnixEventLoopTestsMixin") and watcher is not None:
        setattr(asyncio, "SafeChildWatcher", watcher)  # noqa: B010


def inject_hooks(classes: Iterable[type], make: Factory) -> None:
    """Replaces what test classes make their loops with."""
    for cls in classes:
        for hook in HOOKS:
            original = vars(cls).get(hook)
            if isinstance(original, types.FunctionType):
                setattr(cls, hook, _hook_of(original, make))
        if "loop_factory" in vars(cls) and issubclass(cls, unittest.IsolatedAsyncioTestCase):
            cls.loop_factory = staticmethod(make)  # type: ignore[attr-defined]


def _hook_of(original: types.FunctionType, make: Factory) -> Callable[..., Any]:
    """What takes the place of a class's hook; test_runners wants a mark when generators are shut down."""
    if OWN_NEW_LOOP not in original.__code__.co_names:
        return lambda *_: make()

    def new_loop(*_: object) -> Any:
        loop = make()
        shut_down = loop.shutdown_asyncgens

        async def shutdown_asyncgens() -> None:
            loop.shutdown_ag_run = True
            await shut_down()

        loop.shutdown_ag_run = False
        loop.shutdown_asyncgens = shutdown_asyncgens
        return loop

    return new_loop


def _classes(module: types.ModuleType) -> list[type]:
    return [value for value in vars(module).values() if isinstance(value, type)]


def neutral_close(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """close_loop() of the tests' base class, without a look at the loop's private executor.

    The run that ends the executor does not count as a run of the test.
    """

    def close_loop(loop: Any) -> None:
        if loop not in MADE:
            original(loop)
            return
        unknown = object()
        executor: Any = getattr(loop, "_default_executor", unknown)
        MADE.is_counting = False
        try:
            if executor is not None and not loop.is_closed():
                loop.run_until_complete(loop.shutdown_default_executor())
            elif executor is not None and executor is not unknown:
                executor.shutdown(wait=True)
        finally:
            MADE.is_counting = True
        original(types.SimpleNamespace(_default_executor=None, close=loop.close))

    return close_loop
