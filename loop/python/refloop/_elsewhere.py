"""What stands where asyncio's loop keeps its queues and its selector."""

from __future__ import annotations

import selectors
from collections.abc import Mapping
from typing import Any, NoReturn

from . import _core


class Elsewhere:
    """In place of `_ready` and `_scheduled`: the queues are in C, and whoever looks here for them is told so."""

    def __init__(self, name: str) -> None:
        self.__name = name

    def clear(self) -> None:
        """asyncio's close() empties its queues; ours are emptied by `_close_core`."""

    def __missing(self, *_: object) -> NoReturn:
        raise RuntimeError(f"refloop has no {self.__name}: its queues are in C")

    __getattr__ = __len__ = __iter__ = __bool__ = __getitem__ = __contains__ = __missing


class Watched(selectors.BaseSelector):
    """In place of `_selector`: says what is watched, as the repr of asyncio's transports asks; changes nothing."""

    def __init__(self, loop: _core.Loop) -> None:
        self._loop = loop

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        watched = self._loop._watched()
        return {fd: selectors.SelectorKey(fd, fd, events, None) for fd, events in watched.items()}

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self.get_map()[fileobj if isinstance(fileobj, int) else fileobj.fileno()]

    def register(self, fileobj: Any, events: int, data: Any = None) -> NoReturn:
        raise RuntimeError("refloop has no selector: use add_reader and add_writer")

    def unregister(self, fileobj: Any) -> NoReturn:
        raise RuntimeError("refloop has no selector: use remove_reader and remove_writer")

    def select(self, timeout: float | None = None) -> NoReturn:
        raise RuntimeError("refloop has no selector: it waits in C")
