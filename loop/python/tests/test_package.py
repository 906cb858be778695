"""The package's own interface: run, install, policy; its place in other interpreters."""

import asyncio
import subprocess
import sys

import pytest
import refloop


def python(program, *options):
    """The output of a fresh interpreter that ran the program without a word on stderr."""
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


async def name_of_loop():
    return type(asyncio.get_running_loop()).__module__


def test_run():
    """run is asyncio.run on this loop: result, exceptions, debug, refusal inside a loop."""
    assert refloop.run(name_of_loop()) == "refloop._loop"

    async def debug():
        coroutine = name_of_loop()
        with pytest.raises(RuntimeError):
            refloop.run(coroutine)
        coroutine.close()
        return asyncio.get_running_loop().get_debug()

    assert refloop.run(debug(), debug=True)
    with pytest.raises((ValueError, TypeError)):
        refloop.run(print)


def test_run_cleans_up():
    """Tasks that are left are cancelled, generators end."""
    ended = []

    async def left():
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(1)

    async def main():
        asyncio.create_task(left())
        await asyncio.sleep(0)

    refloop.run(main())
    assert ended == [1]


def test_import_is_silent():
    """Importing the package warns of nothing, on any Python; the policy is made when it is asked for."""
    assert python("import refloop, sys; print('refloop._policy' in sys.modules)", "-W", "error") == "False\n"


@pytest.mark.skipif(not hasattr(asyncio, "DefaultEventLoopPolicy"), reason="this Python has no policies")
def test_install():
    """After install() new loops are ours."""
    program = "import refloop, asyncio; refloop.install(); loop = asyncio.new_event_loop(); print(loop); loop.close()"
    assert python(program).startswith("<EventLoop ")
    policy = refloop.EventLoopPolicy()
    loop = policy.new_event_loop()
    assert isinstance(loop, refloop.EventLoop)
    loop.close()


def test_no_such_name():
    """Other names are no part of the package."""
    with pytest.raises(AttributeError):
        _ = refloop.no_such_name


def test_subinterpreter():
    """The package runs in another interpreter of the process, beside the first."""
    interpreters = pytest.importorskip("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    # No task waits there: asyncio's own leak then, of CPython 3.13.0, is seen by LeakSanitizer.
    program = (
        "import refloop\n"
        "loop = refloop.new_event_loop()\n"
        "loop.call_later(0.001, loop.stop)\n"
        "loop.run_forever()\n"
        "loop.close()\n"
        "async def seven():\n return 7\n"
        "assert refloop.run(seven()) == 7\n"
    )
    first = interpreters.create()
    try:
        assert not interpreters.run_string(first, program)
        assert refloop.run(asyncio.sleep(0, 5)) == 5
    finally:
        interpreters.destroy(first)


@pytest.mark.parametrize(
    "slots",
    [
        "class Handle:\n __slots__ = ['_zero', *asyncio.Handle.__slots__]",
        "class Handle:\n __slots__ = [slot for slot in asyncio.Handle.__slots__ if slot != '_repr']",
        "class Repr:\n __slots__ = ['_repr']\n"
        "class Handle(Repr):\n __slots__ = [slot for slot in asyncio.Handle.__slots__ if slot != '_repr']",
    ],
)
def test_unknown_layout(slots):
    """A Python whose asyncio.Handle has other slots is refused with a sentence, not with a crash."""
    program = (
        f"import asyncio.events\n{slots}\n"
        "asyncio.events.Handle = Handle\n"
        "try:\n import refloop\n"
        "except ImportError as error: print(error)\n"
    )
    assert "does not know this Python's layout" in python(program)
