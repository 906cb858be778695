"""Who may depend on whom, by the includes of C files and the imports of Python files.

contract and loop depend on nothing of ours (inside loop: core <- thread <- backend <- refloop.c and the files beside
it <- python); fuzz on both; python/loopcheck on contract; conformance on loopcheck; corpora holds data only; ci only
runs things; sanitizers run things by the means of ci, and stress the loop's mailbox.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

from tidy_base import Problem, Tree

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')

FUZZ = ("contract/", "loop/", "loop/core/", "loop/thread/", "loop/backend/", "loop/include/", "fuzz/")
# A room is the longest of these that begins a path. What it may include from is listed beside it.
C_ROOMS: dict[str, tuple[str, ...]] = {
    "contract/": ("contract/",),
    "contract/tests/": ("contract/", "contract/tests/", "testing/"),
    "loop/core/": ("loop/core/",),
    "loop/thread/": ("loop/core/", "loop/thread/"),
    "loop/backend/": ("loop/core/", "loop/thread/", "loop/backend/"),
    "loop/include/": ("loop/include/",),
    "loop/": ("loop/", "loop/core/", "loop/thread/", "loop/backend/", "loop/include/"),
    "loop/tests/": (
        "loop/",
        "loop/core/",
        "loop/thread/",
        "loop/backend/",
        "loop/include/",
        "loop/tests/",
        "loop/python/",
        "testing/",
    ),
    "loop/python/": ("loop/", "loop/core/", "loop/thread/", "loop/backend/", "loop/include/", "loop/python/"),
    "fuzz/": FUZZ,
    "fuzz/targets/": (*FUZZ, "fuzz/targets/", "loop/python/"),  # what the extension reads of a user's numbers
    "fuzz/tests/": (*FUZZ, "fuzz/targets/", "fuzz/tests/", "testing/"),
    "python/loopcheck/": ("contract/", "python/loopcheck/"),
    "examples/": ("loop/include/", "contract/", "examples/"),
    "docs/findings/": (),  # reproducers stand alone
    "sanitizers/": ("loop/thread/", "loop/include/", "sanitizers/"),
    "python/tests/": ("contract/",),
    "testing/": ("testing/",),  # what the C unit tests of all rooms share
}
# Constants that users and the core share; each of these includes nothing of ours.
C_LEAVES = {"loop/include/rl_events.h"}
# The pure core has no clock, no fd call, no errno, no thread and no malloc.
CORE_SYSTEM = {"assert.h", "inttypes.h", "limits.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}
# contract assumes POSIX and no more.
NOT_POSIX = re.compile(r"^(?:linux/|sys/(?:epoll|eventfd|timerfd|signalfd|inotify|prctl|syscall)\.h)")

STDLIB = sys.stdlib_module_names | {"tomllib"}  # which Python 3.10 lacks; tomli stands in for it there
TEST_TOOLS = ("pytest", "hypothesis")
PAGE_TOOLS = ("jsonschema", "selenium")
# Beside the standard library: what the files of a folder may import.
PYTHON_ROOMS: dict[str, tuple[str, ...]] = {
    "python/loopcheck/": ("loopcheck", "click", "rich", "jinja2", "markupsafe", "psutil", "tomli", "hypothesis"),
    "python/tests/": ("loopcheck", "click", "rich", "psutil", "tomli", "hostile_loops", *PAGE_TOOLS, *TEST_TOOLS),
    "loop/python/refloop/": (),
    "loop/python/tests/": ("refloop", "pytest"),
    "conformance/": ("loopcheck", *TEST_TOOLS),
    "conformance/broken_loops/": ("loopcheck",),
    "bench/": ("loopcheck",),
    "docs/findings/": (),  # reproducers stand alone
    "ci/": ("tomli",),
    "ci/tests/": ("tomli", *TEST_TOOLS),
    "sanitizers/": ("_canary",),
}
# Whose files count as beside those of a room.
PYTHON_NEIGHBOURS = {"ci/tests/": ("ci", "sanitizers", "bench"), "sanitizers/": ("ci",)}


def room_of(name: str, rooms: dict[str, tuple[str, ...]]) -> str:
    return max((room for room in rooms if name.startswith(room)), key=len, default="")


def resolve(tree: Tree, name: str, include: str) -> str | None:
    """The file of the tree that an include means: the nearest whose path ends with it."""
    beside = str(PurePosixPath(name).parent / include)
    if beside in tree.names:
        return beside
    found = [path for path in tree.names if path == include or path.endswith("/" + include)]
    top = name.split("/")[0] + "/"
    return min(found, key=lambda path: (not path.startswith(top), path)) if found else None


def includes(tree: Tree) -> Iterator[Problem]:
    for name in tree.match("*.c", "*.h"):
        room = room_of(name, C_ROOMS)
        if not room:
            yield Problem(name, 1, "C code outside the rooms that may hold it")
            continue
        for number, line in enumerate(tree.lines(name), 1):
            found = INCLUDE.match(line)
            if found and found[1]:
                yield from own_include(tree, name, room, number, found[1])
            elif found:
                yield from system_include(name, number, found[2])


def own_include(tree: Tree, name: str, room: str, number: int, include: str) -> Iterator[Problem]:
    target = resolve(tree, name, include)
    if target is None:
        yield Problem(name, number, f'"{include}" is no file of the tree')
    elif target not in C_LEAVES and room_of(target, C_ROOMS) not in C_ROOMS[room]:
        yield Problem(name, number, f"{room} may not depend on {room_of(target, C_ROOMS)} ({target})")


def system_include(name: str, number: int, include: str) -> Iterator[Problem]:
    if name.startswith("loop/core/") and include not in CORE_SYSTEM:
        yield Problem(name, number, f"loop/core is pure and may not include <{include}>")
    if name.startswith("contract/") and NOT_POSIX.match(include):
        yield Problem(name, number, f"contract may assume POSIX only, not <{include}>")


def imported(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and first name of each import."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.split(".")[0]


def imports(tree: Tree) -> Iterator[Problem]:
    for name in tree.match("*.py"):
        room = room_of(name, PYTHON_ROOMS)
        if not room:
            yield Problem(name, 1, "Python code outside the rooms that may hold it")
            continue
        folders = {str(PurePosixPath(name).parent), *PYTHON_NEIGHBOURS.get(room, ())}
        beside = {PurePosixPath(path).stem for path in tree.names if str(PurePosixPath(path).parent) in folders}
        try:
            module = ast.parse(tree.text(name))
        except SyntaxError:
            continue  # tidy_size reports it
        for line, first in imported(module):
            if first not in STDLIB and first not in beside and first not in PYTHON_ROOMS[room]:
                yield Problem(name, line, f"{room} may not import {first}")


def corpora_are_data(tree: Tree) -> Iterator[Problem]:
    for name in tree.match("corpora/*"):
        if not name.endswith((".loop", ".md", ".toml")):
            yield Problem(name, 1, "corpora holds programs as text and nothing else")


CHECKS = (includes, imports, corpora_are_data)
