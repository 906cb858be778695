# kill() of a child that was waited for raises nothing, and may reach another process (cpython gh-127049).
# Breaks PROC-6.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "PROC-6"


class Loop(asyncio.SelectorEventLoop):
    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().subprocess_exec(*args, **options)
        plain = transport.kill

        def kill() -> None:
            if transport.get_returncode() is None:
                plain()

        transport.kill = kill
        return transport, protocol


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
