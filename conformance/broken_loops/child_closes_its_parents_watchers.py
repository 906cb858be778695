# close() in a forked child takes the watchers out of the shared epoll instance (libuv 2a4cab70e; the same in
# CPython). Breaks FORK-2.

from __future__ import annotations

import asyncio

BREAKS = "FORK-2"


class Loop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        if not self.is_closed() and not self.is_running():
            for key in list(self._selector.get_map().values()):  # type: ignore[attr-defined]
                self._selector.unregister(key.fileobj)  # type: ignore[attr-defined]
            self._selector.register(self._ssock, 1, (None, None))  # type: ignore[attr-defined]
        super().close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
