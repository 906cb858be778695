"""A protocol that writes down what a transport tells it, and watches the rules of every connection.

Whatever a case is about, STREAM-1 (made, data, eof at most once, lost exactly once, nothing after),
STREAM-5 (pause_writing and resume_writing alternate), STREAM-6 (no data while reading is paused) and
THREAD-1 are judged in each connection that a case opens with `Kit.protocol` or `Kit.connection`, and that
data comes as bytes (STREAM-2). In a case of pipes or sendfile its own rule is blamed instead of those of streams.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopcheck.kit import Kit

Hook = Callable[["Log", Any], Any]

# event -> the events of which one must have come last (None: no event yet)
AFTER: dict[str, tuple[str | None, ...]] = {
    "made": (None,),
    "data": ("made", "data"),
    "eof": ("made", "data"),
    "lost": ("made", "data", "eof"),
}


class Log(asyncio.Protocol):
    """`hooks` names functions (log, argument) by event; the one of "eof" gives eof_received's answer."""

    def __init__(self, kit: Kit, **hooks: Hook) -> None:
        self.kit = kit
        self.hooks = hooks
        self.events: list[str] = []  # made, data (once for all that follow each other), eof, lost
        self.flow: list[str] = []  # pause, resume
        self.received = bytearray()
        self.chunks = 0  # calls of data_received
        self.error: BaseException | None = None  # what connection_lost was given
        self.transport: Any = None
        self.is_paused = False  # set by pause_reading and resume_reading below
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._seen("made", transport)

    def data_received(self, data: bytes) -> None:
        self._blame_if(self.is_paused, "data_received while reading is paused", "STREAM-6")
        self._blame_if(type(data) is not bytes, f"data_received got a {type(data).__name__}", "STREAM-2")
        self.received += data
        self.chunks += 1
        self._seen("data", data)

    def eof_received(self) -> bool | None:
        answer: bool | None = self._seen("eof", None)
        return answer

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._seen("lost", exc)

    def pause_writing(self) -> None:
        self._flows("pause")

    def resume_writing(self) -> None:
        self._flows("resume")

    def pause_reading(self) -> None:
        self.transport.pause_reading()
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self.transport.resume_reading()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for callbacks of this protocol until the condition holds."""
        while not condition():
            self._waiter = self.kit.loop.create_future()
            await self._waiter

    async def until_event(self, event: str) -> None:
        await self.until(lambda: event in self.events or event in self.flow)

    def _seen(self, event: str, argument: Any) -> Any:
        last = self.events[-1] if self.events else None
        self._blame_if(last not in AFTER[event], f"{event} after {last}", "STREAM-1")
        if not (event == last == "data"):
            self.events.append(event)
        return self._tell(event, argument)

    def _flows(self, event: str) -> None:
        last = self.flow[-1] if self.flow else "resume"
        self._blame_if(event == last, f"{event}_writing twice in a row", "STREAM-5")
        is_late = event == "pause" and "lost" in self.events
        self._blame_if(is_late, "pause_writing after connection_lost", "STREAM-1")
        self.flow.append(event)
        self._tell(event, None)

    def _tell(self, event: str, argument: Any) -> Any:
        self.kit.recorder.note()
        is_foreign = self.kit.recorder.run_thread not in (0, threading.get_ident())
        self._blame_if(is_foreign, f"{event} came on another thread than the loop's", "THREAD-1")
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        hook = self.hooks.get(event)
        return hook(self, argument) if hook else None

    def _blame_if(self, is_wrong: bool, sentence: str, rule: str) -> None:
        if is_wrong:
            is_own = self.kit.rule.startswith(("PIPE-", "SENDFILE-")) and rule.startswith("STREAM-")
            self.kit.blame(sentence, rule=self.kit.rule if is_own else rule)


def reset(peer: socket.socket) -> None:
    """Closes a TCP connection so that the other side sees a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def end(kit: Kit, log: Log) -> None:
    """Waits for connection_lost, and a while for what must not follow."""
    kit.run(log.until_event("lost"))
    kit.run_for(0.005)


def drain(peer: socket.socket, into: bytearray) -> None:
    """Reads to the end of the connection and closes it; for a thread."""
    peer.setblocking(True)
    try:
        while data := peer.recv(65536):
            into += data
    except ConnectionResetError:
        pass
    peer.close()
