# A reader is called once for each arrival of data, not for as long as there is some (epoll's EPOLLET).
# Breaks FD-2.

from __future__ import annotations

import asyncio
import select
import selectors
from typing import Any

BREAKS = "FD-2"


class Edge(selectors.EpollSelector):
    _EVENT_READ = select.EPOLLIN | select.EPOLLET

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors._BaseSelectorImpl.register(self, fileobj, events, data)
        self._selector.register(key.fd, self._bits(events))
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self.unregister(fileobj)
        return self.register(fileobj, events, data)

    def _bits(self, events: int) -> int:
        is_read, is_write = events & selectors.EVENT_READ, events & selectors.EVENT_WRITE
        return (self._EVENT_READ if is_read else 0) | (select.EPOLLOUT if is_write else 0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(Edge())


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
