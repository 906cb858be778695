"""Finding things by name: the loop's factory from `module:factory`, the cases from their files."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

SENTENCE_CHARS_MAX = 300
PROGRAM_CASE = "program"  # the id under which one program's text is run, instead of a case of a file
BATCH_CASE = "programs"  # the id under which many programs are run in one process (batch.py)


class Unusable(Exception):
    """The loop cannot be used as it was named; str() is one sentence for the person who named it."""


class KitFault(Exception):
    """The kit itself failed; str() is one sentence."""


@dataclass(frozen=True)
class Spec:
    """A loop as it was named on the command line."""

    text: str
    module: str  # dotted name, or the stem of a file
    path: str  # of the file, "" for an importable module
    factory: str  # dotted attribute, "" for the driver of a C loop, which `path` is then

    @classmethod
    def parse(cls, text: str) -> Spec:
        """`module:factory` or `file.py:factory`. Raises Unusable when it is neither."""
        source, colon, factory = text.rpartition(":")
        if not colon or not source or not all(part.isidentifier() for part in factory.split(".")):
            raise Unusable(f"{text!r} is not a loop's name: write module:factory or file.py:factory")
        if source.endswith(".py") or "/" in source:
            return cls(text, Path(source).stem, source, factory)
        if not all(part.isidentifier() for part in source.split(".")):
            raise Unusable(f"{text!r} is not a loop's name: {source!r} is neither a module nor a .py file")
        return cls(text, source, "", factory)

    @classmethod
    def driver(cls, path: str) -> Spec:
        """A driver of a C loop in a shared object. Raises Unusable when there is no such file."""
        if not Path(path).is_file():
            raise Unusable(f"{path}: there is no such file")
        return cls(path, Path(path).stem, str(Path(path).resolve()), "")

    @property
    def is_driver(self) -> bool:
        """Is it the driver of a C loop, and no asyncio loop?"""
        return not self.factory

    @property
    def is_control(self) -> bool:
        """Is it the loop that all others are compared with?"""
        return self.text == CONTROL

    @property
    def expect_names(self) -> list[str]:
        """Stems of the shipped expect files that may apply, the best first; none for a file's loop."""
        return [] if self.path else list(dict.fromkeys((self.module, self.module.split(".")[0])))


CONTROL = "asyncio:new_event_loop"


def describe(error: BaseException) -> str:
    """An exception in one line of at most SENTENCE_CHARS_MAX characters, even when its str() raises."""
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = "its text cannot be had"
    name = type(error).__name__
    return f"{name}: {text[:SENTENCE_CHARS_MAX]}" if text else name


def load_factory(spec: Spec) -> Callable[[], Any]:
    """Imports the module and returns the factory. Raises Unusable; whatever else the import does, it does."""
    if spec.is_driver:
        return _load_driver(spec)
    try:
        module = _load_file(spec) if spec.path else importlib.import_module(spec.module)
    except ModuleNotFoundError as error:
        if error.name and (spec.module == error.name or spec.module.startswith(error.name + ".")):
            raise Unusable(f"{spec.text}: there is no module {error.name!r}") from None
        raise Unusable(f"{spec.text}: importing it raised {describe(error)}") from None
    except Unusable:
        raise
    except BaseException as error:
        raise Unusable(f"{spec.text}: importing it raised {describe(error)}") from None
    target: Any = module
    for part in spec.factory.split("."):
        try:
            target = getattr(target, part)
        except BaseException:
            raise Unusable(f"{spec.text}: {spec.module} has no attribute {spec.factory!r}") from None
    if not callable(target):
        raise Unusable(f"{spec.text}: {spec.factory} is a {type(target).__name__}, which cannot be called")
    return target  # type: ignore[no-any-return]


def _load_driver(spec: Spec) -> Callable[[], Any]:
    """Loads the shared object now; what is returned gives the one driver in it."""
    from loopcheck import _contract

    try:
        driver = _contract.Driver(spec.path)
    except (OSError, ValueError) as error:
        raise Unusable(f"{spec.text} is no driver that can be used: {describe(error).partition(': ')[2]}") from None
    return lambda: driver


def _load_file(spec: Spec) -> ModuleType:
    path = Path(spec.path)
    if not path.is_file():
        raise Unusable(f"{spec.text}: there is no file {spec.path}")
    name = spec.module if spec.module.isidentifier() else "loop_under_test"
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"loop_under_test_{name}"
    sys.path.append(str(path.parent.resolve()))
    return load_file(name, path)


def load_file(name: str, path: Path) -> ModuleType:
    """Imports one file as module `name`. Raises whatever its code raises."""
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@dataclass(frozen=True)
class Case:
    """One case, as the server lists it and the parent selects it."""

    id: str  # test_timers.py::test_never_early
    rule: str
    needs_run: bool
    timeout_s: float | None


def load_cases(directory: Path) -> dict[str, tuple[Case, Callable[[Any], None]]]:
    """All cases of test_*.py in `directory`, by id, in the order of files and lines. Raises KitFault."""
    if str(directory) not in sys.path:
        sys.path.append(str(directory))
    cases: dict[str, tuple[Case, Callable[[Any], None]]] = {}
    for path in sorted(directory.glob("test_*.py")):
        try:
            module = load_file(path.stem, path)
        except Exception as error:
            raise KitFault(f"the case file {path.name} cannot be imported: {describe(error)}") from error
        for name, function in vars(module).items():
            info = getattr(function, "loopcheck", None)
            if name.startswith("test_") and info is not None:
                case = Case(f"{path.name}::{name}", info.rule, info.needs_run, info.timeout_s)
                cases[case.id] = (case, function)
    return cases
