"""Loops with one or two planted defects each, for campaigns."""

from __future__ import annotations

import asyncio
import ctypes
import time
from typing import Any


class Crashes(asyncio.SelectorEventLoop):
    """Dies when a writer is removed."""

    def remove_writer(self, fd: Any) -> bool:
        if super().remove_writer(fd):
            ctypes.string_at(0)
        return False


class Hangs(asyncio.SelectorEventLoop):
    """Never comes back when a reader is removed."""

    def remove_reader(self, fd: Any) -> bool:
        while super().remove_reader(fd):
            time.sleep(3600)
        return False


class Refuses(asyncio.SelectorEventLoop):
    """Does not take a writer, of which no rule speaks."""

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        raise OSError(5, "no writers here")


class Mute(asyncio.SelectorEventLoop):
    """Cannot do streams."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        raise NotImplementedError

    def create_task(self, *args: Any, **options: Any) -> Any:
        args[0].close()
        raise NotImplementedError


class Loud(asyncio.SelectorEventLoop):
    """Calls everything twice; and a reader is called for a socket that is not ready, once."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        super().call_soon(callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        super().add_reader(fd, callback, *args)
        super().call_soon(callback, *args)


class Dies(asyncio.SelectorEventLoop):
    """Every program on it is the death of its process."""

    def run_forever(self) -> None:
        ctypes.string_at(0)
