"""Lengths: a file fits a sitting, a function a screen, a test a glance (STYLE of CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tidy_base import Problem, Tree

FILE_LINES_MAX = 500
CORE_LINES_MAX = 250  # loop/core/*.c
HEADER_LINES_MAX = 150
FUNCTION_LINES_MAX = 60
TEST_LINES_MAX = 25

C_NAME = re.compile(r"(\w+)\s*\(")


def file_lengths(tree: Tree) -> Iterator[Problem]:
    for name in tree.match("*.c", "*.h", "*.py", "*.cmake", "*CMakeLists.txt"):
        limit = FILE_LINES_MAX
        if name.endswith(".h"):
            limit = HEADER_LINES_MAX
        elif name.startswith("loop/core/"):
            limit = CORE_LINES_MAX
        count = len(tree.lines(name))
        if count > limit and not tree.is_excepted("file-length", name):
            yield Problem(name, limit + 1, f"the file has {count} lines, its limit is {limit}")


def is_test_file(name: str) -> bool:
    return PurePosixPath(name).name.startswith("test_")


def too_long(tree: Tree, name: str, function: str, line: int, count: int) -> Iterator[Problem]:
    is_test = is_test_file(name) and function.startswith("test_")
    limit = TEST_LINES_MAX if is_test else FUNCTION_LINES_MAX
    if count > limit and not tree.is_excepted("function-length", name, function):
        kind = "test" if is_test else "function"
        yield Problem(name, line, f"the {kind} {function} has {count} lines, its limit is {limit}")


def c_functions(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Name, first line (from 1) and length of each function of a formatted C file.

    Relies on clang-format: a body opens with "{" alone in column 0 and ends with "}" in column 0.
    """
    start = 0  # first line of what stands before the next body
    for index, line in enumerate(lines):
        if line == "{" and index > start:
            name = C_NAME.search(" ".join(lines[start:index]))
            end = next((i for i in range(index, len(lines)) if lines[i].startswith("}")), len(lines) - 1)
            if name is not None:
                yield name[1], start + 1, end - start + 1
        if not line.strip() or line.startswith(("}", "#", "/*", " *")) or line.endswith((";", "*/", "\\")):
            start = index + 1


def c_lengths(tree: Tree) -> Iterator[Problem]:
    for name in tree.match("*.c", "*.h"):
        for function, line, count in c_functions(tree.lines(name)):
            yield from too_long(tree, name, function, line, count)


def python_lengths(tree: Tree) -> Iterator[Problem]:
    for name in tree.match("*.py"):
        try:
            module = ast.parse(tree.text(name))
        except SyntaxError as error:
            yield Problem(name, error.lineno or 1, f"this is no Python: {error.msg}")
            continue
        for node in ast.walk(module):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                yield from too_long(tree, name, node.name, node.lineno, count)


CHECKS = (file_lengths, c_lengths, python_lengths)
