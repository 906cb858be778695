# A plain stdlib loop under another name is seen as such; one that overrides anything is a loop of its own.
from __future__ import annotations

import asyncio
import contextlib
import functools
import selectors
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loopcheck.probe import version_of, why_not_a_loop, why_plain_stdlib

Loop = asyncio.SelectorEventLoop


class Empty(Loop):
    """A subclass that changes nothing."""

    colour = "blue"


class Overrides(Loop):
    def call_soon(self, *args: Any, **options: Any) -> asyncio.Handle:
        return super().call_soon(*args, **options)


class Intercepts(Loop):
    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__(name)


class Mixin:
    def time(self) -> float:
        return 0.0


class Mixed(Mixin, Loop):
    pass


class OwnSelector(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout)


class SameSelector(selectors.SelectSelector):
    pass


def changed(change: Callable[[Any], None]) -> Callable[[], Any]:
    """A factory of stdlib loops that are changed afterwards."""

    def make() -> Any:
        loop = Loop()
        change(loop)
        return loop

    return make


def set_method(loop: Any) -> None:
    loop.call_at = loop.call_at


def set_ready(loop: Any) -> None:
    loop._ready = type("Queue", (deque,), {})()


def set_select(loop: Any) -> None:
    loop._selector.select = loop._selector.select


PLAIN = {
    "asyncio's": asyncio.new_event_loop,
    "empty subclass": Empty,
    "another selector": lambda: Loop(selectors.SelectSelector()),
    "a poll selector": lambda: Loop(selectors.PollSelector()),
    "empty selector": lambda: Loop(SameSelector()),
    "debug": changed(lambda loop: loop.set_debug(True)),
    "new attribute": changed(lambda loop: setattr(loop, "colour", "blue")),
}
OWN = {
    "overrides": Overrides,
    "intercepts": Intercepts,
    "mixed": Mixed,
    "own selector": lambda: Loop(OwnSelector()),
    "method on the instance": changed(set_method),
    "own ready queue": changed(set_ready),
    "select on the selector": changed(set_select),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_stdlib(name: str) -> None:
    with contextlib.closing(PLAIN[name]()) as loop:
        assert "returned a plain asyncio." in why_plain_stdlib("fastloop", loop)
        assert why_plain_stdlib("asyncio", loop) == ""
        assert why_not_a_loop(loop) == ""


@pytest.mark.parametrize("name", OWN)
def test_loop_of_its_own(name: str) -> None:
    with contextlib.closing(OWN[name]()) as loop:
        assert why_plain_stdlib("fastloop", loop) == ""


@contextlib.contextmanager
def patched(cls: type, name: str) -> Iterator[None]:
    """The stdlib with one function replaced by a wrapper that looks like it."""
    original = getattr(cls, name)
    setattr(cls, name, functools.wraps(original)(lambda *args, **options: original(*args, **options)))
    try:
        yield
    finally:
        setattr(cls, name, original)


@pytest.mark.parametrize(
    ("cls", "name"),
    [(asyncio.BaseEventLoop, "_run_once"), (selectors.DefaultSelector, "select"), (asyncio.Handle, "_run")],
)
def test_patched_stdlib_is_a_loop_of_its_own(cls: type, name: str) -> None:
    with contextlib.closing(Loop()) as loop:
        with patched(cls, name):
            assert why_plain_stdlib("fastloop", loop) == ""
        assert why_plain_stdlib("fastloop", loop) != ""


@pytest.mark.parametrize(("thing", "word"), [(3, "int"), (None, "NoneType"), (Loop, "the class"), (print, "builtin")])
def test_not_a_loop(thing: object, word: str) -> None:
    assert word in why_not_a_loop(thing)


def test_version() -> None:
    assert version_of("pytest.something") == pytest.__version__
    assert version_of("nosuchmodule") == ""
