"""A package of tests in the manner of CPython's test.test_asyncio, with one test for each way to a loop."""

from __future__ import annotations

from pathlib import Path

UTILS = """
import asyncio, unittest
class TestCase(unittest.TestCase):
    @staticmethod
    def close_loop(loop):
        if loop._default_executor is not None:
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    def check(self, loop):
        self.addCleanup(self.close_loop, loop)
        calls = []
        loop.call_soon(calls.append, 1)
        loop.run_until_complete(asyncio.sleep(0))
        self.assertEqual(calls, [1])
"""

EVENTS = """
import asyncio, selectors, unittest
from tiny import utils

class Mixin:
    def test_hook(self):
        self.check(self.create_event_loop())
class EPollEventLoopTests(Mixin, utils.TestCase):
    def create_event_loop(self):
        return asyncio.SelectorEventLoop(selectors.EpollSelector())
class SelectEventLoopTests(Mixin, utils.TestCase):
    def create_event_loop(self):
        return asyncio.SelectorEventLoop(selectors.SelectSelector())
    def test_prompt_cancellation(self):
        self.check(self.create_event_loop())
    def test_of_asyncio(self):
        self.check(asyncio.SelectorEventLoop())
    def test_without_run(self):
        self.close_loop(asyncio.new_event_loop())
class NewLoopTests(utils.TestCase):
    def new_loop(self):
        return asyncio.SelectorEventLoop()
    def test_new_loop(self):
        self.check(self.new_loop())
class FunctionTests(utils.TestCase):
    def test_new_event_loop(self):
        self.check(asyncio.new_event_loop())
    def test_policy(self):
        asyncio.set_event_loop_policy(None)
        self.check(asyncio.get_event_loop_policy().new_event_loop())
    def test_run(self):
        asyncio.run(asyncio.sleep(0))
    def test_bare(self):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
class IsolatedTests(unittest.IsolatedAsyncioTestCase):
    async def test_isolated(self):
        await asyncio.sleep(0)
"""

ELSEWHERE = "import unittest\nraise unittest.SkipTest('not on this system')\n"

COUNTED = (
    "SelectEventLoopTests::test_hook",
    "SelectEventLoopTests::test_prompt_cancellation",
    "NewLoopTests::test_new_loop",
    "FunctionTests::test_new_event_loop",
    "FunctionTests::test_policy",
    "FunctionTests::test_run",
    "FunctionTests::test_bare",
    "IsolatedTests::test_isolated",
)


def make_suite(folder: Path) -> None:
    """Writes the package `tiny` into a folder."""
    package = folder / "tiny"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "utils.py").write_text(UTILS)
    (package / "test_events.py").write_text(EVENTS)
    (package / "test_elsewhere.py").write_text(ELSEWHERE)
