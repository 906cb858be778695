"""Every test runs with the C structures examined after each turn."""

import os

os.environ["REFLOOP_CHECK"] = "1"  # before the package is imported

import pytest
import refloop


@pytest.fixture
def loop():
    loop = refloop.new_event_loop()
    yield loop
    if not loop.is_closed():
        loop._check()
    loop.close()


@pytest.fixture
def errors(loop):
    """The contexts that the loop's exception handler got."""
    found = []
    loop.set_exception_handler(lambda _loop, context: found.append(context))
    return found


@pytest.fixture
def turn(loop):
    """Runs one turn of the loop."""

    def run():
        loop.call_soon(loop.stop)
        loop.run_forever()

    return run
