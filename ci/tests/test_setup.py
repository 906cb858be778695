"""The set-up repeats a step only when its inputs changed, and says what a machine lacks in one command."""

from __future__ import annotations

import machine
import pytest
import setup
import steps


def never():
    return False


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No test writes into the build directory of this checkout."""
    monkeypatch.setattr(steps, "BUILD", tmp_path / "build")
    monkeypatch.setattr(steps, "LOGS", tmp_path / "build" / "logs")


def test_stamp(tmp_path):
    file = tmp_path / "input"
    file.write_text("one")
    stamp = steps.Stamp(tmp_path / "stamps" / "a.json", steps.digest([file], "word"))
    assert not stamp.holds()
    stamp.set()
    assert stamp.holds()
    file.write_text("two")
    assert not steps.Stamp(stamp.path, steps.digest([file], "word")).holds()
    stamp.path.write_text("{")
    assert not stamp.holds()


def test_step_that_fails_shows_its_log(capsys):
    with pytest.raises(steps.Stop, match="sum: failed with status 3; the whole log is"):
        steps.step("sum", "sum", ["sh", "-c", "echo the reason; exit 3"])
    assert "the reason" in capsys.readouterr().out


def test_step_that_succeeds(capsys):
    steps.step("sum", "sum", ["true"])
    assert "sum: done" in capsys.readouterr().out


@pytest.mark.parametrize(("without", "strict", "stops"), [("", False, True), ("x", True, True), ("x", False, False)])
def test_need_that_cannot_be_met(monkeypatch, capsys, without, strict, stops):
    need = machine.Need("a loom", ("loom-dev",), never, without)
    monkeypatch.setattr(machine, "needs", lambda *goal: [need])
    monkeypatch.setattr(machine, "apt_prefix", lambda: None)
    if stops:
        with pytest.raises(steps.Stop, match=r"machine: a loom\. Please .*loom-dev") as stop:
            machine.provide(everything=True, strict=strict)
        assert stop.value.status == 2
    else:
        machine.provide(everything=True, strict=strict)
        assert "x will be skipped" in capsys.readouterr().out


def test_what_is_missing_is_installed(monkeypatch):
    asked = []
    need = machine.Need("a loom", ("loom-dev",), lambda: bool(asked))
    monkeypatch.setattr(machine, "needs", lambda *goal: [need])
    monkeypatch.setattr(machine, "apt_prefix", lambda: ["sudo", "-n"])
    monkeypatch.setattr(steps, "logged", lambda name, argv: asked.append(argv) or 0)
    machine.provide(everything=False, strict=True)
    assert [argv[-1] for argv in asked] == ["update", "loom-dev"]


def test_busy_apt_is_tried_again(monkeypatch):
    tries = []

    def locked_once(name, argv):
        tries.append(argv)
        steps.LOGS.mkdir(parents=True, exist_ok=True)
        (steps.LOGS / "apt.log").write_text("E: Could not get lock")
        return 0 if len(tries) == 2 else 100

    monkeypatch.setattr(steps, "logged", locked_once)
    monkeypatch.setattr(machine, "APT_WAIT_S", 0)
    assert machine.apt([], "update")
    assert len(tries) == 2


def test_compiler_probe():
    assert machine.compiles("cc", "int main(void) { return 0; }\n")
    assert not machine.compiles("cc", "int main(void) { return }\n")
    assert not machine.compiles("no-such-compiler", "")


@pytest.mark.parametrize("argv", [[], ["dance"]])
def test_usage(argv, capsys):
    assert setup.main(argv) == 2
    assert "ci/setup.py demo" in capsys.readouterr().out


def test_network_failure_is_one_sentence(capsys):
    script = "echo 'NewConnectionError(...)'; exit 1"
    with pytest.raises(steps.Stop, match="uvloop: the Python package index cannot be reached"):
        steps.step("uvloop", "pip", ["sh", "-c", script], None, setup.network_sentence)
    assert "NewConnectionError" not in capsys.readouterr().out


def test_other_failure_of_pip_shows_its_log(capsys):
    with pytest.raises(steps.Stop, match="status 1"):
        steps.step("uvloop", "pip", ["sh", "-c", "echo no such version; exit 1"], None, setup.network_sentence)
    assert "no such version" in capsys.readouterr().out


def test_sanitizers_need_no_browser():
    names = [{need.name for need in machine.needs(everything=True, browser=browser)} for browser in (True, False)]
    assert names[0] - names[1] == {"Chromium"}
