# real clock: the benches run; how fast is nobody's business here.
from __future__ import annotations

import subprocess
import sys

import pytest
from steps import PYTHON, ROOT


@pytest.mark.parametrize("bench", ["programs", "containment", "driver"])
def test_smoke(bench):
    python = PYTHON if bench == "driver" else sys.executable
    done = subprocess.run([python, ROOT / "bench" / f"{bench}.py", "--smoke"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("|") > 10


def test_control_and_spread(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import measure

    rates = measure.rates(lambda: {"ops": 1000.0}, 3)
    assert rates["ops"].absolute.text() == "1,000 (1,000 .. 1,000)"
    assert all(value > 0 for value in rates["ops"].relative.values)
