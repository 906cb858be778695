# real clock: whatever importing a loop or calling its factory does, the kit says what, and goes on.
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopcheck.load import Unusable
from loopcheck.verdict import decide
from two_cases import CALM, WILD, hostile_spec, level_of, make_root, server_of

FACTORY = "\nimport asyncio\nclass factory(asyncio.SelectorEventLoop):\n    def stop(self):\n        super().stop()\n"

# what the module does when it is imported -> what the one sentence says
UNUSABLE = {
    "import os; os._exit(0)": "importing it ended the process with status 0",
    "import os; os.abort()": "importing it killed the process by SIGABRT",
    "import sys; sys.exit(0)": "importing it raised SystemExit: 0",
    "raise KeyboardInterrupt": "importing it raised KeyboardInterrupt",
    "raise ValueError('a\\nb')": "importing it raised ValueError: a b",
    "import nosuch": "importing it raised ModuleNotFoundError: No module named 'nosuch'",
    "this is no Python": "importing it raised SyntaxError",
    "import threading; threading.Event().wait()": "importing it did not end within 1 s",
    "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)": "importing it stopped (SIGSTOP) its own process",
    "held = [b'x' * (1 << 20) + bytes([n % 256]) for n in range(1 << 20)]": "importing it took more than 256 MiB",
    "import os; os.closerange(3, 4096)": "importing it closed every file descriptor",
    "import os; os.write(2, b'Panic!'); os._exit(7)": "status 7 (it printed: Panic!)",
}

# what the module does -> is the loop run in fresh interpreters?
HARMLESS = {
    "import os; os.write(1, b'x' * (1 << 20))": False,
    "import sys; sys.stdout.close(); sys.stderr.close()": False,
    "import os; os.fork()": False,
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())": False,
    "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)": False,
    "import signal; signal.signal(signal.SIGCHLD, lambda *_: 1 / 0)": False,
    "import os, signal\nif os.fork() == 0:\n    signal.pause()": False,
    "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()": True,
}

# what the module replaces, each by something that raises: the kit may notice, the server must not
PATCHES = (
    "os.fork os.wait4 os.waitpid os.kill os._exit os.getpid os.read os.write os.listdir os.setsid",
    "time.time time.monotonic time.sleep time.perf_counter",
    "signal.signal signal.getsignal signal.pthread_sigmask signal.valid_signals",
    "select.poll select.select json.dumps json.loads gc.freeze",
    "builtins.open builtins.print builtins.input",
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The kit with two cases, and a current directory of its own."""
    monkeypatch.setenv("LOOPCHECK_ROOT", str(make_root(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("source", UNUSABLE)
def test_import_that_makes_a_loop_unusable(source: str, root: Path) -> None:
    (root / "mine.py").write_text(source + FACTORY)
    with server_of("mine.py:factory", import_s=1.0) as server, pytest.raises(Unusable) as caught:
        server.start()
    assert UNUSABLE[source] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", HARMLESS)
def test_import_that_does_odd_things(source: str, root: Path) -> None:
    (root / "mine.py").write_text(source + FACTORY)
    with server_of("mine:factory", timeout_s=2.0) as server:
        server.start()
        server.look()
        assert server.is_exec == HARMLESS[source]
        for case in (CALM, WILD, CALM):
            assert decide(server.run(case), level_of).verdict == "PASS"


@pytest.mark.parametrize("names", PATCHES)
def test_patches_do_not_reach_the_server(names: str, root: Path) -> None:
    lines = [f"import {name.split('.')[0]}; {name} = patched" for name in names.split()]
    source = ["def patched(*_, **__): raise RuntimeError('patched')", *lines]
    (root / "mine.py").write_text("\n".join(source) + FACTORY)
    with server_of("mine:factory") as server:
        server.start()
        seen = [server.run(case) for case in (CALM, WILD)]
    assert [facts.server for facts in seen] == ["", ""]
    assert {decide(facts, level_of).verdict for facts in seen} <= {"PASS", "FAIL", "CRASH"}
    assert all(facts.outcome is not None for facts in seen)


FACTORIES = {
    "sys_exit": "calling it raised SystemExit: 0",
    "raising": "calling it raised RuntimeError: no loop today",
    "hanging": "calling it did not end within 4 s",
    "exiting": "calling it ended the process with status 0",
    "crashing": "calling it killed the process by SIGSEGV",
    "no_loop": "returned int, which is no event loop",
    "nosuch": "has no attribute 'nosuch'",
    "WORD": "WORD is a str, which cannot be called",
}


@pytest.mark.parametrize("name", FACTORIES)
def test_unusable_factory(name: str) -> None:
    with server_of(hostile_spec(name)) as server, pytest.raises(Unusable) as caught:
        server.start()
        server.look()
    assert FACTORIES[name] in str(caught.value)


def test_module_of_the_current_directory_hides_no_other(root: Path) -> None:
    for name in ("select", "json", "psutil"):
        (root / f"{name}.py").write_text("import os; os._exit(9)")
    with server_of("asyncio:new_event_loop", timeout_s=2.0) as server:
        assert decide(server.run(CALM), level_of).verdict == "PASS"


def test_no_descriptor_is_left_here() -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with server_of(hostile_spec("kill_its_parent")) as server:
            server.run(WILD)
            server.run(CALM)
    assert len(os.listdir("/proc/self/fd")) == len(before)
