"""Runs the tests of one library on one loop: pytest, started again after each test that took it down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopcheck import paths
from loopcheck.load import Spec, Unusable
from loopcheck.upstream_setup import Environment

PLUGIN = Path(__file__).with_name("upstream_plugin")
VARIABLE = "LOOPCHECK_UPSTREAM"
RESTARTS_MAX = 40  # tests that hang or crash, of one library on one loop
SILENCE_FACTOR = 3.0  # of the time of a test: how long pytest may say nothing, collecting too
COLLECT_S = 120.0
POLL_S = 0.2
PYTEST_TESTS_FAILED, PYTEST_NONE_COLLECTED = 1, 5


@dataclass(frozen=True)
class Outcome:
    """How one test went."""

    outcome: str  # passed, failed, skipped, hang or crash
    detail: str = ""
    runs: int = 0  # how often the loop under test was set running
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        return self.outcome not in ("passed", "skipped")


@dataclass
class Runner:
    """One library on one loop. `stop` may be called from another thread."""

    environment: Environment
    spec: Spec
    timeout_s: float
    pattern: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _is_stopped: bool = False

    def run(self, only: tuple[str, ...] = ()) -> dict[str, Outcome]:
        """Outcomes by test id. Raises Unusable when pytest does not get as far as the tests."""
        self.outcomes = {}
        with tempfile.TemporaryDirectory(prefix="loopcheck-", ignore_cleanup_errors=True) as folder:
            log = Path(folder) / "log"
            for _ in range(RESTARTS_MAX):
                log.write_bytes(b"")
                status, output = self._once(log, folder, only)
                if self._is_stopped:
                    break
                unfinished = self._read(log, status)
                if not unfinished:
                    if status not in (0, PYTEST_TESTS_FAILED, PYTEST_NONE_COLLECTED):
                        raise Unusable(self._did_not_start(status, output))
                    return self.outcomes
        return self.outcomes

    def stop(self) -> None:
        """Ends the run."""
        self._is_stopped = True
        if self._process is not None:
            _kill(self._process)

    def _once(self, log: Path, folder: str, only: tuple[str, ...]) -> tuple[int, str]:
        """One process of pytest: its status and the end of what it printed."""
        with (Path(folder) / "output").open("wb+") as output:
            process = self._process = subprocess.Popen(
                self._command(),
                cwd=self.environment.tests,
                env=self._variables(log, folder, only),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                self._wait(process, log)
            finally:
                _kill(process)
                process.wait()
            output.seek(max(0, output.tell() - 8192))
            return process.returncode, output.read().decode(errors="replace")

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Until it ends, or has not written a line for so long that its own alarm must have failed."""
        size, heard_s = 0, time.monotonic()
        while process.poll() is None and not self._is_stopped:
            time.sleep(POLL_S)
            if log.stat().st_size != size:
                size, heard_s = log.stat().st_size, time.monotonic()
            if time.monotonic() - heard_s > (SILENCE_FACTOR * self.timeout_s if size else COLLECT_S):
                return

    def _command(self) -> list[str]:
        library = self.environment.library
        tests = self.environment.tests
        settings = tests / (library.settings or "none.ini")
        if not library.settings:
            settings.write_text("[pytest]\n")
        command = [str(self.environment.python), "-m", "pytest", "-q", "-c", str(settings), "--rootdir", str(tests)]
        command += ["-o", "addopts=", "-o", "faulthandler_timeout=0"]
        command += ["-p", "no:cacheprovider", "-p", "loopcheck_upstream"]
        for plugin in library.plugins:
            command += ["-p", plugin]
        return [*command, *library.arguments]

    def _variables(self, log: Path, folder: str, only: tuple[str, ...]) -> dict[str, str]:
        text = self.spec.text
        if self.spec.path:
            text = f"{Path(self.spec.path).resolve()}:{self.spec.factory}"
        own = paths.python_path()
        sites = [entry for entry in own if Path(entry).name in ("site-packages", "dist-packages")]
        settings = {
            "loop": text,
            "site": sites,
            "path": [entry for entry in own if entry not in sites],
            "log": str(log),
            "timeout_s": self.timeout_s,
            "done": list(self.outcomes),
            "only": list(only),
            "pattern": self.pattern,
        }
        file = Path(folder) / "settings.json"
        file.write_text(json.dumps(settings))
        return os.environ | {
            VARIABLE: str(file),
            "PYTHONPATH": str(PLUGIN),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "TMPDIR": folder,
        }

    def _read(self, log: Path, status: int) -> str:
        """Takes over what the log says; the id of the test in which the process ended, or ""."""
        begun, began_s = "", time.time()
        for line in log.read_text("utf-8").splitlines():
            entry: dict[str, Any] = {}
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
            if "begins" in entry:
                begun = entry["begins"]
            elif "test" in entry:
                test = entry.pop("test")
                self.outcomes[test] = Outcome(**entry)
                begun = ""
        if begun:
            quiet_s = began_s - log.stat().st_mtime
            is_late = quiet_s >= self.timeout_s * 0.9
            detail = f"it did not end within {self.timeout_s:g} s" if is_late else _ending(status)
            self.outcomes[begun] = Outcome("hang" if is_late else "crash", detail, runs=1)
        return begun

    def _did_not_start(self, status: int, output: str) -> str:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("E ", "ERROR"))]
        last = (errors or lines or ["nothing"])[-1][:200]
        name = self.environment.library.text
        return f"the tests of {name} cannot be run on {self.spec.text}: pytest ended with status {status} ({last})"


def _ending(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"the process was killed by {signal.Signals(-status).name}"
    return f"the process ended with status {status}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and what it started, as far as that stayed in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
