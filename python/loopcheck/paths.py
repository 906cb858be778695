"""Where the rules, the cases and the shipped expectations live: beside an installed package, or in the checkout.

The environment variable LOOPCHECK_ROOT names another directory with `conformance/` and
`contract/rules.toml`, for somebody who brings cases of their own (and for our self-tests).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT_VARIABLE = "LOOPCHECK_ROOT"


class NotInstalled(Exception):
    """A part of the kit itself is not where it should be; str() is one sentence."""


def _candidates(inside: str) -> list[Path]:
    chosen = os.environ.get(ROOT_VARIABLE)
    if chosen:
        return [Path(chosen).resolve() / inside]
    return [PACKAGE / inside, PACKAGE.parents[1] / inside]


def _first(inside: str) -> Path:
    candidates = _candidates(inside)
    for path in candidates:
        if path.exists():
            return path
    asked = f"; {ROOT_VARIABLE} says so" if os.environ.get(ROOT_VARIABLE) else ""
    raise NotInstalled(f"{inside} is not there (looked at {', '.join(map(str, candidates))}{asked})")


def conformance_dir() -> Path:
    """The directory of the cases (test_<area>.py). Raises NotInstalled."""
    return _first("conformance")


def rules_file() -> Path:
    """contract/rules.toml, or loopcheck/rules.toml where a wheel put it. Raises NotInstalled."""
    flat = PACKAGE / "rules.toml"
    if flat.exists() and not os.environ.get(ROOT_VARIABLE):
        return flat
    return _first("contract/rules.toml")


def shipped_expect_file(module: str) -> Path | None:
    """conformance/expect/<module>.toml for a dotted module name, or None where none is shipped."""
    path = conformance_dir() / "expect" / f"{module}.toml"
    return path if path.is_file() else None


def python_path() -> list[str]:
    """This process's sys.path, with the current directory last: what lies there is found, but hides nothing."""
    here = os.getcwd()
    return [*dict.fromkeys(os.path.abspath(entry) for entry in sys.path if entry not in ("", here)), here]


def short(path: Path) -> str:
    """The path as a person would type it: relative to the current directory where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
