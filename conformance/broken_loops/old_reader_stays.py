# A second add_reader adds to the first instead of replacing it (after zuvloop#15a). Breaks FD-9.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "FD-9"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[int, list[Any]] = {}

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        readers = self._readers.setdefault(number, [])
        readers.append((callback, args))

        def call_all() -> None:
            for each, each_args in list(readers):
                each(*each_args)

        super().add_reader(fd, call_all)

    def remove_reader(self, fd: Any) -> bool:
        self._readers.pop(fd if isinstance(fd, int) else fd.fileno(), None)
        return super().remove_reader(fd)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
