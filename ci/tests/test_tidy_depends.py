"""tidy finds includes and imports that go against who may depend on whom."""

from __future__ import annotations

import pytest
import tidy_depends

HEADERS = {
    "contract/driver.h": "",
    "loop/core/heap.h": "",
    "loop/thread/wake.h": "",
    "loop/backend/epoll.h": "",
    "loop/include/refloop.h": "",
    "loop/include/rl_events.h": "",
    "fuzz/kernels/sim.h": "",
}


@pytest.mark.parametrize(
    ("file", "include"),
    [
        ("contract/a.c", "core/heap.h"),
        ("loop/core/a.c", "thread/wake.h"),
        ("loop/core/a.c", "refloop.h"),
        ("loop/thread/a.c", "backend/epoll.h"),
        ("loop/refloop.c", "driver.h"),
        ("loop/a.c", "kernels/sim.h"),
        ("python/loopcheck/a.c", "refloop.h"),
        ("contract/a.c", "nowhere.h"),
        ("bench/a.c", "driver.h"),
    ],
)
def test_include_refused(plant, file, include):
    assert len(list(tidy_depends.includes(plant({**HEADERS, file: f'#include "{include}"\n'})))) == 1


@pytest.mark.parametrize(
    ("file", "include"),
    [
        ("contract/tests/a.c", "driver.h"),
        ("loop/core/a.c", "rl_events.h"),
        ("loop/backend/a.c", "thread/wake.h"),
        ("loop/refloop.c", "backend/epoll.h"),
        ("fuzz/drivers/a.c", "kernels/sim.h"),
        ("fuzz/drivers/a.c", "driver.h"),
        ("python/loopcheck/a.c", "driver.h"),
    ],
)
def test_include_allowed(plant, file, include):
    assert list(tidy_depends.includes(plant({**HEADERS, file: f'#include "{include}"\n'}))) == []


@pytest.mark.parametrize(("file", "include"), [("loop/core/a.c", "errno.h"), ("contract/a.c", "sys/epoll.h")])
def test_system_include_refused(plant, file, include):
    assert len(list(tidy_depends.includes(plant({file: f"#include <{include}>\n"})))) == 1


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("python/loopcheck/a.py", "numpy"),
        ("python/loopcheck/a.py", "pytest"),
        ("conformance/test_a.py", "uvloop"),
        ("conformance/broken_loops/a.py", "pytest"),
        ("ci/a.py", "loopcheck"),
        ("scripts/a.py", "os"),
    ],
)
def test_import_refused(plant, file, module):
    assert len(list(tidy_depends.imports(plant({file: f"import {module}.x\n"})))) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("python/loopcheck/a.py", "from rich.table import Table"),
        ("python/loopcheck/a.py", "from . import b"),
        ("conformance/test_a.py", "from loopcheck.kit import case"),
        ("ci/tests/test_a.py", "import pytest"),
    ],
)
def test_import_allowed(plant, file, line):
    assert list(tidy_depends.imports(plant({file: line + "\n"}))) == []


def test_corpora_hold_data(plant):
    tree = plant({"corpora/seeds/timers/a.loop": "", "corpora/run.py": ""})
    assert [problem.path for problem in tidy_depends.corpora_are_data(tree)] == ["corpora/run.py"]
