"""What may not stand in the tree: paths of one machine, unfinished work, commands that do not exist, deviations
without a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tidy_base import Problem, Tree, tomllib

# Written in pieces so that this file does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.${}-])/(?:root|work|home/\w+|tmp/\w+|Users/\w+)(?![\w-])" + "(?:/|\\b)")
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + r"X|HA" + r"CK)\b")
TEXT_FILES = ("*.c", "*.h", "*.py", "*.md", "*.toml", "*.txt", "*.cmake", "*.json", "*.loop", "ci/*", ".ci/*")
SELF = ("ci/tidy_text.py", "ci/tests/test_tidy_text.py")

DOCUMENTS = ("*.md",)
NAMED_FILE = re.compile(r"`((?:ci|contract|loop|fuzz|sanitizers|conformance|corpora|python|docs|\.ci)/[\w./-]*\w)`")
TEMPLATE = re.compile(r"\b(?:SLUG|AREA|NNNN)\b")  # of a name that the reader makes
UNEXPLAINED = "to be explained"  # as in python/loopcheck/expect_update.py
CLI = "python/loopcheck/cli.py"
CLI_COMMAND = re.compile(r"(?:^ {4}.*?\b|`)loopcheck ([a-z]+)\b")
CI_COMMAND = re.compile(r"ci/check\.py ([a-z]+)")


def machine_paths(tree: Tree) -> Iterator[Problem]:
    for name in tree.match(*TEXT_FILES):
        if name in SELF:
            continue
        for number, line in enumerate(tree.lines(name), 1):
            if "/usr/bin/env" in line and number == 1:
                continue
            found = MACHINE_PATH.search(line)
            if found and not tree.is_excepted("machine-path", name):
                yield Problem(name, number, f"names a place of one machine: {found[0]}")


def unfinished(tree: Tree) -> Iterator[Problem]:
    for name in tree.match(*TEXT_FILES):
        if name in SELF:
            continue
        for number, line in enumerate(tree.lines(name), 1):
            found = UNFINISHED.search(line)
            if found:
                yield Problem(name, number, f"says {found[0]}: finish it or say in words why it stands")


def named_files(tree: Tree) -> Iterator[Problem]:
    """Each file that a document names in backquotes exists, and each ci/check.py command is one."""
    commands = set(re.findall(r'"([a-z]+)": ', tree.text("ci/check.py"))) if "ci/check.py" in tree.names else set()
    folders = {name.rsplit("/", depth)[0] for name in tree.names for depth in range(1, name.count("/") + 1)}
    for document in tree.match(*DOCUMENTS):
        for number, line in enumerate(tree.lines(document), 1):
            for path in NAMED_FILE.findall(line):
                if TEMPLATE.search(path):
                    continue
                if path not in tree.names and path.rstrip("/") not in folders:
                    yield Problem(document, number, f"names {path}, which does not exist")
            for command in CI_COMMAND.findall(line):
                if commands and command not in commands:
                    yield Problem(document, number, f"names ci/check.py {command}, which does not exist")


def named_commands(tree: Tree) -> Iterator[Problem]:
    """Each `loopcheck COMMAND` that a document shows is one of the command line."""
    if CLI not in tree.names:
        return
    functions = [node for node in ast.parse(tree.text(CLI)).body if isinstance(node, ast.FunctionDef)]
    known = {node.name for node in functions if any(".command(" in ast.unparse(mark) for mark in node.decorator_list)}
    for document in tree.match(*DOCUMENTS):
        for number, line in enumerate(tree.lines(document), 1):
            for command in CLI_COMMAND.findall(line):
                if command not in known:
                    yield Problem(document, number, f"names loopcheck {command}, which does not exist")


def explained(tree: Tree) -> Iterator[Problem]:
    """Every expected deviation has the reason that a person found, not what --update-expect wrote in its place."""
    for name in tree.match("conformance/expect/*.toml"):
        try:
            entries = tree.toml(name).get("deviation", [])
        except tomllib.TOMLDecodeError as error:
            yield Problem(name, 1, f"cannot be read: {error}")
            continue
        for entry in entries:
            case, reason = str(entry.get("case")), str(entry.get("reason", ""))
            if reason.strip().lower().startswith(UNEXPLAINED):
                yield Problem(name, tree.line_of(name, case), f"say why {case} is expected to differ")


CHECKS = (machine_paths, unfinished, named_files, named_commands, explained)
