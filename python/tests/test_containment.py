# real clock: whatever a loop does in a callback gets the verdict it deserves, and the next case runs unharmed.
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from loopcheck import processes
from loopcheck._contract import parse
from loopcheck.load import PROGRAM_CASE, Spec
from loopcheck.pool import Pool
from loopcheck.shared import PROGRAM_BYTES_MAX, Shared
from loopcheck.supervisor import MARK, TAIL_BYTES, Interrupted, Options
from loopcheck.verdict import decide
from two_cases import CALM, IDLE, WILD, hostile_spec, level_of, make_root, server_of

# loop -> the verdicts it may get, and a word that the detail says
DESERVED = {
    "hang": ("HANG", "did not end within 0.5 s"),
    "segfault": ("CRASH", "SIGSEGV"),
    "exit_zero": ("CRASH", "status 0 before the case was over"),
    "raise_system_exit": ("FAIL", "SystemExit"),
    "run_another_program": ("CRASH", "status 0 before"),
    "close_every_fd": ("FAIL", "Bad file descriptor"),
    "close_stdout": ("PASS", ""),
    "close_fd_1": ("LEAK", "fd 1"),
    "block_signals_and_hang": ("HANG", "did not end"),
    "block_signals": ("LEAK", "signal mask"),
    "fork_and_both_go_on": ("CRASH", "second process"),
    "fork_and_parent_exits": ("CRASH", "second process"),
    "fork_and_parent_waits": ("CRASH", "second process"),
    "fork_and_child_exits_later": ("CRASH", "second process"),
    "fork_and_child_exits_at_the_end": ("CRASH", "second process"),
    "fork_behind_pythons_back": ("CRASH", "second process"),
    "fork_many": ("LEAK", "processes without end"),
    "leave_a_daemon": ("LEAK", "1 process(es) outlived the case"),
    "spin": ("SPIN", "used the cpu for"),
    "allocate": ("LEAK", "MiB of memory"),
    "recurse": ("CRASH LEAK FAIL", ""),  # how Python dies of it depends on its version
    "print_a_megabyte": ("PASS", ""),
    "kill_itself": ("CRASH", "SIGKILL"),
    "stop_itself": ("HANG", "SIGSTOP"),
    "kill_its_parent": ("CRASH", "killed the process that supervises it"),
    "kill_its_parent_and_leave_a_daemon": ("CRASH", "killed the process that supervises it"),
    "stop_its_parent": ("HANG", "the process that supervises it was stopped (SIGSTOP)"),
    "stop_its_parent_and_hang": ("HANG", "the process that supervises it was stopped (SIGSTOP)"),
    "scribble_ones": ("FAIL CRASH", ""),
    "scribble_zeros": ("FAIL CRASH", ""),
    "scribble_and_exit": ("CRASH", "cannot be read"),
    "patch_everything": ("CRASH PASS", ""),
}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The kit with two cases; and nothing that a loop started is left at the end."""
    monkeypatch.setenv("LOOPCHECK_ROOT", str(make_root(tmp_path)))
    yield tmp_path
    assert left_behind() == []


def left_behind() -> list[psutil.Process]:
    """Processes that a server of this process started and that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(f"{MARK}_OWNER") == str(os.getpid()) and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("loop", DESERVED)
def test_hostile_loop(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{MARK}_OWNER", str(os.getpid()))
    verdicts, word = DESERVED[loop]
    with server_of(hostile_spec(loop)) as server:
        server.start()
        server.look()
        began_s = time.monotonic()
        ruling = decide(server.run(WILD), level_of)
        took_s = time.monotonic() - began_s
        assert ruling.verdict in verdicts.split(), ruling
        assert word in ruling.detail
        after = decide(server.run(CALM), level_of)
        assert after.verdict == "PASS", after
        assert took_s < 5


def test_output_is_kept_in_bounds() -> None:
    with server_of(hostile_spec("print_a_megabyte")) as server:
        facts = server.run(WILD)
        assert facts.output.endswith("y" * 1000)
        assert len(facts.output) <= TAIL_BYTES
        assert server.run(CALM).output == ""


def test_case_without_observation_is_vacuous() -> None:
    with server_of("asyncio:new_event_loop") as server:
        ruling = decide(server.run(IDLE), level_of)
        assert (ruling.verdict, ruling.rule) == ("VACUOUS", "SOON-6")


def test_program_reaches_the_case(root: Path) -> None:
    source = "from loopcheck.kit import case\n\n@case('SOON-5', needs_run=False)\ndef test_program(kit):\n"
    (root / "conformance" / "test_program.py").write_text(source + "    kit.skip(kit.program.decode())\n")
    with server_of("asyncio:new_event_loop") as server:
        ruling = decide(server.run("test_program.py::test_program", b"step"), level_of)
        assert (ruling.verdict, ruling.detail) == ("SKIP", "step")
        with pytest.raises(ValueError, match=f"{PROGRAM_BYTES_MAX + 1} bytes"):
            server.run(CALM, bytes(PROGRAM_BYTES_MAX + 1))


def test_signals_that_the_starter_ignores(root: Path) -> None:
    imports = "from signal import SIGHUP, SIGINT, SIGPIPE, getsignal\nfrom loopcheck.kit import case\n"
    source = "@case('SOON-5', needs_run=False)\ndef test_(kit):\n"
    source += "    kit.skip(f'{getsignal(SIGINT).__name__} {getsignal(SIGHUP).name} {getsignal(SIGPIPE).name}')\n"
    (root / "conformance" / "test_signals.py").write_text(imports + source)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        with server_of("asyncio:new_event_loop") as server:
            said = decide(server.run("test_signals.py::test_"), level_of).detail
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert said == "default_int_handler SIG_DFL SIG_IGN"


def test_case_holds_no_line_to_the_kit(root: Path) -> None:
    lines = ["    import os", "    names = [f'/proc/self/fd/{fd}' for fd in range(64)]"]
    lines += ["    kit.skip(' '.join(os.readlink(name) for name in names if os.path.islink(name)))"]
    source = "from loopcheck.kit import case\n\n@case('SOON-5', needs_run=False)\ndef test_fds(kit):\n"
    (root / "conformance" / "test_fds.py").write_text(source + "\n".join(lines))
    with server_of("asyncio:new_event_loop") as server:
        links = decide(server.run("test_fds.py::test_fds"), level_of).detail
        assert "/dev/null" in links
        assert "socket:" not in links
        assert links.count("memfd") == 1  # the duplicate that CPython's mmap keeps


def test_orphans_of_a_dead_server_are_found_by_their_mark() -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with subprocess.Popen(command, env={**os.environ, MARK: "this one"}) as process:
        assert processes.kill_marked(MARK, "another one") == 0
        assert processes.kill_marked(MARK, "this one") == 1
        assert process.wait() == -signal.SIGKILL


def test_outcome_of_an_earlier_case_is_none() -> None:
    shared = Shared.create()
    shared.begin_case(nonce=7)
    shared.report(6, {"kind": "ok"})
    assert shared.outcome(7) is None
    assert shared.was_written()
    shared.report(7, {"kind": "ok"})
    assert shared.outcome(7) == {"kind": "ok"}
    with pytest.raises(OSError):
        os.ftruncate(shared.fd, 0)  # no process can pull the memory from under another
    shared.close()


FORKS = """
import asyncio, os
from loopcheck.driver import Callback

class Forks(asyncio.SelectorEventLoop):
    def call_soon(self, callback, *args, context=None):
        def forked():
            if pid := os.fork():
                os.waitpid(pid, 0)
            else:
                self.stop = lambda: os._exit(0)
            callback(*args)

        return super().call_soon(*[forked] if isinstance(callback, Callback) else [callback, *args], context=context)
"""


def test_second_process_in_a_callback_of_a_program(root: Path) -> None:
    (root / "forks.py").write_text(FORKS)
    with server_of(f"{root / 'forks.py'}:Forks") as server:
        ruling = decide(server.run(PROGRAM_CASE, parse("soon c1\nstep\n")), level_of)
        assert (ruling.verdict, "second process" in ruling.detail) == ("CRASH", True), ruling


def test_closed_pool_lends_no_server(root: Path) -> None:
    pool, spec = Pool(1, Options()), Spec.parse("asyncio:new_event_loop")
    pool.open(spec)
    pool.close()
    with pytest.raises(Interrupted):
        pool._take(spec)  # as a thread does that was between two cases: nobody would end what it begins


def test_hang_says_where() -> None:
    with server_of(hostile_spec("hang")) as server:
        assert "wait (threading.py" in decide(server.run(WILD), level_of).detail
