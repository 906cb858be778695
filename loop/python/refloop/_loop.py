"""The loop: asyncio's, on the C loop.

What schedules, waits and watches is in C (`_core.Loop`, which comes first among the bases). What is built on that,
streams, servers, TLS, subprocesses, signals and DNS, is asyncio's own, by inheritance; `_sockets`, `_transport` and
`_tls` put its defects right.
"""

from __future__ import annotations

import sys
from asyncio import base_events, events, format_helpers
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from . import _core
from ._children import Children
from ._elsewhere import Elsewhere, Watched
from ._sockets import Sockets
from ._tls import Tls


def run_handle(handle: Any) -> None:
    """Runs an asyncio.Handle that is none of ours: a signal's."""
    if not handle._cancelled:
        handle._run()


class EventLoop(_core.Loop, Sockets, Tls, Children):
    """An asyncio event loop in C."""

    if TYPE_CHECKING:  # what asyncio's stubs leave out
        _asyncgen_finalizer_hook: Any
        _asyncgen_firstiter_hook: Any
        _check_running: Any
        _set_coroutine_origin_tracking: Any

    def __init__(self) -> None:
        self._pidfds = {}
        super().__init__(Watched(self))

    # What asyncio keeps in these two is in C; its own code must not look for it here.

    @property
    def _ready(self) -> Elsewhere:
        return Elsewhere("_ready")

    @_ready.setter
    def _ready(self, value: object) -> None:
        pass

    @property
    def _scheduled(self) -> Elsewhere:
        return Elsewhere("_scheduled")

    @_scheduled.setter
    def _scheduled(self, value: object) -> None:
        pass

    def run_forever(self) -> None:
        """Runs until stop() is called [LIFE-8]."""
        self._check_closed()
        self._check_running()
        self._begin_run()
        hooks = sys.get_asyncgen_hooks()
        try:
            self._set_coroutine_origin_tracking(self._debug)
            sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
            events._set_running_loop(self)
            self._run_turns()
        finally:
            self._end_run()
            events._set_running_loop(None)
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*hooks)

    def close(self) -> None:
        """Lets go of everything; RuntimeError while the loop runs, nothing when it is closed [LIFE-5]."""
        if not self.is_running():
            self._forget_children()
        super().close()
        self._close_core()

    def _add_callback(self, handle: Any) -> None:
        if not handle._cancelled:
            self.call_soon(run_handle, handle)

    # What C code calls.

    def _stack(self) -> Any:
        """Where a handle is being made: the frames above this one."""
        return format_helpers.extract_stack(sys._getframe(1))

    def _callback_failed(self, handle: Any, exception: BaseException) -> None:
        """What asyncio.Handle._run does when the callback raised."""
        source = format_helpers._format_callback_source(handle._callback, handle._args)
        context = {"message": f"Exception in callback {source}", "exception": exception, "handle": handle}
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)

    def _run_in_debug(self, handle: Any) -> None:
        """Runs a callback and says so when it took long."""
        try:
            self._current_handle = handle
            began_s = self.time()
            handle._run()
            took_s = self.time() - began_s
            if took_s >= self.slow_callback_duration:
                logger.warning("Executing %s took %.3f seconds", base_events._format_handle(handle), took_s)  # type: ignore[attr-defined]
        finally:
            self._current_handle = None
            handle = None  # an exception may keep this frame
