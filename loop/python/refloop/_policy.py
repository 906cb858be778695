"""The policy, for Pythons that have one. Imported only when it is asked for."""

from __future__ import annotations

import asyncio

from ._loop import EventLoop


class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """asyncio's own policy, with this loop."""

    _loop_factory = EventLoop
