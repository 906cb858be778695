# process_exited is called once more when the pipes are closed (gevent#1602, the same watcher twice). Breaks PROC-2.

from __future__ import annotations

import asyncio
from typing import Any

BREAKS = "PROC-2"


class Loop(asyncio.SelectorEventLoop):
    async def subprocess_exec(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        def factory() -> Any:
            protocol = protocol_factory()
            plain = protocol.process_exited
            protocol.process_exited = lambda: (plain(), self.call_soon(plain))
            return protocol

        return await super().subprocess_exec(factory, *args, **options)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
