"""tidy finds files, functions and tests that are too long, and only those."""

from __future__ import annotations

import pytest
import tidy_size
from tidy_base import stale_exceptions


@pytest.mark.parametrize(
    ("name", "limit"),
    [("fuzz/a.c", 500), ("loop/core/a.c", 250), ("contract/a.h", 150), ("ci/a.py", 500)],
)
def test_file_length(plant, name, limit):
    assert list(tidy_size.file_lengths(plant({name: "\n" * limit}))) == []
    found = list(tidy_size.file_lengths(plant({name: "\n" * (limit + 1)})))
    assert [(problem.path, problem.line) for problem in found] == [(name, limit + 1)]


def c_function(name: str, lines: int) -> str:
    return f"static void {name}(int a,\n    int b)\n{{\n" + "    a = b;\n" * (lines - 4) + "}\n\n"


@pytest.mark.parametrize(("file", "name", "limit"), [("loop/a.c", "a", 60), ("loop/tests/test_a.c", "test_a", 25)])
def test_c_function_length(plant, file, name, limit):
    fits = c_function("b", 10) + c_function(name, limit)
    assert list(tidy_size.c_lengths(plant({file: fits}))) == []
    found = list(tidy_size.c_lengths(plant({file: c_function("b", 10) + c_function(name, limit + 1)})))
    assert [(problem.line, name in problem.sentence) for problem in found] == [(12, True)]


def test_c_function_after_other_things(plant):
    before = "#include <a.h>\n/* why\n * so */\nstruct a {\n    int b;\n};\n\nstatic const int c[] = {\n    1,\n};\n"
    found = list(tidy_size.c_lengths(plant({"loop/a.c": before + c_function("long_one", 61)})))
    assert [problem.line for problem in found] == [11]


@pytest.mark.parametrize(("file", "name", "limit"), [("ci/a.py", "work", 60), ("ci/tests/test_a.py", "test_work", 25)])
def test_python_function_length(plant, file, name, limit):
    text = f"def {name}():\n" + "    a = 1\n" * (limit - 1)
    assert list(tidy_size.python_lengths(plant({file: text}))) == []
    assert len(list(tidy_size.python_lengths(plant({file: text + "    a = 1\n"})))) == 1


def test_no_python(plant):
    assert "no Python" in next(tidy_size.python_lengths(plant({"ci/a.py": "def"}))).sentence


EXCEPTION = '[[exception]]\ncheck = "file-length"\nfile = "ci/a.py"\nreason = "{}"\n'


def test_exception_is_heeded_and_needed(plant):
    tree = plant({"ci/a.py": "\n" * 501, "ci/tidy_exceptions.toml": EXCEPTION.format("a table")})
    assert list(tidy_size.file_lengths(tree)) == []
    assert list(stale_exceptions(tree)) == []


@pytest.mark.parametrize(("lines", "reason", "word"), [(1, "a table", "any more"), (501, "", "reason")])
def test_exception_without_need_or_reason(plant, lines, reason, word):
    tree = plant({"ci/a.py": "\n" * lines, "ci/tidy_exceptions.toml": EXCEPTION.format(reason)})
    list(tidy_size.file_lengths(tree))
    assert any(word in problem.sentence for problem in stale_exceptions(tree))
