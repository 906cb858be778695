"""The server: one single-threaded process that imports a loop and the cases once, and forks per case.

Started by supervisor.py with its settings as JSON in argv[1]; it reads one JSON line per request from
its control socket and answers with one. A loop that starts threads when it is imported must not be
forked: then the server runs in exec mode, does not import the loop at all, and every case gets a
fresh interpreter (this same file in the role "case").

Whatever the server needs is bound before the loop is imported, since loops patch modules.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from gc import collect, freeze
from os import _exit as exit_now
from os import close, execv, fork, getpid, set_inheritable, setsid
from os import read as read_fd
from os import write as write_fd
from pathlib import Path
from typing import Any, NoReturn

from loopcheck import child, cpython_tests, processes, shim
from loopcheck.load import BATCH_CASE, Case, KitFault, Spec, Unusable, describe, load_cases, load_factory
from loopcheck.shared import PHASE_IMPORT, Shared
from loopcheck.watch import Limits, Watch

LINE_BYTES_MAX = 1 << 20
IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}
FDS = 1024  # that a process may have open
EXIT_CUT_OFF = 117  # status of a server that cannot reach its parent any more


@dataclass(frozen=True)
class Settings:
    """What supervisor.py tells a server, or a server a fresh case process."""

    role: str  # "server", or "case" for a fresh interpreter that runs one case
    loop: str
    conformance: str  # directory of the cases
    control: int  # fd of the control socket
    shared: int  # fd of the shared memory
    path: list[str]  # sys.path, so that a fresh interpreter finds the same loopcheck
    is_exec: bool = False
    import_s: float = 20.0
    rss_bytes_max: int = 1 << 30
    is_driver: bool = False  # `loop` is the driver of a C loop
    package: str = ""  # of tests that take the place of the cases
    case: str = ""
    nonce: int = 0


def command(settings: Settings) -> list[str]:
    """The arguments of the interpreter that runs this file with these settings.

    Not `-m`, which would let a file of the current directory stand before the stdlib.
    """
    code = f"import sys; sys.path[:] = {settings.path!r}; from loopcheck.server import main; main()"
    return [sys.executable, "-c", code, json.dumps(asdict(settings))]


class Line:
    """The control socket, one JSON document a line."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""
        self._dumps, self._loads = json.dumps, json.loads

    def send(self, message: dict[str, Any] | None) -> None:
        """Sends a message; None is a sign of life. Ends this process when nobody listens."""
        data = b"\n" if message is None else self._dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[write_fd(self.fd, data) :]
        except OSError:
            exit_now(EXIT_CUT_OFF)

    def receive(self) -> dict[str, Any]:
        """The next request. Ends this process, and what it started, when the parent is gone."""
        while b"\n" not in self._rest:
            data = read_fd(self.fd, LINE_BYTES_MAX)
            if not data:
                processes.kill_descendants(getpid(), frozenset(), lambda _: None)
                exit_now(0)
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return self._loads(line)  # type: ignore[no-any-return]


class SignalState:
    """Handlers and mask: the loop's import may change them, and the server needs its own."""

    _set, _get, _mask = signal.signal, signal.getsignal, signal.pthread_sigmask
    _numbers = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})

    def __init__(self) -> None:
        cls = type(self)
        self.handlers = {number: cls._get(number) for number in cls._numbers}
        self.mask = cls._mask(signal.SIG_BLOCK, ())

    def restore(self) -> None:
        """Brings back what was there when this object was made."""
        cls = type(self)
        for number, handler in self.handlers.items():
            if handler is not None and cls._get(number) != handler:
                cls._set(number, handler)
        cls._mask(signal.SIG_SETMASK, self.mask)


class Server:
    """The loop and the cases, imported, and the way to run one case on it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.spec = (Spec.driver if settings.is_driver else Spec.parse)(settings.loop)
        self.line = Line(settings.control)
        self.shared = Shared(settings.shared)
        self.cases = _load(settings)
        self.functions = {case_id: function for case_id, (_, function) in self.cases.items()}
        self.factory: child.Factory | None = None
        self.own_signals = SignalState()
        self.loop_signals = self.own_signals
        self.spare: frozenset[int] = frozenset()

    def import_loop(self) -> None:
        """Imports the loop here, unless in exec mode. Raises Unusable.

        An import that forks comes back twice; only the first process goes on.
        """
        if self.settings.is_exec:
            return
        pid = getpid()
        try:
            self.factory = load_factory(self.spec)
        finally:
            if getpid() != pid:
                exit_now(0)
        self.loop_signals = SignalState()
        self.own_signals.restore()
        self.spare = frozenset(processes.descendants(pid))
        collect()
        freeze()

    def serve(self) -> NoReturn:
        """Answers requests until the parent is gone."""
        cases = [asdict(case) for case, _ in self.cases.values()]
        self.line.send({"event": "ready", "cases": cases, "threads": processes.threads_of_this_process()})
        while True:
            request = self.line.receive()
            limits = Limits(request["run_s"], self.settings.import_s, self.settings.rss_bytes_max)
            pid = self._start(request["case"], request["nonce"])
            ending = Watch(pid, self.shared, limits, self.spare).until_end(self.line.fd, lambda: self.line.send(None))
            if ending is None:
                exit_now(0)
            self.line.send({"event": "done", "ending": ending.to_json()})

    def _start(self, case_id: str, nonce: int) -> int:
        if self.settings.is_exec:
            self.shared.set_phase(PHASE_IMPORT)
        pid = fork()
        if pid == 0:
            try:
                self._become_case(case_id, nonce)
            finally:
                exit_now(1)
        return pid

    def _become_case(self, case_id: str, nonce: int) -> NoReturn:
        setsid()
        close(self.line.fd)
        if self.settings.is_exec:
            set_inheritable(self.settings.shared, True)
            settings = asdict(self.settings) | {"role": "case", "case": case_id, "nonce": nonce}
            arguments = command(Settings(**settings))
            execv(arguments[0], arguments)
        self.shared.drop_fd()
        self.loop_signals.restore()
        child.run(self.shared, nonce, work(self, case_id))

    def get_factory(self) -> child.Factory:
        """The factory, imported here and now in a fresh interpreter."""
        return self.factory if self.factory is not None else load_factory(self.spec)


def _load(settings: Settings) -> dict[str, tuple[Case, Callable[[Any], None]]]:
    """The cases, or the tests of a package; a fresh interpreter for one test takes only what that needs."""
    if settings.package:
        return cpython_tests.load_tests(settings.package, only=settings.case)
    return load_cases(Path(settings.conformance))


def work(server: Server, case_id: str) -> Callable[[], dict[str, Any]]:
    """What the process of this case has to do."""
    if case_id == child.PROBE:
        return lambda: child.probe_work(server.shared, server.spec, server.get_factory)
    if case_id == BATCH_CASE:
        return lambda: child.batch_work(server.shared, server.spec, server.get_factory)
    if server.settings.package:
        return lambda: cpython_tests.test_work(server.shared, server.settings.package, case_id, server.get_factory)
    function = child.function_of(case_id, server.functions)
    return lambda: child.case_work(server.shared, function, server.get_factory)


def _set_up() -> None:
    """The process before anything foreign is imported."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FDS:  # what a system allows without being asked; cases that need more than the hard limit skip
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FDS, hard) if hard >= 0 else FDS, hard))
    for number in signal.valid_signals() - IGNORED_BY_PYTHON:  # what a shell's background ignores, nohup, a service
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    # Bound here, so that a loop's patches of what they import come too late.
    from loopcheck import _contract, driver, needs  # noqa: F401

    if why := needs.why_unfit():
        raise Unusable(why)


def main() -> NoReturn:
    """Runs as a server, or as one case's fresh interpreter."""
    settings = Settings(**json.loads(sys.argv[1]))
    sys.argv = ["loopcheck"]
    if settings.role == "server":
        processes.become_subreaper()
    line = Line(settings.control)
    try:
        if shim.why_not_loaded():
            raise Unusable(shim.why_not_loaded())
        _set_up()
        server = Server(settings)
        if settings.role == "case":
            server.shared.drop_fd()
            child.run(server.shared, settings.nonce, work(server, settings.case))
        server.import_loop()
    except Unusable as error:
        line.send({"event": "unusable", "sentence": str(error)})
        exit_now(2)
    except KitFault as error:
        line.send({"event": "fault", "sentence": str(error)})
        exit_now(3)
    except Exception as error:
        line.send({"event": "fault", "sentence": f"the server failed: {describe(error)}"})
        exit_now(3)
    server.serve()
