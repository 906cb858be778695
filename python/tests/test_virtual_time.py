# real clock: under the kernel shim time jumps in order, faults break no sound loop, and what bypasses it is named.

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopcheck import _contract, bypass, paths, shim
from loopcheck.check import Check, Plan, Results, Watcher
from loopcheck.load import PROGRAM_CASE, Spec, Unusable
from loopcheck.rules import Rules
from loopcheck.shim import Page, Shim
from loopcheck.supervisor import Options, Server

ASYNCIO, UVLOOP = "asyncio:new_event_loop", "uvloop:new_event_loop"
PROGRAMS = Path(__file__).with_name("shim_programs.py")
LIMIT_S = 60  # far beyond what any of these takes; ten hours of theirs would not fit

try:
    shim.library()
except Unusable as error:
    pytest.skip(str(error), allow_module_level=True)


def run(name: str, loop: str, settings: str) -> str:
    environment = os.environ | {"LD_PRELOAD": str(shim.library()), "LOOPCHECK_SHIM": settings}
    argv = [sys.executable, str(PROGRAMS), name, loop]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, env=environment, text=True, start_new_session=True, **pipes) as done:
        try:
            out, errors = done.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            where = threads_of_session(done.pid)
            os.killpg(done.pid, signal.SIGKILL)
            pytest.fail(f"it hangs: {where}")
    assert done.returncode == 0, errors
    return out


def threads_of_session(session: int) -> str:
    """What each thread of its processes waits for."""
    lines = []
    for task in Path("/proc").glob("[0-9]*/task/[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, fields = (task / "stat").read_text().rpartition(")")
            if int(fields.split()[3]) == session:
                lines.append(f"{name}) {fields.split()[0]} {(task / 'syscall').read_text().strip()}")
    return "; ".join(lines)


def check(loop: str, pattern: str, options: Options) -> Results:
    plan = Plan((Spec.parse(loop),), pattern=pattern, workers=1, options=options)
    return Check(plan, Rules.load(paths.rules_file()), Watcher()).run()


@contextlib.contextmanager
def server(loop: str, **options: object) -> Iterator[Server]:
    with Server(Spec.parse(loop), Options(shim=Shim(**options))) as one:  # type: ignore[arg-type]
        yield one


def loop_file(folder: Path, body: str) -> str:
    path = folder / "own_loop.py"
    path.write_text(body)
    return f"{path}:new_event_loop"


def elf(code: bytes) -> bytes:
    """The smallest ELF file of x86-64 with this code."""
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    return head + struct.pack("<IIQQQQQQ", 1, 5, 120, 0, 0, len(code), len(code), 1) + code


# Virtual time.


@pytest.mark.parametrize("loop", [ASYNCIO, UVLOOP])
def test_ten_hours_of_timers(loop: str) -> None:
    """A thousand timers over ten hours fire in order and leave no hour out."""
    seen = run("timers", loop, "time")
    assert "in order True" in seen and "passed 36000 s" in seen
    assert loop != ASYNCIO or "early 0," in seen


@pytest.mark.parametrize("loop", [ASYNCIO, UVLOOP])
def test_a_tree_of_sleepers_repeats_itself(loop: str) -> None:
    """Threads, a child, a fork and an executor wake at their times, in the same order each time."""
    expected = [("thread 0", 1.0), ("thread 1", 8.0), ("timer", 9.5), ("child", 10.0), ("fork", 13.0)]
    expected += [("thread 2", 15.0), ("event", 18.0), ("thread 3", 22.0), ("joined", 22.0)]
    assert {run("tree", loop, "time") for _ in range(20)} == {f"{expected}\n"}


def test_computing_threads_share_the_interpreter() -> None:
    """The wait by which CPython hands its lock on stays on real time."""
    assert run("computing_threads", ASYNCIO, "time") == "both done\n"


EARLY_LOOP = """
import asyncio, selectors
class new_event_loop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__(selectors.SelectSelector())  # which sleeps to the microsecond
    def call_at(self, when, *arguments, **options):
        return super().call_at(when - 0.00001, *arguments, **options)
"""


def test_timers_are_judged_exactly(tmp_path: Path) -> None:
    """A timer that is early by 10 microseconds is too early, which no real clock can tell."""
    loop, case = loop_file(tmp_path, EARLY_LOOP), "test_timers.py::test_order_of_deadlines"
    on_virtual_time = check(loop, case, Options(shim=Shim(has_virtual_time=True))).rows[0]
    assert (on_virtual_time.verdict, on_virtual_time.rule) == ("FAIL", "TIMER-1")
    assert on_virtual_time.again.endswith("--virtual-time")
    assert check(loop, case, Options()).rows[0].verdict == "PASS"


def test_each_case_has_a_fresh_clock_and_fresh_counters() -> None:
    """What one case did is not seen in the next."""
    with server(ASYNCIO, has_virtual_time=True) as one:
        one.start()
        first, second = (one.run("test_timers.py::test_thousand_timers") for _ in range(2))
    assert first.counters["wait"] == second.counters["wait"] > 0
    assert first.counters["jump in time"] == second.counters["jump in time"] > 0


# Faults.


@pytest.mark.parametrize("loop", [ASYNCIO, UVLOOP])
@pytest.mark.parametrize("settings", ["faults=linux seed=1", "time faults=linux seed=2", "time faults=posix seed=3"])
def test_bytes_survive_all_faults(loop: str, settings: str) -> None:
    """A mebibyte is echoed exactly."""
    assert run("echo", loop, settings) == "same True\n"


BOTH_WAYS = """
pair f1 f2
stream s1 f1
stream s2 f2
step
write s1 60000
write s2 60000
step
timer t1 5ms
write s1 60000
write s2 1000
step
step
"""


def test_same_seed_same_faults() -> None:
    """Each run of a program meets the same faults and leaves the same trace; another seed gives others."""
    seen = []
    for seed in (1, 1, 2):
        with server(ASYNCIO, has_virtual_time=True, faults="posix", seed=seed) as one:
            one.start()
            facts = one.run(PROGRAM_CASE, _contract.parse(BOTH_WAYS))
            seen.append((facts.counters.get("fault", 0), facts.trace))
    assert seen[0] == seen[1] != seen[2] and seen[0][0] > 0


def test_the_parent_stays_outside() -> None:
    """The command line itself is not under the shim."""
    assert not shim.is_armed() and "LOOPCHECK_SHIM_PAGE" not in os.environ


# What bypasses the shim, and what is not there.


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        (b"\x90" * 40, []),
        (b"\x90" * 9 + b"\xb8\xe8\x00\x00\x00\x90\x0f\x05\xc3", ["epoll_wait"]),
        (b"\xb8\xaa\x01\x00\x00\x4c\x89\xd7\x0f\x05", ["io_uring_enter"]),
        (b"\xb8\x27\x00\x00\x00\x0f\x05", []),  # getpid
        (b"\x48\x89\xf8\x48\x89\xf7\x48\x89\xd6\x0f\x05\xc3", ["any"]),
    ],
)
def test_own_system_calls_are_found(tmp_path: Path, code: bytes, calls: list[str]) -> None:
    """An object's own `syscall` instructions are named, by the number that is set before them."""
    path = tmp_path / "own.so"
    path.write_bytes(elf(code))
    assert bypass.calls_in(path) == calls
    assert bool(bypass.why_past_the_shim([path])) == bool(calls)


def test_the_loops_that_pass_are_not_suspected() -> None:
    """Nothing in this process, the interpreter and asyncio, is taken for a bypass."""
    assert asyncio and bypass.why_past_the_shim(bypass.objects()) == ""


RING_LOOP = """
import ctypes, os
def new_event_loop():
    if ctypes.CDLL(None, use_errno=True).syscall(425, 8, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""


def test_a_loop_that_needs_a_ring_is_told_why(tmp_path: Path) -> None:
    """One sentence says that the ring was refused; there is no verdict."""
    results = check(loop_file(tmp_path, RING_LOOP), "test_timers", Options(shim=Shim(has_virtual_time=True)))
    assert results.exit_status == 2 and not results.rows
    assert "Function not implemented" in results.unusable[0] and "io_uring" in results.unusable[0]


def test_absence_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the shim nothing is run as if it were there."""
    monkeypatch.setattr(shim, "LIBRARY", "no_such_library.so")
    results = check(ASYNCIO, "test_timers", Options(shim=Shim(faults="linux")))
    assert results.exit_status == 2 and "no kernel shim" in results.unusable[0]


def test_a_sanitizer_stays_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is preloaded already comes before the shim."""
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libasan.so")
    page = Page()
    preload = Shim(has_virtual_time=True).environment(page)["LD_PRELOAD"]
    page.close()
    assert preload == f"/usr/lib/libasan.so:{shim.library()}"
