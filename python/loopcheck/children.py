"""What cases of subprocesses need: children to start, and a protocol that writes down what is told of one."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopcheck.kit import Kit


class Child(asyncio.SubprocessProtocol):
    """Judges PROC-2 wherever it is used: nothing before made, after lost, or of a pipe that was lost."""

    WHOLE = ("made", "data 1", "data 2", "pipe 0 lost", "pipe 1 lost", "pipe 2 lost", "exited", "lost")

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.events: list[str] = []  # data once for each pipe
        self.data = {1: bytearray(), 2: bytearray()}
        self.returncode: int | None = None  # as get_returncode() said in process_exited
        self.transport: Any = None
        self.exited: asyncio.Future[None] = kit.loop.create_future()
        self.lost: asyncio.Future[None] = kit.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._seen("made", not self.events)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.data[fd] += data
        self._seen(f"data {fd}", f"pipe {fd} lost" not in self.events)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._seen(f"pipe {fd} lost", f"pipe {fd} lost" not in self.events)

    def process_exited(self) -> None:
        self.returncode = self.transport.get_returncode()
        self._seen("exited", "exited" not in self.events)
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen("lost", "exited" in self.events)
        if not self.lost.done():
            self.lost.set_result(None)

    def _seen(self, event: str, is_in_order: bool) -> None:
        self.kit.recorder.note()
        if not is_in_order or "lost" in self.events or (event != "made" and "made" not in self.events):
            self.kit.blame(f"{event} after {', '.join(self.events) or 'nothing'}", rule="PROC-2")
        if not event.startswith("data") or event not in self.events:
            self.events.append(event)


def spawn(kit: Kit, script: str, **options: Any) -> Child:
    """Starts the shell script by loop.subprocess_exec, with pipes where nothing else is said."""
    protocol = Child(kit)
    kit.run(kit.loop.subprocess_exec(lambda: protocol, "/bin/sh", "-c", script, **options))
    return protocol


async def sh(script: str, **options: Any) -> asyncio.subprocess.Process:
    """Starts the shell script by create_subprocess_exec: what is not named is inherited."""
    return await asyncio.create_subprocess_exec("/bin/sh", "-c", script, **options)


def output_of(kit: Kit, *argv: Any, **options: Any) -> bytes:
    """What a program writes to stdout up to its end."""

    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE, **options)
        out, _ = await process.communicate()
        return out

    return kit.run(main())


def no_zombie(kit: Kit) -> None:
    """Breaks the case's rule when the process has a child, dead or alive."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    kit.fail(f"child {pid} was not waited for (status {status})" if pid else "a child is left running")
