"""Is it an event loop, and is it one of its own?

A factory that returns a plain stdlib loop under another name would pass every case and say nothing
about the loop it is named after, so that all its verdicts are VACUOUS. Whatever overrides anything (a
subclass, an attribute set on the instance, a patched function, a selector) is a loop of its own.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import selectors
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

REQUIRED = ("run_forever", "run_until_complete", "stop", "close", "is_running", "is_closed", "call_soon", "call_later")

# Names that Python itself writes into a class body; none of them changes what a loop does.
_BOOKKEEPING = frozenset(
    {"__module__", "__doc__", "__qualname__", "__dict__", "__weakref__", "__slots__", "__annotations__"}
    | {"__annotate__", "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__static_attributes__"}
    | {"__parameters__", "__orig_bases__", "__abstractmethods__", "_abc_impl"}
)
_STDLIB_FILES = (str(Path(asyncio.__file__).parent), selectors.__file__)


def why_not_a_loop(candidate: object) -> str:
    """A phrase that says why the object is no event loop, "" when it is one."""
    if isinstance(candidate, type):
        return f"the class {candidate.__name__} and not an instance of it"
    missing = [name for name in REQUIRED if not callable(getattr(candidate, name, None))]
    if not missing:
        return ""
    return f"{_named(type(candidate))}, which is no event loop: it has no {', '.join(missing[:3])}"


def why_plain_stdlib(module: str, loop: Any) -> str:
    """A sentence when the loop is nothing but the stdlib's although `module` is not asyncio, else ""."""
    if module == "asyncio" or module.startswith("asyncio."):
        return ""
    if not any(_is_stdlib(cls) and _is_loop_class(cls) for cls in type(loop).__mro__):
        return ""
    if _overrides(type(loop)) or _sets_on_instance(loop) or _is_patched(loop):
        return ""
    return f"{module} returned a plain {_named(_stdlib_base(type(loop)))}, so nothing of {module} was tested"


def version_of(module: str) -> str:
    """The version of the distribution that a module comes from, "" when unknown."""
    top = module.split(".")[0]
    try:
        names = metadata.packages_distributions().get(top, [top])
        return metadata.version(names[0])
    except Exception:
        return str(getattr(sys.modules.get(top), "__version__", ""))


def _named(cls: type) -> str:
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _is_stdlib(cls: type) -> bool:
    return cls is object or cls.__module__.split(".")[0] in ("asyncio", "selectors", "abc", "builtins")


def _is_loop_class(cls: type) -> bool:
    """A class with an implementation, not the abstract one that every loop may derive from."""
    return issubclass(cls, asyncio.BaseEventLoop)


def _stdlib_base(cls: type) -> type:
    return next(base for base in cls.__mro__ if _is_stdlib(base))


def _overrides(cls: type) -> bool:
    """Does a class of somebody else redefine what the stdlib's classes define, or intercept access?"""
    stdlib = {name for base in cls.__mro__ if _is_stdlib(base) for name in vars(base)}
    intercepting = {"__getattr__", "__getattribute__", "__setattr__"}
    own = {name for base in cls.__mro__ if not _is_stdlib(base) for name in vars(base)}
    return bool((own - _BOOKKEEPING) & (stdlib | intercepting))


def _sets_on_instance(loop: Any) -> bool:
    """Does the instance carry a method of its own, or a part that is not the stdlib's?"""
    attributes = getattr(loop, "__dict__", {})
    if any(callable(getattr(type(loop), name, None)) for name in attributes):
        return True
    parts = [attributes.get(name) for name in ("_ready", "_scheduled", "_selector")]
    return any(part is not None and not _is_plain_part(part) for part in parts)


def _is_plain_part(part: Any) -> bool:
    cls = type(part)
    if not issubclass(cls, selectors.BaseSelector):
        return cls.__module__ in ("collections", "builtins")
    shadowed = any(callable(getattr(cls, name, None)) for name in getattr(part, "__dict__", {}))
    return not _overrides(cls) and not shadowed


def _functions(cls: type) -> Iterator[Any]:
    for base in cls.__mro__:
        if _is_stdlib(base) and base.__module__.split(".")[0] in ("asyncio", "selectors"):
            for name, value in vars(base).items():
                if name not in _BOOKKEEPING:
                    value = value.fget if isinstance(value, property) else value
                    yield getattr(value, "__func__", value)


def _is_patched(loop: Any) -> bool:
    """Was a function of the stdlib's loop, selector or handle classes replaced?"""
    parts = [type(loop), type(getattr(loop, "_selector", None)), asyncio.events.Handle, asyncio.events.TimerHandle]
    for cls in parts:
        for function in _functions(cls):
            is_system_call = getattr(function, "__module__", "") == "select"  # SelectSelector._select
            if not callable(function) or isinstance(function, type) or is_system_call:
                continue
            code = getattr(function, "__code__", None)
            if code is None or not code.co_filename.startswith(_STDLIB_FILES):
                return True
    return False
