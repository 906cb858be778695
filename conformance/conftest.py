"""`pytest conformance --loop uvloop:new_event_loop`: the cases as pytest tests, each in containment.

No case runs in the pytest process: every item goes to a loopcheck server, of which there is one a
loop in each pytest (xdist) worker, and its verdict becomes the outcome of the test.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopcheck import paths
from loopcheck.check import expectations_for
from loopcheck.expect import Expectations, Judged
from loopcheck.load import CONTROL, KitFault, Spec, Unusable
from loopcheck.rules import Rules
from loopcheck.supervisor import Options, Server
from loopcheck.verdict import decide

with contextlib.suppress(ModuleNotFoundError):  # which the cases do not need
    from loopcheck import machines

    machines.register_profiles()

HERE = Path(__file__).parent
SERVERS = pytest.StashKey["Servers"]()


class Servers:
    """The servers of this pytest process, started when first needed."""

    def __init__(self, timeout_s: float) -> None:
        self.rules = Rules.load(paths.rules_file())
        self._options = Options(timeout_s=timeout_s)
        self._servers: dict[str, tuple[Server, Expectations] | str] = {}

    def get(self, loop: str) -> tuple[Server, Expectations]:
        """The server of a loop, and what is expected of it. Fails the test when it cannot be used."""
        if loop not in self._servers:
            self._servers[loop] = self._start(loop)
        found = self._servers[loop]
        if isinstance(found, str):
            pytest.fail(found, pytrace=False)
        return found

    def _start(self, loop: str) -> tuple[Server, Expectations] | str:
        try:
            spec = Spec.parse(loop)
            server = Server(spec, self._options)
            server.start()
            server.look()
            expectations = expectations_for(spec, "")
        except (Unusable, KitFault) as error:
            return str(error)
        expectations.loop_version = server.version
        return server, expectations

    def close(self) -> None:
        """Ends all servers."""
        for found in self._servers.values():
            if not isinstance(found, str):
                found[0].close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --loop, --rule, --corpus and --case-timeout."""
    group = parser.getgroup("loopcheck")
    group.addoption("--loop", action="append", metavar="LOOP", help="module:factory or file.py:factory; repeatable")
    group.addoption(
        "--corpus", type=Path, default=Path("out/corpus"), metavar="DIR", help="where machines/ saves programs"
    )
    group.addoption("--rule", action="append", metavar="ID", help="only cases that cite this rule; repeatable")
    group.addoption("--case-timeout", type=float, default=4.0, metavar="S", help="effective seconds a case may take")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuses unknown rules and profiles at once."""
    profile = config.getoption("--hypothesis-profile", None)
    if profile and profile not in machines.PROFILES:
        raise pytest.UsageError(f"there is no profile {profile!r}; there are {', '.join(machines.PROFILES)}")
    config.stash[SERVERS] = servers = Servers(config.getoption("--case-timeout"))
    unknown = [rule for rule in config.getoption("--rule") or () if rule not in servers.rules.by_id]
    if unknown:
        raise pytest.UsageError(f"there is no rule {unknown[0]!r}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the servers."""
    config.stash[SERVERS].close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a case and loop."""
    loops = list(dict.fromkeys(metafunc.config.getoption("--loop") or [CONTROL]))
    for name in {"kit", "loop_name"} & set(metafunc.fixturenames):
        metafunc.parametrize(name, loops, ids=loops, indirect=name == "kit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the cases of the chosen rules."""
    rules = config.getoption("--rule")
    if not rules:
        return
    chosen = [item for item in items if getattr(getattr(item, "obj", None), "loopcheck", None)]
    chosen = [item for item in chosen if item.obj.loopcheck.rule in rules]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture
def kit(request: pytest.FixtureRequest) -> Iterator[str]:
    """The loop's name: the kit itself is built in the process of the case, never here."""
    yield request.param


@pytest.fixture
def loopcheck_servers(request: pytest.FixtureRequest) -> Servers:
    """The servers of this pytest process, for tests that run programs."""
    return request.config.stash[SERVERS]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a case on its server; anything else is left to pytest."""
    if getattr(pyfuncitem.obj, "loopcheck", None) is None:
        return None
    servers = pyfuncitem.config.stash[SERVERS]
    case_id = f"{pyfuncitem.path.relative_to(HERE)}::{pyfuncitem.originalname}"
    server, expectations = servers.get(pyfuncitem.callspec.params["kit"])
    try:
        facts = server.run(case_id)
    except (Unusable, KitFault) as error:
        pytest.fail(str(error), pytrace=False)
    _report(expectations.judge(case_id, decide(facts, servers.rules.level_of)), servers.rules)
    return True


def _report(judged: Judged, rules: Rules) -> None:
    """A verdict as pytest says it: passed, failed, skipped or xfailed."""
    ruling = judged.ruling
    text = f"{ruling.verdict} {ruling.rule}: {ruling.detail}"
    if judged.is_unexpected:
        pytest.fail(f"{text}\n{rules.sentence_of(ruling.rule)}", pytrace=False)
    if judged.deviation is not None and ruling.verdict != "PASS":
        pytest.xfail(f"{text} ({judged.deviation.reason})")
    if ruling.verdict in ("SKIP", "MISSING"):
        pytest.skip(text)
    if ruling.verdict in ("WARN", "DIFF"):
        warnings.warn(text, stacklevel=1)
