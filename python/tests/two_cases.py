"""A kit with two cases: in the first the loop is told to misbehave, in the second it is not."""

from __future__ import annotations

from pathlib import Path

from loopcheck.load import Spec
from loopcheck.supervisor import Options, Server

HERE = Path(__file__).parent
WILD, CALM, IDLE = "test_two.py::test_wild", "test_two.py::test_calm", "test_two.py::test_idle"
LEVELS = {"SOON-5": "MUST", "SOON-6": "SHOULD"}

CASES = '''
from loopcheck.kit import case

@case("SOON-5")
def test_wild(kit):
    """The sign to misbehave."""
    kit.loop.set_debug(True)
    kit.soon(dict)
    kit.run_for(0.02)

@case("SOON-5")
def test_calm(kit):
    """An ordinary case."""
    kit.soon(dict)
    kit.run_for(0.001)

@case("SOON-6")
def test_idle(kit):
    """A case that sees no callback."""
    kit.loop.call_soon(dict)
'''

RULES = """
[[rule]]
id = "SOON-5"
area = "scheduling"
level = "MUST"
sentence = "A callback is never lost."
sources = ["PEP 3156"]
judged_by = ["monitor:contract/monitor_soon.c"]
seen_failing = ["broken:loses_callbacks"]

[[rule]]
id = "SOON-6"
area = "scheduling"
level = "SHOULD"
sentence = "A callback gets its arguments."
sources = ["PEP 3156"]

[[rule]]
id = "SOON-3"
area = "kit"
level = "MUST"
sentence = "A callback runs once."
sources = ["PEP 3156"]
"""


def make_root(path: Path) -> Path:
    """Writes the two cases and their rules where LOOPCHECK_ROOT may point."""
    (path / "conformance" / "expect").mkdir(parents=True)
    (path / "contract").mkdir()
    (path / "conformance" / "test_two.py").write_text(CASES)
    (path / "contract" / "rules.toml").write_text(RULES)
    return path


def hostile_spec(name: str) -> str:
    """The name of a loop of hostile_loops.py."""
    return f"{HERE / 'hostile_loops.py'}:{name}"


def server_of(loop: str, *, timeout_s: float = 0.5, import_s: float = 20.0, rss_bytes_max: int = 256 << 20) -> Server:
    """A server with short limits; to be started and closed by the test."""
    return Server(Spec.parse(loop), Options(timeout_s, import_s, rss_bytes_max))


def level_of(rule: str) -> str:
    """The level of one of the rules above."""
    return LEVELS.get(rule, "MUST")
