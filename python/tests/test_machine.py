# A machine that lacks something costs a skipped case, or ends in one sentence; it makes no verdict on a loop.
from __future__ import annotations

import subprocess
import sys

import pytest
from loopcheck import needs

CASES = "test_datagrams.py::test_connected_endpoint"


def check(shell: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Checks asyncio, after these words of a shell."""
    command = [sys.executable, "-m", "loopcheck", "check", "asyncio:new_event_loop", "-n", "1", *arguments]
    script = f'{shell}; exec "$0" "$@"'
    return subprocess.run(["bash", "-c", script, *command], capture_output=True, text=True, timeout=60)


def test_few_fds() -> None:
    done = check("ulimit -n 200", "-k", "watchers_of_high")
    assert (done.returncode, "(1 SKIP)" in done.stdout) == (0, True), done.stdout + done.stderr
    assert "1 PASS" in check("ulimit -Sn 60", "-k", "watchers_of_high").stdout
    done = check("ulimit -n 60", "-k", CASES)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "must be allowed to open 128 fds" in done.stderr


def test_closed_standard_input() -> None:
    done = check("exec 0<&-", "-k", CASES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_network() -> None:
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespaces of the network here")
    alone = f"exec unshare -rn {sys.executable} -c 'from loopcheck import needs; print(needs.why_unfit())'"
    told = subprocess.run(["bash", "-c", alone], capture_output=True, text=True, timeout=60)
    assert "cannot connect to itself over 127.0.0.1" in told.stdout, told.stderr
    assert needs.why_unfit() == ""
