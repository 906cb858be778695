"""Makes asyncio hand out the loops of a factory, and counts how often one of them is set running.

Used in a process of its own, by tests that were not written for that loop; `watch_running` comes before the loop is
imported. The places: the policy that asyncio.new_event_loop asks (from 3.16 there is none, and the function is
replaced), asyncio.EventLoop (from 3.14, where tests name it as their factory), and
IsolatedAsyncioTestCase.loop_factory (from 3.13; before that it asks the policy).
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
from collections.abc import Callable
from typing import Any

Factory = Callable[[], Any]

POLICIES = ("_DefaultEventLoopPolicy", "DefaultEventLoopPolicy")  # of asyncio, or, from 3.14 on, of its unix_events


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


def inject_asyncio(factory: Factory) -> Maker:
    """Makes whatever asks asyncio for a loop get one of the factory. Returns what makes them."""
    home = next((module for module in (asyncio, asyncio.unix_events) if policy_name(module)), asyncio)
    make = Maker(factory, own_factory(home))
    if policy_name(home):
        inject_policy(home, make)
    else:
        asyncio.new_event_loop = asyncio.events.new_event_loop = make
    if sys.version_info >= (3, 14):
        asyncio.EventLoop = _stand_in(asyncio.EventLoop, make)
    unittest.IsolatedAsyncioTestCase.loop_factory = staticmethod(make)  # type: ignore[attr-defined]
    return make


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
    """The name of the default policy's class, "" where this module has none."""
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
        asyncio.set_event_loop_policy(policy())


def _stand_in(cls: Any, make: Factory) -> type:
    """A class that makes the factory's loops, and takes them for its instances."""

    class Meta(type):
        def __call__(self, *_: object, **__: object) -> Any:
            return make()

        def __instancecheck__(self, instance: object) -> bool:
            return instance in MADE or isinstance(instance, cls)

    return Meta(cls.__name__, (), {"__module__": cls.__module__})
