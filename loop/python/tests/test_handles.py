"""A handle behaves as asyncio's own, and lets go of what it holds."""

import asyncio
import contextvars
import gc
import logging
import sys
import weakref

import pytest


class Held:
    """Something whose release can be seen, and that acts when it is released."""

    def __init__(self, at_end=None):
        self.at_end = at_end

    def __call__(self, *_):
        pass

    def __del__(self):
        if self.at_end is not None:
            self.at_end()


def make(loop, kind, *args, **options):
    return {
        "soon": lambda: loop.call_soon(*args, **options),
        "threadsafe": lambda: loop.call_soon_threadsafe(*args, **options),
        "later": lambda: loop.call_later(0, *args, **options),
        "at": lambda: loop.call_at(0, *args, **options),
    }[kind]()


KINDS = pytest.mark.parametrize("kind", ["soon", "threadsafe", "later", "at"])


@KINDS
def test_type(loop, kind):
    """Handles are asyncio.Handle, those of timers asyncio.TimerHandle, and nobody else makes them."""
    handle = make(loop, kind, print, 1)
    assert isinstance(handle, asyncio.Handle)
    assert isinstance(handle, asyncio.TimerHandle) is (kind in ("later", "at"))
    with pytest.raises(TypeError):
        type(handle)()


@KINDS
def test_argument_given_twice(loop, kind):
    """TypeError, as for any function, for a callback by place and by name."""
    with pytest.raises(TypeError):
        make(loop, kind, print, callback=print)


@KINDS
def test_type_is_let_go(loop, turn, kind):
    """Each handle that goes lets go of its type."""
    made = type(make(loop, kind, print, 1))
    turn()
    before = sys.getrefcount(made)
    for _ in range(100):
        make(loop, kind, int).cancel()
    turn()
    assert sys.getrefcount(made) - before < 50


@pytest.mark.parametrize("kind", ["later", "at"])
def test_scheduled(loop, turn, kind):
    """The attribute of a timer that asyncio calls so is true while it waits."""
    called, cancelled = make(loop, kind, int), make(loop, kind, int)
    assert (called._scheduled, cancelled._scheduled) == (True, True)
    cancelled.cancel()
    assert cancelled._scheduled is False
    turn()
    turn()
    assert called._scheduled is False


@KINDS
def test_repr(loop, kind):
    """repr shows what asyncio's shows: the kind, the callback, that it was cancelled."""
    handle = make(loop, kind, print, 1)
    name = type(handle).__name__
    assert repr(handle).startswith(f"<{name} ")
    assert "print(" in repr(handle)
    handle.cancel()
    assert repr(handle).startswith(f"<{name} cancelled")


@KINDS
def test_released_by_call(loop, turn, kind):
    """Once called, callback and arguments are gone, although the handle is kept."""
    callback, argument = Held(), Held()
    found = [weakref.ref(callback), weakref.ref(argument)]
    handle = make(loop, kind, callback, argument)
    del callback, argument
    turn()
    turn()
    assert [ref() for ref in found] == [None, None]
    assert not handle.cancelled()


@KINDS
def test_released_by_cancel(loop, turn, kind):
    """Once cancelled, callback and arguments are gone at once; cancelling again is harmless."""
    callback = Held()
    found = weakref.ref(callback)
    handle = make(loop, kind, callback, 1)
    del callback
    handle.cancel()
    handle.cancel()
    assert found() is None
    assert handle.cancelled()
    turn()


@KINDS
def test_cancel_of_itself(loop, turn, kind):
    """A callback that cancels its own handle keeps its callable and arguments until it returns."""
    seen = []
    handles = []

    def callback(argument):
        handles.pop().cancel()
        gc.collect()
        seen.append(argument.__class__)

    handles.append(make(loop, kind, callback, Held()))
    del callback
    turn()
    turn()
    assert seen == [Held]


@KINDS
def test_release_that_schedules(loop, turn, kind):
    """An argument whose end asks for more callbacks does no harm, be it by call, by cancel or by close."""
    ran = []
    for _ in range(50):
        make(loop, kind, print, Held(lambda: make(loop, kind, ran.append, 1))).cancel()
    make(loop, kind, lambda _: None, Held(lambda: loop.call_soon(ran.append, 2)))
    for _ in range(3):
        turn()
    assert ran.count(1) == 50
    assert ran.count(2) == 1
    refused = []
    make(loop, kind, print, Held(lambda: refused.append(loop.is_closed())))
    loop.close()
    assert refused == [True]


def test_cycle_is_collected(loop):
    """A handle that refers to itself through its arguments is garbage once it was called."""
    box = []
    box.append(loop.call_soon(box.append, box))
    found = weakref.ref(box[0])
    loop.call_soon(loop.stop)
    loop.run_forever()
    del box
    gc.collect()
    assert found() is None


def test_cycle_through_the_deadline_is_collected(loop):
    """So is a timer that was cancelled and to which its own deadline refers."""

    class When(float):
        pass

    when = When(loop.time() + 3600)
    when.timer = loop.call_at(when, print)
    found = weakref.ref(when)
    when.timer.cancel()
    del when
    gc.collect()
    assert found() is None


@KINDS
def test_weak_reference_ends(loop, turn, kind):
    """A weak reference to a handle that goes by itself, not by the collector, is dead."""
    handle = make(loop, kind, print)
    found = weakref.ref(handle)
    handle.cancel()
    turn()
    del handle
    assert found() is None


def test_forgotten_loop_is_collected(loop):
    """A loop that nobody closed goes, with all that waits in it."""
    other = type(loop)()
    held = Held()
    found = [weakref.ref(other), weakref.ref(held)]
    for kind in ("soon", "threadsafe", "later", "at"):
        make(other, kind, print, held, other)
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        del other, held
        gc.collect()
    assert [ref() for ref in found] == [None, None]


@KINDS
def test_context(loop, turn, kind):
    """The callback runs in the context given, or in a copy of the one in which it was asked for."""
    variable = contextvars.ContextVar("variable", default=0)
    seen = []
    given = contextvars.copy_context()
    given.run(variable.set, 1)
    make(loop, kind, lambda: (seen.append(variable.get()), variable.set(3)))
    handle = make(loop, kind, lambda: seen.append(variable.get()), context=given)
    assert handle.get_context() is given
    variable.set(2)
    turn()
    turn()
    assert seen == [0, 1]
    assert variable.get() == 2


def test_context_that_only_looks_like_one(loop, turn):
    """Whatever has run() may be the context, as in asyncio."""
    ran = []

    class Context:
        def run(self, function, *args):
            ran.append("in")
            function(*args)

    loop.call_soon(ran.append, "call", context=Context())
    turn()
    assert ran == ["in", "call"]


@pytest.mark.parametrize("name", ["_args", "_callback", "_cancelled", "_context", "_repr", "_source_traceback"])
@KINDS
def test_private_attributes_deleted(loop, turn, errors, kind, name):
    """Whoever deletes asyncio's private attributes of a handle gets no crash."""
    handle = make(loop, kind, print, 1)
    delattr(handle, name)
    turn()
    turn()
    if name == "_context":
        with pytest.raises(AttributeError):
            handle.get_context()
    handle.cancel()


def test_order_of_timers(loop):
    """Timer handles compare by when(), as asyncio's do."""
    early, late = loop.call_at(1, print), loop.call_at(2.5, print)
    assert early < late
    assert late > early
    assert early != late
    assert (early.when(), late.when()) == (1, 2.5)
    assert hash(early) == hash(1)


def test_debug_mode(loop, turn, caplog):
    """In debug mode handles know where they were made, and slow callbacks are logged."""
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    handle = loop.call_soon(lambda: None)
    assert handle._source_traceback[-1].name == "test_debug_mode"
    assert "created at" in repr(handle)
    with caplog.at_level(logging.WARNING, "asyncio"):
        turn()
    assert any("Executing <Handle" in record.message for record in caplog.records)


@KINDS
def test_cancelled_handle_is_known_in_debug_mode(loop, kind):
    """In debug mode the repr of a handle that was cancelled goes on saying what it would have called."""
    loop.set_debug(True)
    handle = make(loop, kind, logging.getLogger)
    handle.cancel()
    assert "cancelled" in repr(handle) and "getLogger" in repr(handle)


def test_debug_mode_refuses_coroutines(loop):
    """In debug mode what cannot be a callback is refused when it is handed over."""
    loop.set_debug(True)

    async def coroutine():
        pass

    for kind in ("soon", "threadsafe", "later", "at"):
        with pytest.raises(TypeError):
            make(loop, kind, coroutine)
        with pytest.raises(TypeError):
            make(loop, kind, None)
