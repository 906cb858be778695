"""A plugin of pytest: uvloop's own tests get their loops from another factory (LOOP, module:factory).

Both kinds of its tests: those written for uvloop, and those that it runs on asyncio. Tests that make no loop by their
base class are left out, and those that the file named by LEFT_OUT lists, one id a line. uvloop is imported by name:
nothing of ci/ depends on it.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any


def bases() -> tuple[type, ...]:
    """The classes by which uvloop's tests make their loops."""
    testbase: Any = importlib.import_module("uvloop._testbase")
    return testbase.UVTestCase, testbase.AIOTestCase


def pytest_configure() -> None:
    """Puts the factory, and the policy of its module, where the tests ask."""
    module_name, _, name = os.environ["LOOP"].partition(":")
    module: Any = importlib.import_module(module_name)
    factory = getattr(module, name)
    uvloop: Any = importlib.import_module("uvloop")
    uvloop.new_event_loop = factory
    base: Any
    for base in bases():
        base.new_loop = lambda self: factory()
        base.new_policy = lambda self: module.EventLoopPolicy()


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leaves out what says nothing about the loop, or fails on an unchanged one."""
    listed = Path(os.environ["LEFT_OUT"])
    left_out = set(listed.read_text(encoding="utf-8").splitlines())
    kept = [
        item
        for item in items
        if issubclass(getattr(item, "cls", None) or object, bases()) and item.nodeid not in left_out
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
