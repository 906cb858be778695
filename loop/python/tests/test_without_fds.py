"""Where no fd is to be had the loop says so, loses nothing, and goes on when there is one again."""

import contextlib
import errno
import gc
import os
import resource

import pytest
import refloop


@contextlib.contextmanager
def no_fds():
    """No fd can be opened, though those that are open stay."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def loops_count():
    gc.collect()
    return sum(isinstance(thing, refloop.EventLoop) for thing in gc.get_objects())


def test_loop_that_cannot_be_opened():
    """OSError, and nothing of the loop is left."""
    before = loops_count()
    for _ in range(3):
        with no_fds(), pytest.raises(OSError) as failed:
            refloop.new_event_loop()
        assert failed.value.errno == errno.EMFILE
    del failed
    assert loops_count() == before


def test_child_tries_again(loop):
    """A forked child that gets no set of its own is told why, and never falls back on its parent's."""
    inside, outside = os.pipe()
    loop.add_reader(inside, print)
    child = os.fork()
    if child == 0:
        told = []
        for ask in (loop._run_once, lambda: loop.add_reader(outside, print)):
            try:
                with no_fds():
                    ask()
            except OSError as error:
                told.append(error.errno)
        loop.remove_reader(inside)
        os._exit(7 if told == [errno.EMFILE, errno.EMFILE] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    ran = []
    loop.add_reader(inside, lambda: ran.append(os.read(inside, 1)))
    os.write(outside, b"x")
    loop._run_once()
    loop.remove_reader(inside)
    os.close(inside)
    os.close(outside)
    assert ran == [b"x"]
