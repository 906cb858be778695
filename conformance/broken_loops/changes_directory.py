# Making a loop changes the working directory and raises the recursion limit (hostile input of the kit). Breaks LIFE-14.

from __future__ import annotations

import asyncio
import os
import sys

BREAKS = "LIFE-14"


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        os.chdir("/")
        sys.setrecursionlimit(10**6)


def new_event_loop() -> asyncio.AbstractEventLoop:
    return Loop()
