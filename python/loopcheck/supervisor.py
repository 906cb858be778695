"""The parent's side: starts servers, hands them cases, and outlives whatever a loop does to them.

One `Server` is one server process for one loop. It is used by one thread at a time; several may be
used side by side. The parent itself never forks: it may have threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from typing import Any

from loopcheck import _contract, child, paths, processes, server
from loopcheck.load import BATCH_CASE, Case, KitFault, Spec, Unusable
from loopcheck.shared import FLAG_SECOND_PROCESS, Shared
from loopcheck.shim import Page, Shim
from loopcheck.verdict import Facts
from loopcheck.watch import WALL_FACTOR, Ending

MARK = "LOOPCHECK_SERVER"  # environment variable by which what a dead server left is found
TAIL_BYTES = 8 << 10  # of what a case prints, the end is kept
POLL_S = 0.1
SILENCE_S_MAX = 20.0  # a server that has a processor and gives no sign of life for so long is taken for frozen
LOOK_S = 4.0  # for one call of the factory, however little time the cases get
CLOSE_S = 2.0
LAST_WORDS_S = 0.5
LINE_BYTES_MAX = 4 << 20
PROGRAM_RULE = "KIT-1"  # a program cites no rule of its own: the monitor names the one it breaks


class Interrupted(Exception):
    """The server was killed on purpose, by `kill`."""


@dataclass(frozen=True)
class Options:
    """How cases are run. Times are effective: wall time minus the time spent waiting for a cpu."""

    timeout_s: float = 4.0  # of a case that asks for no more
    import_s: float = 20.0  # of importing the loop
    rss_bytes_max: int = 1 << 30  # of a case, over all its processes
    package: str = ""  # of tests like CPython's own, which are run instead of the cases
    shim: Shim = field(default_factory=Shim)


@dataclass
class _Process:
    """One server process and its two lines to us."""

    popen: subprocess.Popen[bytes]
    control: socket.socket
    output: int
    mark: str
    lines: bytes = b""
    tail: bytes = b""

    @property
    def pid(self) -> int:
        return self.popen.pid


@dataclass
class Server:
    """A loop in containment."""

    spec: Spec
    options: Options = field(default_factory=Options)
    cases: dict[str, Case] = field(default_factory=dict)
    plain: str = ""  # why the loop is nothing but the stdlib's under another name, or ""
    version: str = ""  # of the loop's distribution
    profile: dict[str, int] = field(default_factory=dict)  # of a driver: capabilities, tick_ns, is_exact
    is_exec: bool = False  # each case gets a fresh interpreter
    _shared: Shared | None = None
    _page: Page | None = None  # with a kernel shim
    _process: _Process | None = None
    _is_killed: bool = False

    # Life.

    def start(self) -> None:
        """Imports the loop and the cases in a new server process. Raises Unusable or KitFault."""
        if self._shared is None:
            self._shared = Shared.create()
        if self._page is None and self.options.shim.is_on:
            self._page = Page()
        message = self._spawn()
        if message.get("threads", 1) > 1 and not self.is_exec:
            self.close_process()
            self.is_exec = True
            message = self._spawn()
        self.cases = {case["id"]: Case(**case) for case in message["cases"]}

    def look(self) -> None:
        """Makes one loop and looks at it: fills in `plain` and `version`. Raises Unusable."""
        facts = self.run(child.PROBE, limit_s=LOOK_S)
        outcome = facts.outcome or {}
        if outcome.get("kind") == "probe":
            self.plain, self.version = str(outcome.get("plain", "")), str(outcome.get("version", ""))
            self.profile = dict(outcome.get("profile", {}))
        elif outcome.get("kind") == "unusable":
            raise Unusable(str(outcome.get("detail")) + (self._page.why_unusable() if self._page is not None else ""))
        else:
            raise Unusable(f"{self.spec.text}: {_how_it_ended('calling it', facts.ending, facts.server, self.options)}")

    def close(self) -> None:
        """Ends the server and everything that the loop left; harmless when repeated."""
        self.close_process()
        if self._shared is not None:
            self._shared.close()
            self._shared = None
        if self._page is not None:
            self._page.close()
            self._page = None

    def kill(self) -> None:
        """Ends the server from another thread; a `run` under way raises Interrupted."""
        self._is_killed = True
        process = self._process
        if process is not None:
            processes.kill_tree(process.pid)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Cases.

    def run(self, case_id: str, program: bytes = b"", limit_s: float = 0.0, programs: int = 1) -> Facts:
        """Runs one case and returns what is known of it; a server that died of it is started again by
        the next call. `limit_s`: instead of the options'; it is allowed to each of `programs`. Raises
        Unusable when the loop cannot be imported any more, ValueError when the program is too long."""
        if self._process is None:
            self.start()
        process, shared = self._process, self._shared
        assert process is not None and shared is not None
        nonce = secrets.randbits(63) | 1
        case = self.case_of(case_id)
        limit_s = limit_s or max(self.options.timeout_s, case.timeout_s or 0.0)
        shared.begin_case(nonce, program)
        if self._page is not None:
            self._page.clear()
        _drain(process)
        process.tail = b""
        request = {"case": case_id, "nonce": nonce, "run_s": limit_s}
        with contextlib.suppress(OSError):
            process.control.sendall(json.dumps(request).encode() + b"\n")
        wall_s_max = (
            limit_s * programs + (self.options.import_s if self.is_exec else 0.0)
        ) * WALL_FACTOR + SILENCE_S_MAX
        message, server_state = self._await(process, wall_s_max)
        if server_state:
            self._abandon(process)
        facts = Facts(
            case=case,
            limit_s=limit_s,
            plain=self.plain,
            server=server_state,
            ending=_ending(message),
            outcome=shared.outcome(nonce),
            was_written=shared.was_written(),
            has_second_process=bool(shared.flags() & FLAG_SECOND_PROCESS),
            judgement={} if case_id in (child.PROBE, BATCH_CASE) else {**_contract.judge(shared.trace)},
            output=process.tail.decode(errors="replace"),
            trace="" if case_id == BATCH_CASE else _contract.format_trace(shared.trace),
            counters=self._page.counters() if self._page is not None else {},
        )
        if self._is_killed:
            raise Interrupted
        return facts

    def case_of(self, case_id: str) -> Case:
        """The case of this id; also of load.PROGRAM_CASE, which is in no file."""
        return self.cases.get(case_id) or Case(case_id, PROGRAM_RULE, False, None)

    def runs(self) -> list[tuple[int, bytes]]:
        """(number, records) of each program that the last case ran."""
        return _contract.runs(self._shared.trace) if self._shared is not None else []

    # The process.

    def _spawn(self) -> dict[str, Any]:
        """Starts a process and waits until it is ready. Raises Unusable or KitFault."""
        assert self._shared is not None
        if self._is_killed:
            raise Interrupted
        shim = self.options.shim.environment(self._page) if self._page is not None else {}
        ours, theirs = socket.socketpair()
        output, output_write = os.pipe()
        settings = server.Settings(
            role="server",
            loop=self.spec.text,
            conformance=str(paths.conformance_dir()),
            control=theirs.fileno(),
            shared=self._shared.fd,
            path=paths.python_path(),
            is_exec=self.is_exec,
            import_s=self.options.import_s,
            rss_bytes_max=self.options.rss_bytes_max,
            is_driver=self.spec.is_driver,
            package=self.options.package,
        )
        mark = secrets.token_hex(8)
        with theirs:
            popen = subprocess.Popen(
                server.command(settings),
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=(settings.control, settings.shared),
                env=os.environ | {MARK: mark} | shim,
                start_new_session=True,
            )
        os.close(output_write)
        os.set_blocking(output, False)
        process = self._process = _Process(popen, ours, output, mark)
        message, state = self._await(process, self.options.import_s, is_import=True)
        return self._greeting(process, message, state)

    def _greeting(self, process: _Process, message: dict[str, Any], state: str) -> dict[str, Any]:
        """What the new server said first; anything but "ready" is the end of it."""
        if message.get("event") == "ready":
            return message
        if state == "died":  # the line is cut; how the process itself ends is worth a moment
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(LAST_WORDS_S)
        self._abandon(process)
        if self._is_killed:
            raise Interrupted
        if message.get("event") == "unusable":
            raise Unusable(str(message["sentence"]))
        if message.get("event") == "fault":
            raise KitFault(str(message["sentence"]))
        ending = Ending(exit_code=process.popen.returncode or 0)
        text = _how_it_ended("importing it", ending, state, self.options)
        last = last_line(process.tail.decode(errors="replace"))
        raise Unusable(f"{self.spec.text}: {text}" + (f" (it printed: {last})" if last else ""))

    def _await(self, process: _Process, limit_s: float, *, is_import: bool = False) -> tuple[dict[str, Any], str]:
        """The next message, or ({}, why there is none): "died", "froze", "slow" or "memory"."""
        poller = select.poll()
        poller.register(process.control, select.POLLIN)
        poller.register(process.output, select.POLLIN)
        began_s = heard_s = processes.clock_s()
        delayed_s = processes.run_delay_s(process.pid)  # of waiting for a processor, when it was last heard of
        while True:
            for fd, _ in poller.poll(POLL_S * 1000):
                if fd == process.output:
                    if not _drain(process):
                        poller.unregister(fd)
                    continue
                heard_s, delayed_s = processes.clock_s(), processes.run_delay_s(process.pid)
                message = _receive(process)
                if message is not None:
                    _drain(process)
                    return message, "" if message else "died"
            silent_s = processes.clock_s() - heard_s - (processes.run_delay_s(process.pid) - delayed_s)
            why = self._why_give_up(process, began_s, silent_s, limit_s, is_import)
            if why:
                return {}, why

    def _why_give_up(self, process: _Process, began_s: float, silent_s: float, limit_s: float, is_import: bool) -> str:
        now_s = processes.clock_s()
        if processes.state_of(process.pid) == "T":
            return "froze"
        if not is_import:
            return "froze" if silent_s > SILENCE_S_MAX or now_s - began_s > limit_s else ""
        tree = [process.pid, *processes.descendants(process.pid)]
        if sum(processes.rss_bytes(pid) for pid in tree) > self.options.rss_bytes_max:
            return "memory"
        waited_s = processes.run_delay_s(process.pid)
        is_late = now_s - began_s - waited_s > limit_s or now_s - began_s > limit_s * WALL_FACTOR
        return "slow" if is_late else ""

    def _abandon(self, process: _Process) -> None:
        """Kills a server that is dead or good for nothing, and whatever it left."""
        processes.kill_tree(process.pid)
        process.popen.wait()
        processes.kill_marked(MARK, process.mark)
        _drain(process)
        self._release(process)

    def close_process(self) -> None:
        """Ends the server process: it kills what the loop left when we hang up."""
        process = self._process
        if process is None:
            return
        process.control.close()
        try:
            process.popen.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._abandon(process)
        self._release(process)

    def _release(self, process: _Process) -> None:
        process.control.close()
        if process.output >= 0:
            os.close(process.output)
            process.output = -1
        self._process = None


def _drain(process: _Process) -> bool:
    """Reads what was printed and keeps the end. False when nobody can print there any more."""
    if process.output < 0:
        return False
    for _ in range(1024):  # at most 64 MiB at a time, so that the control socket is looked at again
        try:
            data = os.read(process.output, 65536)
        except BlockingIOError:
            return True
        if not data:
            return False
        process.tail = (process.tail + data)[-TAIL_BYTES:]
    return True


def _receive(process: _Process) -> dict[str, Any] | None:
    """A message; None for half of one or a sign of life; {} when the server is gone or talks rubbish."""
    try:
        data = process.control.recv(65536)
    except OSError:
        return {}
    process.lines += data
    if not data or len(process.lines) > LINE_BYTES_MAX:
        return {}
    while b"\n" in process.lines:
        line, process.lines = process.lines.split(b"\n", 1)
        if line:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                return message if isinstance(message, dict) else {}
            return {}
    return None


def _ending(message: dict[str, Any]) -> Ending:
    ending = message.get("ending")
    return Ending(**ending) if isinstance(ending, dict) else Ending()


def last_line(output: str) -> str:
    """The last line with something in it, at most 200 characters."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def _how_it_ended(what: str, ending: Ending, state: str, options: Options) -> str:
    """The predicate of a sentence: what became of an import or a call of the factory."""
    if state == "slow" or ending.limit in ("run", "import"):
        limit_s = LOOK_S if ending.limit == "run" else options.import_s
        return f"{what} did not end within {limit_s:g} s"
    if state == "memory" or ending.limit == "memory":
        return f"{what} took more than {options.rss_bytes_max >> 20} MiB of memory"
    if ending.limit == "processes":
        return f"{what} started processes without end"
    if state == "froze":
        return f"{what} stopped (SIGSTOP) its own process"
    if ending.exit_code == server.EXIT_CUT_OFF:
        return f"{what} closed every file descriptor"
    if ending.exit_code < 0:
        return f"{what} killed the process by {signal.Signals(-ending.exit_code).name}"
    return f"{what} ended the process with status {ending.exit_code}"
