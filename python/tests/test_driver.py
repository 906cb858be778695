# real clock: what a loop refuses to do has not happened, for the driver either.
from __future__ import annotations

import asyncio
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


class GivesNoHandle(asyncio.SelectorEventLoop):
    """What call_soon() was asked for cannot be taken back."""

    def call_soon(self, *args: Any, **options: Any) -> Any:
        super().call_soon(*args, **options)


def test_without_a_handle_what_has_run_is_closed() -> None:
    assert check_program(GivesNoHandle, "soon c1\nstep\ndestroy c1\n") == []


def test_without_a_handle_what_was_destroyed_runs() -> None:
    broken = check_program(GivesNoHandle, "soon c1\ndestroy c1\nstep\n")
    assert [sentence for _, sentence in broken] == ["c1 was called after it was destroyed"]
