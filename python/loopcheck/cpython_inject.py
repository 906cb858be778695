"""Puts the loop under test where CPython's own tests of asyncio get their loops, and watches whether it runs.

Used in the process of one test only; `watch_running` comes before the loop is imported. The places:

    asyncio.new_event_loop and the policy behind it (from 3.16 there is none, and the functions are replaced),
    asyncio.EventLoop (from 3.14, where the tests name it as their factory),
    create_event_loop() and new_loop() of test classes,
    IsolatedAsyncioTestCase.loop_factory (from 3.13; before that it asks the policy).

What would look into a loop's private attributes in every test is put right as well: `close_loop`, which reads
_default_executor, and the child watcher that needs a SIGCHLD handler of the loop (up to 3.13).
"""

from __future__ import annotations

import asyncio
import asyncio.events
import sys
import threading
import types
import unittest
import warnings
import weakref
from collections.abc import Callable, Iterable
from typing import Any

Factory = Callable[[], Any]

HOOKS = ("create_event_loop", "new_loop")
POLICIES = ("_DefaultEventLoopPolicy", "DefaultEventLoopPolicy")  # the first of them that asyncio has
OWN_NEW_LOOP = "shutdown_ag_run"  # what test_runners' new_loop() sets on its loop, and its tests read


class Made:
    """The loops that the factory made, and how often one of them was set running."""

    def __init__(self) -> None:
        self.runs = 0
        self.is_counting = True
        self._weak: weakref.WeakSet[Any] = weakref.WeakSet()
        self._strong: list[Any] = []  # loops that cannot be referred to weakly

    def add(self, loop: Any) -> Any:
        """Remembers a loop, and returns it."""
        try:
            self._weak.add(loop)
        except TypeError:
            self._strong.append(loop)
        return loop

    def __contains__(self, loop: Any) -> bool:
        return any(loop is made for made in (*self._weak, *self._strong))

    def ran(self, loop: Any) -> None:
        """A loop was set running, whoever made it."""
        if loop is not None and self.is_counting and loop in self:
            self.runs += 1


MADE = Made()


def watch_running() -> None:
    """Counts every loop of MADE that is set running. A loop has no other way to make get_running_loop() true."""
    for module in (asyncio.events, asyncio, sys.modules.get("_asyncio")):
        for name in [name for name in vars(module) if name.endswith("_set_running_loop")] if module else ():
            setattr(module, name, _counted(getattr(module, name)))


def _counted(original: Callable[[Any], None]) -> Callable[[Any], None]:
    if getattr(original, "is_counted", False):
        return original

    def _set_running_loop(loop: Any) -> None:
        MADE.ran(loop)
        original(loop)

    _set_running_loop.is_counted = True  # type: ignore[attr-defined]
    return _set_running_loop


def inject(factory: Factory, package: str, module: types.ModuleType) -> None:
    """Makes the tests of one module of `package` use loops of the factory."""

    make = Maker(factory, own_factory(asyncio))
    if policy_name(asyncio):
        inject_policy(asyncio, make)
    else:
        asyncio.new_event_loop = asyncio.events.new_event_loop = make
    if sys.version_info >= (3, 14):
        asyncio.EventLoop = _stand_in(asyncio.EventLoop, make)
    utils = sys.modules[f"{package}.utils"]
    functional = sys.modules.get(f"{package}.functional")
    inject_hooks((*_classes(module), *(_classes(functional) if functional else ())), make)
    utils.TestCase.close_loop = staticmethod(neutral_close(utils.TestCase.close_loop))
    watcher = getattr(asyncio, "ThreadedChildWatcher", None)
    if hasattr(module, "UnixEventLoopTestsMixin") and watcher is not None:
        setattr(asyncio, "SafeChildWatcher", watcher)  # noqa: B010


class Maker:
    """Calls the factory. One that asks asyncio for a loop, as asyncio.new_event_loop does, gets asyncio's own."""

    def __init__(self, factory: Factory, own: Factory) -> None:
        self._factory = factory
        self._own = own
        self._thread = threading.local()

    def __call__(self, *_: object, **__: object) -> Any:
        if getattr(self._thread, "is_making", False):
            return self._own()
        self._thread.is_making = True
        try:
            return MADE.add(self._factory())
        finally:
            self._thread.is_making = False


def policy_name(home: types.ModuleType) -> str:
    """The name of the default policy's class, "" where there are no policies."""
    return next((name for name in POLICIES if name in vars(home)), "")


def own_factory(home: types.ModuleType) -> Factory:
    """What makes asyncio's own loop, before anything is injected."""
    name = policy_name(home)
    return getattr(home, name)().new_event_loop if name else home.EventLoop  # type: ignore[no-any-return]


def inject_policy(home: types.ModuleType, make: Factory) -> None:
    """Makes a policy whose new loops are `make`'s the one in force, and the default one."""
    name = policy_name(home)
    base = getattr(home, name)
    body = {"new_event_loop": lambda self: make(), "_loop_factory": staticmethod(make), "__module__": base.__module__}
    policy = type(base.__name__, (base,), body)
    setattr(home, name, policy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        home.set_event_loop_policy(policy())


def inject_hooks(classes: Iterable[type], make: Factory) -> None:
    """Replaces what test classes make their loops with."""
    unittest.IsolatedAsyncioTestCase.loop_factory = staticmethod(make)  # type: ignore[attr-defined]
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


def _stand_in(cls: Any, make: Factory) -> type:
    """A class that makes the factory's loops, and takes them for its instances."""

    class Meta(type):
        def __call__(self, *_: object, **__: object) -> Any:
            return make()

        def __instancecheck__(self, instance: object) -> bool:
            return instance in MADE or isinstance(instance, cls)

    return Meta(cls.__name__, (), {"__module__": cls.__module__})


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
