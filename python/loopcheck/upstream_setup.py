"""The environments in which libraries' own tests run: one a library, version and Python, made once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loopcheck.load import KitFault, Unusable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIBRARIES = Path(__file__).with_name("upstream.toml")
READY = "ready.json"
PIP_S_MAX = 1800.0
NETWORK_SIGNS = (
    "NameResolution",
    "Temporary failure in name",
    "ConnectTimeout",
    "NewConnectionError",
    "Network is unreachable",
    "Connection refused",
    "ProxyError",
    "Read timed out",
)


@dataclass(frozen=True)
class Library:
    """One entry of upstream.toml."""

    name: str
    version: str
    requires: tuple[str, ...]  # of its tests
    keep: tuple[str, ...]  # of the source distribution: the tests and what they need
    settings: str  # the file of `keep` that configures pytest, "" for none
    arguments: tuple[str, ...]  # for pytest
    plugins: tuple[str, ...]  # of pytest
    private: tuple[str, ...] = ()  # what asyncio's own objects have beside their interface, and a test looks at
    archive: str = ""  # where the tests are, if not in the index's source distribution: URL#sha256=...

    @classmethod
    def load_all(cls, path: Path = LIBRARIES) -> dict[str, Library]:
        """All libraries by name. Raises KitFault."""
        try:
            entries: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))["library"]
            libraries = [cls(**_with_tuples(entry)) for entry in entries]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KitFault(f"{path} cannot be read: {type(error).__name__}: {error}") from error
        return {library.name: library for library in libraries}

    @property
    def text(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def source(self) -> str:
        """What pip is asked for when it fetches the tests."""
        return f"{self.name} @ {self.archive}" if self.archive else f"{self.name}=={self.version}"


def choose(names: Sequence[str], path: Path = LIBRARIES) -> list[Library]:
    """The libraries of these names, or all. Raises Unusable for a name that is not among them."""
    known = Library.load_all(path)
    for name in names:
        if name not in known:
            raise Unusable(f"there is no library {name!r}; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


@dataclass(frozen=True)
class Environment:
    """A library that is installed, and its tests."""

    library: Library
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def tests(self) -> Path:
        return self.folder / "tests"


def cache_folder() -> Path:
    """Where environments are kept unless the user says otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "loopcheck" / "upstream"


def provide(library: Library, cache: Path, say: Callable[[str], None]) -> Environment:
    """The environment of a library, made now if need be. Raises Unusable: no network, no venv, no space."""
    identity = json.dumps([asdict(library), sys.version, sys.base_prefix])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = Environment(library, cache / f"{library.name}-{library.version}-py{version}-{digest}")
    ready = environment.folder / READY
    if ready.exists():
        return environment
    say(f"{library.text}: installing it and what its tests need in {environment.folder}")
    try:
        shutil.rmtree(environment.folder, ignore_errors=True)
        environment.tests.mkdir(parents=True)
        _install(environment)
        if library.keep:
            _fetch_tests(environment)
        ready.write_text(identity)
    except OSError as error:
        raise Unusable(f"{library.text} cannot be installed in {environment.folder}: {error.strerror}") from error
    return environment


def _install(environment: Environment) -> None:
    library = environment.library
    _run(environment, [sys.executable, "-m", "venv", str(environment.folder / "venv")])
    _pip(environment, "install", f"{library.name}=={library.version}", *library.requires)


def _fetch_tests(environment: Environment) -> None:
    """Takes the tests out of the source distribution."""
    library = environment.library
    with tempfile.TemporaryDirectory(prefix="loopcheck-") as folder:
        words = ("--no-deps", "--no-binary", library.name, "--dest", folder)
        _pip(environment, "download", *words, library.source)
        archives = sorted(Path(folder).glob("*.tar.gz"))
        if len(archives) != 1:
            raise Unusable(f"{library.text} has no source distribution to take the tests from")
        extract(archives[0], library.keep, environment.tests)
    missing = [name for name in library.keep if not (environment.tests / name).exists()]
    if missing:
        raise Unusable(f"the source distribution of {library.text} has no {', '.join(missing)}")


def extract(archive: Path, keep: tuple[str, ...], target: Path) -> None:
    """Plain files of some folders, without the archive's first folder; nothing that leads out of `target`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts[1:]
            source = tar.extractfile(member) if member.isfile() and parts and parts[0] in keep else None
            if source is None or ".." in parts:
                continue
            path = target.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with source, path.open("wb") as file:
                shutil.copyfileobj(source, file)


def _pip(environment: Environment, command: str, *words: str) -> None:
    options = ("--quiet", "--no-input", "--disable-pip-version-check")
    _run(environment, [str(environment.python), "-m", "pip", command, *options, *words])


def _run(environment: Environment, argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PIP_S_MAX, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Unusable(f"{environment.library.text} cannot be installed: it took over {PIP_S_MAX:g} s") from None
    if done.returncode:
        raise Unusable(f"{environment.library.text} cannot be installed: {why(done.stdout + done.stderr)}")


def why(log: str) -> str:
    """What to say of a log of pip's or venv's."""
    if any(sign in log for sign in NETWORK_SIGNS):
        return "the Python package index cannot be reached"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["it said nothing"])[-1][:300]
