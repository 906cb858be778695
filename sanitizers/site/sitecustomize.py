"""Makes every interpreter that has this folder on its path take the extension modules of a sanitizer's build.

LOOPCHECK_EXTENSIONS lists them: module=file, separated by ":". They go before what is installed, also where an editable
install has put a finder of its own.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

FILES = dict(entry.split("=", 1) for entry in os.environ.get("LOOPCHECK_EXTENSIONS", "").split(":") if entry)


class Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, FILES[name]) if name in FILES else None


sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
