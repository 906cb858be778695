# real clock: what a loop refuses to do has not happened, for the driver either.
from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from loopcheck.programs import check_program


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


LACKS_METHODS = """
import asyncio

class WithoutTransports(asyncio.SelectorEventLoop):
    async def create_connection(self, *args, **options):
        raise NotImplementedError
    create_unix_connection = create_connection
    def __getattribute__(self, name):
        if name in ("create_server", "sock_recv"):
            raise AttributeError(f"'WithoutTransports' object has no attribute '{name}'")
        return super().__getattribute__(name)
"""


def verdict(loop: str, case: str) -> str:
    """What `loopcheck check` says of one case, in its last line."""
    command = [sys.executable, "-m", "loopcheck", "check", loop, "-n", "1", "--expect", "none", "-k", case]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.splitlines()[-1]


def test_what_a_loop_lacks_is_missing_and_the_rest_is_judged(tmp_path: Path) -> None:
    (tmp_path / "lacks.py").write_text(LACKS_METHODS)
    loop = f"{tmp_path / 'lacks.py'}:WithoutTransports"
    assert verdict(loop, "test_corpus_streams_0002").startswith("1 verdict (1 MISSING)")
    assert re.match(r"(\d+) verdicts \(\1 MISSING\)", verdict(loop, "test_corpus_servers_000"))
    assert verdict(loop, "test_random_5000").startswith("1 verdict (1 PASS)")


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
