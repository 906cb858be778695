"""Children are waited for by pidfds, also where asyncio would choose another way, and no pidfd is left open."""

import asyncio
import os
import signal
import sys

import pytest
from refloop import _children

SLEEPS = ("-c", "import time; time.sleep(60)")


@pytest.fixture(autouse=True)
def by_pidfd(monkeypatch):
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this Python has no pidfds")
    monkeypatch.setattr(_children, "watches_by_pidfd", lambda: True)


def open_fds():
    return len(os.listdir("/proc/self/fd"))


async def start(*words):
    loop = asyncio.get_running_loop()
    return await loop.subprocess_exec(
        asyncio.SubprocessProtocol, sys.executable, *words, stdin=None, stdout=None, stderr=None
    )


async def ended(transport):
    """Its status; a child of which nobody is told would never end otherwise."""
    for _ in range(10_000):
        if transport.get_returncode() is not None:
            break
        await asyncio.sleep(0.001)
    transport.close()
    return transport.get_returncode()


def test_status(loop):
    """A child's status comes, and its pidfd goes."""

    async def main():
        transport, _protocol = await start("-c", "raise SystemExit(3)")
        return await ended(transport)

    before = open_fds()
    assert loop.run_until_complete(main()) == 3
    assert open_fds() == before


def test_somebody_else_has_waited(loop):
    """The status of a child that somebody else waited for is told as 255, as asyncio tells it."""

    async def main():
        transport, _protocol = await start(*SLEEPS)
        transport.kill()
        os.waitpid(transport.get_pid(), 0)
        return await ended(transport)

    assert loop.run_until_complete(main()) == _children.UNREAPED


def test_child_that_outlives_the_loop(loop):
    """The pidfd of a child that lives is closed with the loop."""
    before = open_fds()
    other = type(loop)()
    transport, _protocol = other.run_until_complete(start(*SLEEPS))
    other.close()
    after = open_fds()
    os.kill(transport.get_pid(), 9)
    os.waitpid(transport.get_pid(), 0)
    transport.close()
    assert after == before


def test_cancelled_start(loop):
    """A start that is cancelled ends its child, and has waited for it when it is over."""

    async def main():
        task = asyncio.ensure_future(start(*SLEEPS))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        with pytest.raises(ChildProcessError):
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    loop.run_until_complete(main())


def test_refused_close(loop):
    """A close() that is refused because the loop runs forgets no child."""

    async def main():
        transport, _protocol = await start(*SLEEPS)
        with pytest.raises(RuntimeError):
            loop.close()
        transport.kill()
        return await ended(transport)

    assert loop.run_until_complete(main()) == -signal.SIGKILL


def test_without_a_pidfd(loop, monkeypatch):
    """If there is no pidfd for it the child is ended and waited for, and the caller is told."""

    def refused(pid):
        pids.append(pid)
        raise OSError("planted")

    pids = []
    monkeypatch.setattr(os, "pidfd_open", refused)
    with pytest.raises(OSError, match="planted"):
        loop.run_until_complete(start(*SLEEPS))
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
