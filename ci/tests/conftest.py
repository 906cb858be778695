"""Makes the modules of ci/ and sanitizers/ importable, and trees with planted defects."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sanitizers"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tidy_base import Tree


@pytest.fixture
def plant(tmp_path: Path) -> Callable[[dict[str, str]], Tree]:
    """plant({name: text}) -> a tree with these files and nothing else."""

    def make(files: dict[str, str]) -> Tree:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return Tree(tmp_path)

    return make
