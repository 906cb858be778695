"""CPython's own tests of asyncio in containment: what tests there are, and one of them in its process."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import tempfile
import types
import unittest
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from loopcheck import child, cpython_inject, inject
from loopcheck.kit import is_missing
from loopcheck.load import Case, KitFault, Unusable, describe
from loopcheck.shared import DETAIL_CHARS_MAX, Shared
from loopcheck.verdict import cut

PACKAGE = "test.test_asyncio"
RESOURCES = ("cpu", "subprocess", "walltime")  # of `regrtest -u`: all that needs no network and no disk
BASES = (unittest.TestCase, unittest.FunctionTestCase, unittest.IsolatedAsyncioTestCase)

Error = tuple[type[BaseException], BaseException, TracebackType]


def folder_of(package: str) -> Path:
    """Where the package of the tests is. Raises Unusable: many distributions leave it out."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        version = ".".join(map(str, sys.version_info[:2]))
        raise Unusable(
            f"{sys.executable} comes without {package}, the tests that CPython has for asyncio: "
            f"on Debian install libpython{version}-testsuite, elsewhere use a Python that has them (python.org, pyenv)"
        )
    return Path(spec.submodule_search_locations[0])


def module_names(package: str) -> list[str]:
    """test_events and the like, in order. Raises Unusable."""
    return sorted(path.stem for path in folder_of(package).glob("test_*.py"))


def load_tests(package: str, only: str = "") -> dict[str, tuple[Case, Callable[[Any], None]]]:
    """All tests as cases, by id, or those of the module of the test `only`. Raises Unusable or KitFault.

    The function of a case does nothing: `test_work` finds the test by its id.
    """
    inject.watch_running()
    names = module_names(package)
    if only:
        names = [name for name in names if only.startswith(f"{name}.py::")]
    found: dict[str, tuple[Case, Callable[[Any], None]]] = {}
    for name in names:
        for test_id in _tests_of(_import(package, name), name):
            found[test_id] = (Case(test_id, name, True, None), lambda _: None)
    return found


def _import(package: str, name: str) -> types.ModuleType | None:
    """The module; None for one that skips itself on this system."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(f"{package}.utils")
            return importlib.import_module(f"{package}.{name}")
    except unittest.SkipTest:
        return None
    except Exception as error:
        raise KitFault(f"{package}.{name} cannot be imported: {describe(error)}") from error


def _tests_of(module: types.ModuleType | None, name: str) -> Iterator[str]:
    seen: set[type] = set()
    for attribute, cls in list(vars(module).items()) if module else ():
        if isinstance(cls, type) and issubclass(cls, unittest.TestCase) and cls not in (*BASES, *seen):
            seen.add(cls)
            for method in unittest.defaultTestLoader.getTestCaseNames(cls):
                yield f"{name}.py::{attribute}::{method}"


def test_work(shared: Shared, package: str, test_id: str, get_factory: Callable[[], child.Factory]) -> dict[str, Any]:
    """Runs one test on loops of the factory; what child.case_work returns, too."""
    factory = get_factory()
    name, cls, method = test_id.split("::")
    module = sys.modules[f"{package}.{name.removesuffix('.py')}"]
    _set_up(package)
    cpython_inject.inject(factory, package, module)
    child.prepare(shared)
    result = Result()
    unittest.TestSuite([getattr(module, cls)(method)]).run(result)
    kind, detail = result.outcome(functools.partial(_where, folder_of(package)))
    return {
        "kind": kind,
        "rule": "",
        "detail": cut(detail, DETAIL_CHARS_MAX),
        "observations": inject.MADE.runs,
        "leaks": [],
    }


def _set_up(package: str) -> None:
    """What regrtest does before a test: a folder of its own, and which resources may be used."""
    with contextlib.suppress(ImportError):
        support = importlib.import_module(f"{package.rpartition('.')[0] or package}.support")
        support.use_resources = dict.fromkeys(RESOURCES)  # type: ignore[attr-defined]
    os.chdir(tempfile.gettempdir())


def _where(folder: Path, traceback: TracebackType | None) -> str:
    """The last line of the tests' own files that an error went through."""
    place = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if Path(code.co_filename).parent == folder:
            place = f"{Path(code.co_filename).name}:{traceback.tb_lineno} in {code.co_name}"
        traceback = traceback.tb_next
    return place


class Result(unittest.TestResult):
    """Keeps what was raised, which unittest keeps as text only."""

    def __init__(self) -> None:
        super().__init__()
        self.errors_raised: list[Error] = []
        self.is_surprise = False

    def addError(self, test: Any, err: Any) -> None:
        self.errors_raised.append(err)

    addFailure = addError

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.errors_raised.append(err)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.is_surprise = True

    def outcome(self, where: Callable[[TracebackType | None], str]) -> tuple[str, str]:
        """(kind, detail) as child.case_work reports them."""
        if self.errors_raised:
            kind = "broken"
            if all(is_missing(error, []) for _, error, _ in self.errors_raised):
                kind = "missing"
            lines = [(describe(error), where(traceback)) for _, error, traceback in self.errors_raised]
            return kind, "; also ".join(f"{text} ({place})" if place else text for text, place in lines)
        if self.is_surprise:
            return "broken", "it passes although CPython expects it to fail"
        if self.skipped:
            return "skip", self.skipped[0][1]
        return "ok", ""
