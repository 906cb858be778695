# real clock: what a loop refuses to do has not happened, for the driver either.
from __future__ import annotations

import asyncio
import socket
from typing import Any

from loopcheck.driver import check_program


class KeepsItsProtocol(asyncio.SelectorEventLoop):
    """Its transports cannot be given another protocol."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(*args, **options)
        transport.set_protocol = self._refuse  # type: ignore[method-assign]
        return transport, protocol

    def _refuse(self, protocol: object) -> None:
        raise NotImplementedError


def test_refused_protocol_replaces_nothing() -> None:
    text = "tcp f1 f2\nstream s1 f1\nstep\nstep\nset_protocol s1\nput f2 5\nstep\nclose s1\nstep\n"
    assert check_program(KeepsItsProtocol, text) == []


POLLS = "step poll\n" * 8 + "destroy s1\nstep\n"


class ForgetsToRead(asyncio.SelectorEventLoop):
    """Its transports read until they are paused, and never after."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(*args, **options)
        transport.resume_reading = lambda: None  # type: ignore[method-assign]
        return transport, protocol


def test_data_that_is_forgotten_is_found_without_a_sleep() -> None:
    text = "tcp f1 f2\nstream s1 f1\nstep\nstep\npause s1\nput f2 5\nresume s1\n" + POLLS
    assert check_program(asyncio.SelectorEventLoop, text) == []
    assert [rule for rule, _ in check_program(ForgetsToRead, text)] == ["STREAM-8"]


def duplicating(loop: type[asyncio.SelectorEventLoop]) -> type[asyncio.SelectorEventLoop]:
    class GoesOnWithADuplicate(loop):  # type: ignore[valid-type,misc]
        async def create_connection(self, factory: Any, *, sock: socket.socket) -> Any:
            ours = sock.dup()
            sock.close()
            return await super().create_connection(factory, sock=ours)

    return GoesOnWithADuplicate


def test_stream_is_looked_at_by_the_number_that_the_loop_has() -> None:
    text = "tcp f1 f2\nstream s1 f1\nstep\nstep\n"  # from now on the number of f1 is free
    forgotten = text + "pause s1\nput f2 5\nresume s1\n" + POLLS
    others = text + "pair f3 f4\nput f4 5\nput f2 5\n" + POLLS
    assert check_program(duplicating(asyncio.SelectorEventLoop), others) == []
    assert "STREAM-8" in [rule for rule, _ in check_program(duplicating(ForgetsToRead), forgotten)]


class GivesNoHandle(asyncio.SelectorEventLoop):
    """What call_soon() was asked for cannot be taken back."""

    def call_soon(self, *args: Any, **options: Any) -> Any:
        super().call_soon(*args, **options)


def test_without_a_handle_what_has_run_is_closed() -> None:
    assert check_program(GivesNoHandle, "soon c1\nstep\ndestroy c1\n") == []


def test_without_a_handle_what_was_destroyed_runs() -> None:
    broken = check_program(GivesNoHandle, "soon c1\ndestroy c1\nstep\n")
    assert [sentence for _, sentence in broken] == ["c1 was called after it was destroyed"]
