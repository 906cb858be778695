# real clock: a case's own findings, what the kit finds besides, and what it leaves alone.
from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from loopcheck import _contract
from loopcheck.kit import Broken, CaseInfo, Kit, Outcome, case, is_missing, run_case
from loopcheck.recorder import HANDLES_MAX, exception_number, readiness
from loopcheck.resources import inode_of

TRACE_BYTES = 1 << 20


class Ran:
    """One case, run here: its outcome, and what the monitor says of its trace."""

    def __init__(self, function: Callable[[Kit], object], factory: Any = asyncio.new_event_loop) -> None:
        gc.collect()  # what other tests of this process left would be closed while the case is watched
        self.memory = memoryview(bytearray(TRACE_BYTES))
        trace = _contract.Trace(self.memory)
        marked = case("SOON-5")(lambda kit: function(kit) and None)
        self.outcome: Outcome = run_case(marked, factory, trace)
        self.judgement = _contract.judge(self.memory)

    @property
    def rules(self) -> set[str]:
        return {violation[0] for violation in self.judgement["violations"]}


def test_mark() -> None:
    @case("FD-1", needs_run=False, timeout_s=3)
    def test_something(kit: Kit) -> None: ...

    assert test_something.loopcheck == CaseInfo("FD-1", False, 3)


def test_good_case() -> None:
    ran = Ran(lambda kit: (kit.soon(kit.stop), kit.run_forever()))
    assert (ran.outcome.kind, ran.outcome.leaks, ran.rules) == ("ok", [], set())
    assert ran.outcome.observations == 1
    assert ran.judgement["callbacks"] == 1


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (lambda kit: kit.check(False, "a sentence"), "broken", "a sentence"),
        (lambda kit: kit.equal(1, 2, "the number"), "broken", "the number: 1 instead of 2"),
        (lambda kit: kit.raises(KeyError, int, 5), "broken", "did not raise KeyError"),
        (lambda kit: kit.skip("no network"), "skip", "no network"),
        (lambda kit: kit.run(kit.loop.subprocess_shell(None, "")), "error", "ValueError"),
        (lambda kit: kit.loop.no_such_method(), "error", "no_such_method"),
        (lambda kit: {}["x"], "error", "KeyError"),
        (lambda kit: kit.run(asyncio.sleep(0), limit_s=60), "ok", ""),
        (lambda kit: kit.run(asyncio.sleep(60), limit_s=0.001), "broken", "not done within 0.001 s"),
    ],
)
def test_outcomes(body: Callable[[Kit], object], kind: str, detail: str) -> None:
    outcome = Ran(body).outcome
    assert outcome.kind == kind
    assert detail in outcome.detail


class Lacking(asyncio.SelectorEventLoop):
    def __getattribute__(self, name: str) -> Any:
        if name == "sock_recv":
            raise AttributeError(f"'Lacking' object has no attribute '{name}'")
        return super().__getattribute__(name)

    def add_reader(self, *_: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("ask", [lambda loop: loop.add_reader(0, print), lambda loop: loop.sock_recv])
def test_missing_methods(ask: Callable[[Any], object]) -> None:
    assert Ran(lambda kit: ask(kit.loop), Lacking).outcome.kind == "missing"


def test_check_in_a_callback_ends_the_run() -> None:
    ran = Ran(lambda kit: (kit.soon(kit.check, False, "swallowed?"), kit.run_forever()))
    assert (ran.outcome.kind, ran.outcome.detail) == ("broken", "swallowed?")


def test_check_names_another_rule() -> None:
    outcome = Ran(lambda kit: kit.check(False, "a sentence", rule="FD-2")).outcome
    assert outcome.rule == "FD-2"
    assert str(Broken("FD-2", "a sentence")) == "FD-2: a sentence"


def test_unexpected_call_of_the_exception_handler() -> None:
    def ignores(kit: Kit) -> None:
        kit.soon(int, "x")
        kit.turns(2)

    outcome = Ran(ignores).outcome
    assert outcome.kind == "broken" and "ValueError" in outcome.detail
    assert Ran(lambda kit: (ignores(kit), kit.errors)).outcome.kind == "ok"


def test_leaked_fd_is_told() -> None:
    leaked: list[int] = []
    outcome = Ran(lambda kit: (leaked.extend(os.pipe()), kit.turns(1))).outcome
    for fd in leaked:
        os.close(fd)
    assert {rule for rule, _ in outcome.leaks} == {"LIFE-3"}
    assert "left open" in outcome.leaks[0][1]


def test_what_only_the_first_use_keeps_is_no_leak() -> None:
    kept: list[int] = []
    outcome = Ran(lambda kit: (kept or kept.append(os.open("/dev/null", os.O_RDONLY)), kit.turns(1))).outcome
    os.close(kept[0])
    assert outcome.leaks == []


class Leaky(asyncio.SelectorEventLoop):
    """Leaves an fd, whatever it is used for."""

    left: list[int] = []

    def close(self) -> None:
        if not self.is_closed():
            self.left.append(os.open("/dev/null", os.O_RDONLY))
        super().close()


def test_what_every_loop_leaves_is_told_by_life_3_alone() -> None:
    trace = _contract.Trace(memoryview(bytearray(TRACE_BYTES)))
    told = [run_case(case(rule)(lambda kit: kit.turns(1)), Leaky, trace).leaks for rule in ("SOON-1", "LIFE-3")]
    for fd in Leaky.left:
        os.close(fd)
    assert told[0] == []
    assert [rule for rule, _ in told[1]] == ["LIFE-3"]


def test_stolen_file_is_told() -> None:
    def steals(kit: Kit) -> None:
        left, right = kit.socketpair()
        kit.turns(1)
        os.close(left.fileno())

    leaks = Ran(steals).outcome.leaks
    assert leaks and "the user's own socket" in leaks[0][1]


def test_file_that_the_case_closes_itself_is_not_stolen(monkeypatch: pytest.MonkeyPatch) -> None:
    def closes(kit: Kit) -> None:
        left, _ = kit.socketpair()
        kit.turns(1)
        monkeypatch.setattr("loopcheck.kit.inode_of", lambda fd: (left.close(), inode_of(fd))[1])  # as a thread may do

    assert not Ran(closes).outcome.leaks


def test_left_thread_is_told() -> None:
    end = threading.Event()
    ran = Ran(lambda kit: (threading.Thread(target=end.wait, daemon=True).start(), kit.turns(1)))
    end.set()
    assert ran.outcome.leaks == [("LIFE-6", "1 thread(s) left after close")]


def test_only_callbacks_inside_a_run_count() -> None:
    def outside(kit: Kit) -> None:
        kit.observed(lambda: None)()
        kit.thread(kit.observed(lambda: None)).join()

    assert Ran(outside).outcome.observations == 0
    assert (
        Ran(lambda kit: (outside(kit), kit.soon(kit.observed(kit.stop)), kit.run_forever())).outcome.observations == 2
    )


def test_every_traced_call_of_a_right_loop_is_judged_right() -> None:
    def uses_everything(kit: Kit) -> None:
        left, right = kit.socketpair()
        kit.reader(left, lambda: (left.recv(9), kit.remove_reader(left)))
        kit.writer(right, lambda: (kit.put(right), kit.remove_writer(right)))
        kit.cancel(kit.soon(print))
        kit.cancel(kit.later(3600, print))
        kit.at(kit.loop.time() + 0.002, kit.soon, int)
        kit.later(float("inf"), print)
        kit.thread(kit.threadsafe, int)
        kit.run_for(0.01)

    ran = Ran(uses_everything)
    assert (ran.outcome.kind, ran.rules) == ("ok", set())
    assert ran.judgement["callbacks"] == 6


def test_trace_shows_a_callback_after_cancel() -> None:
    class Deaf(asyncio.Handle):
        def cancel(self) -> None: ...

    class Loop(asyncio.SelectorEventLoop):
        def _call_soon(self, callback: Any, args: Any, context: Any = None) -> asyncio.Handle:
            self._ready.append(Deaf(callback, args, self, context))
            return self._ready[-1]

    assert "SOON-4" in Ran(lambda kit: (kit.cancel(kit.soon(int)), kit.turns(2)), Loop).rules


def test_more_handles_than_the_trace_takes() -> None:
    def many(kit: Kit) -> None:
        for _ in range(HANDLES_MAX + 100):
            kit.soon(int)
        kit.turns(2)

    ran = Ran(many)
    assert (ran.outcome.kind, ran.rules) == ("ok", set())
    assert ran.outcome.observations == HANDLES_MAX + 101


@pytest.mark.parametrize(
    ("calls", "rule"),
    [
        (("data",), "STREAM-1"),
        (("made", "made"), "STREAM-1"),
        (("made", "lost", "lost"), "STREAM-1"),
        (("made", "eof", "data"), "STREAM-1"),
        (("made", "lost", "data"), "STREAM-1"),
        (("made", "resume"), "STREAM-5"),
        (("made", "pause", "pause"), "STREAM-5"),
        (("made", "stop reading", "data"), "STREAM-6"),
        (("made", "data", "data", "eof", "pause", "resume", "lost"), None),
    ],
)
def test_protocol_watches_the_order(calls: tuple[str, ...], rule: str | None) -> None:
    def body(kit: Kit) -> None:
        log = kit.protocol()
        call: dict[str, Callable[[], object]] = {
            "made": lambda: log.connection_made(asyncio.Transport()),
            "data": lambda: log.data_received(b"x"),
            "eof": log.eof_received,
            "lost": lambda: log.connection_lost(None),
            "pause": log.pause_writing,
            "resume": log.resume_writing,
            "stop reading": lambda: setattr(log, "is_paused", True),
        }
        for name in calls:
            kit.soon(call[name])
        kit.turns(3)

    outcome = Ran(body).outcome
    assert outcome.rule == (rule or "SOON-5")
    assert outcome.kind == ("broken" if rule else "ok")


def test_limited_connection() -> None:
    def body(kit: Kit) -> None:
        log, peer = kit.connection()
        log.transport.write(b"x" * (1 << 20))
        kit.check(log.transport.get_write_buffer_size() > 0, "the kernel took a megabyte")
        log.transport.abort()
        kit.run(log.until_event("lost"))

    assert Ran(body).outcome.kind == "ok"


def test_a_second_stop_in_a_run_is_not_handed_on() -> None:
    class Counting(asyncio.SelectorEventLoop):
        stops = 0

        def stop(self) -> None:
            Counting.stops += 1
            super().stop()

    Ran(
        lambda kit: (setattr(Counting, "stops", 0), kit.soon(kit.stop), kit.soon(kit.stop), kit.run_forever()), Counting
    )
    assert Counting.stops == 1


def test_readiness_and_exception_numbers() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert readiness(left.fileno()) == _contract.OUT
        right.send(b"x")
        assert readiness(left.fileno()) == _contract.IN | _contract.OUT
    errors = (ValueError(), asyncio.CancelledError(), SystemExit(), KeyboardInterrupt())
    assert [exception_number(error) for error in errors] == [1, 2, 3, 4]


def test_run_for_takes_its_time() -> None:
    started = time.monotonic()
    Ran(lambda kit: kit.run_for(0.02))
    assert time.monotonic() - started >= 0.02


def test_a_missing_special_name_is_no_missing_feature() -> None:
    """What a loop trips over inside its own code, __qualname__ of a partial, is a fault and no lack of a method."""
    error = AttributeError("'functools.partial' object has no attribute '__qualname__'")
    assert not is_missing(error, [])
    assert is_missing(AttributeError("'Loop' object has no attribute 'sock_recv_into'"), [object()])  # type: ignore[list-item]


def test_a_method_of_none_is_no_missing_feature() -> None:
    """A loop that trips over its own None, after a close say, lacks no feature: that is a fault."""
    for name in ("sendto", "write", "sock_recvfrom", "close"):
        error = AttributeError(f"'NoneType' object has no attribute '{name}'")
        assert not is_missing(error, [object()])  # type: ignore[list-item]
    error.__context__ = NotImplementedError()  # at the end of a case that got no transport
    assert is_missing(error, [])
