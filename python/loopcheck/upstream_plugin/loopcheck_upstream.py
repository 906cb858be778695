"""The pytest plugin that runs in a library's environment: injects the loop, ends a test that hangs, writes a log.

Told what to do by the JSON file that the environment variable LOOPCHECK_UPSTREAM names. The log has two lines a
test: that it begins, and how it went; a test without the second line is the one that ended the process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import site
import sys
import time
from pathlib import Path
from typing import Any

SETTINGS = json.loads(Path(os.environ["LOOPCHECK_UPSTREAM"]).read_text("utf-8"))
for folder in SETTINGS["site"]:  # after the library's own, so that what both have is the library's
    site.addsitedir(folder)
sys.path += [folder for folder in SETTINGS["path"] if folder not in sys.path]

from loopcheck import inject  # noqa: E402
from loopcheck.load import Spec, load_factory  # noqa: E402

inject.watch_running()
inject.inject_asyncio(load_factory(Spec.parse(SETTINGS["loop"])))

WORST_LAST = ("passed", "skipped", "failed")
DETAIL_CHARS_MAX = 500


class Log:
    """The test that runs, and the file."""

    def __init__(self) -> None:
        self.fd = os.open(SETTINGS["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.outcome, self.detail, self.runs, self.began_s = "", "", 0, 0.0

    def write(self, **line: object) -> None:
        os.write(self.fd, json.dumps(line).encode() + b"\n")


LOG = Log()


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Keeps what is asked for and was not run before."""
    done, only, pattern = set(SETTINGS["done"]), set(SETTINGS["only"]), SETTINGS["pattern"]
    kept = [i for i in items if i.nodeid not in done and (not only or i.nodeid in only) and pattern in i.nodeid]
    dropped = [item for item in items if item not in kept] if len(kept) < len(items) else []
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


def pytest_runtest_logstart(nodeid: str) -> None:
    """Writes the first line, and sets the alarm: it ends the process, which the parent starts again."""
    LOG.write(begins=nodeid)
    LOG.outcome, LOG.detail = "passed", ""
    LOG.runs, LOG.began_s = inject.MADE.runs, time.monotonic()
    faulthandler.dump_traceback_later(SETTINGS["timeout_s"], file=2, exit=True)


def pytest_runtest_logreport(report: Any) -> None:
    """Takes the worst of set-up, call and tear-down."""
    if WORST_LAST.index(report.outcome) > WORST_LAST.index(LOG.outcome):
        LOG.outcome = report.outcome
        LOG.detail = _what(report)[:DETAIL_CHARS_MAX]


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Writes the second line."""
    faulthandler.cancel_dump_traceback_later()
    seconds = time.monotonic() - LOG.began_s
    runs = inject.MADE.runs - LOG.runs
    LOG.write(test=nodeid, outcome=LOG.outcome, detail=LOG.detail, runs=runs, seconds=round(seconds, 3))


def _what(report: Any) -> str:
    """What was raised, and where."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return str(report.longrepr)
    return f"{' '.join(str(crash.message).split())[:400]} ({os.path.basename(crash.path)}:{crash.lineno})"
