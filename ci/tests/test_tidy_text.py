"""tidy finds paths of one machine, marks of unfinished work and names of things that do not exist."""

from __future__ import annotations

import pytest
import tidy_text


@pytest.mark.parametrize("path", ["/root/x", "/work/main", "/home/alice/src", "/tmp/out", 'f("/tmp/a")'])
def test_machine_path(plant, path):
    found = list(tidy_text.machine_paths(plant({"loop/a.c": f"int a;\n/* see {path} */\n"})))
    assert [problem.line for problem in found] == [2]


@pytest.mark.parametrize("text", ["build/work/x", "a /workers/ b", "$HOME/tmp", "x/tmp/y", "the /tmpfiles"])
def test_no_machine_path(plant, text):
    assert list(tidy_text.machine_paths(plant({"ci/a.py": f"# {text}\n"}))) == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK"])
def test_unfinished(plant, word):
    assert len(list(tidy_text.unfinished(plant({"loop/a.c": f"/* {word}: later */\n"})))) == 1


def test_finished(plant):
    assert list(tidy_text.unfinished(plant({"loop/a.c": "/* TODOS are people */\n"}))) == []


@pytest.mark.parametrize("page", ["README.md", "loop/core/README.md"])
def test_named_file(plant, page):
    files = {page: "`ci/a.py` and `loop/core` and `ci/b.py`\n", "ci/a.py": "", "loop/core/x.c": ""}
    found = list(tidy_text.named_files(plant(files)))
    assert [problem.sentence for problem in found] == ["names ci/b.py, which does not exist"]


def test_named_command(plant):
    files = {
        "README.md": "ci/check.py quick\nci/check.py lax\n",
        "ci/check.py": '    "quick": quick,\n',
    }
    assert [problem.line for problem in tidy_text.named_files(plant(files))] == [2]


def test_named_command_of_the_command_line(plant):
    readme = "    loopcheck check a:b\n    loopcheck sing\nloopcheck finds\n`loopcheck dance`\n"
    cli = "@commands.command()\n@click.argument('x')\ndef check():\n    pass\n\n\ndef sing():\n    pass\n"
    tree = plant({"README.md": readme, "python/loopcheck/cli.py": cli})
    assert [problem.line for problem in tidy_text.named_commands(tree)] == [2, 4]


@pytest.mark.parametrize(("reason", "lines"), [("to be explained: it hangs", [2]), ("it hangs: to be explained", [])])
def test_deviation_without_a_reason(plant, reason, lines):
    text = f'[[deviation]]\ncase = "t.py::test_x"\nverdict = "FAIL"\nrule = "FD-1"\nreason = "{reason}"\n'
    found = list(tidy_text.explained(plant({"conformance/expect/x.toml": text})))
    assert [problem.line for problem in found] == lines
    assert len(list(tidy_text.explained(plant({"conformance/expect/cpython/y.toml": "[["})))) == 1 + len(lines)
