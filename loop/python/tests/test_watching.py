"""add_reader and its kin treat files as asyncio does."""

import asyncio
import gc
import os
import socket
import ssl
import weakref

import pytest


@pytest.fixture
def pair():
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


def test_what_is_no_file(loop):
    """ValueError for what has no fd, OSError for an fd that is closed or cannot be watched."""
    for wrong in (object(), "x", -1, 2**70, None):
        with pytest.raises(ValueError):
            loop.add_reader(wrong, print)
        with pytest.raises(ValueError):
            loop.add_writer(wrong, print)
    closed = os.dup(0)
    os.close(closed)
    with pytest.raises(OSError):
        loop.add_reader(closed, print)
    with open(__file__) as file, pytest.raises(PermissionError):
        loop.add_reader(file, print)


def test_remove_says_whether(loop, pair):
    """True once for each watcher, by object or by number; reader and writer are apart."""
    here, _there = pair
    assert not loop.remove_reader(here)
    loop.add_reader(here, print)
    assert not loop.remove_writer(here)
    loop.add_writer(here.fileno(), print)
    assert loop.remove_reader(here.fileno())
    assert not loop.remove_reader(here)
    assert loop.remove_writer(here)


def test_remove_after_close(loop, pair):
    """A watcher of a file that was closed is found by the file itself."""
    here, _there = pair
    loop.add_reader(here, print)
    loop.add_writer(here, print)
    here.close()
    assert loop.remove_reader(here)
    assert loop.remove_writer(here)
    assert not loop.remove_reader(here)


def test_replaced_in_its_own_callback(loop, turn, pair):
    """A reader that replaces itself is let go of; the new one is called in the next turn."""
    here, there = pair
    ran = []

    def second():
        ran.append(2)
        loop.remove_reader(here)

    def first():
        ran.append(1)
        loop.add_reader(here, second)

    found = weakref.ref(first)
    loop.add_reader(here, first)
    del first
    there.send(b"x")
    for _ in range(3):
        turn()
    gc.collect()
    assert ran == [1, 2]
    assert found() is None


def test_end_of_a_callback_removes(loop, pair):
    """A replaced callback whose end removes the watcher, or adds it again, does no harm."""
    here, _there = pair

    class Held:
        def __call__(self):
            pass

        def __del__(self):
            loop.remove_reader(here)
            loop.add_reader(here, print)

    loop.add_reader(here, Held())
    loop.add_reader(here, print)
    loop._check()
    assert loop.remove_reader(here)
    loop._check()


def test_fileno_that_closes_the_loop(loop, pair):
    """fileno() is the user's code: when it closes the loop, the call is refused."""

    class File:
        def fileno(self):
            loop.close()
            return pair[0].fileno()

    with pytest.raises(RuntimeError, match="closed"):
        loop._add_reader(File(), print)


def test_fileno_that_closes_the_loop_and_fails(loop):
    """What fileno() raises after it has closed the loop is not left behind: a closed loop watches nothing."""

    class File:
        def fileno(self):
            loop.close()
            raise ValueError

    assert loop._remove_reader(File()) is False


def test_refused_replacement(loop, pair):
    """A watcher that cannot be added leaves the one that it was to replace."""
    here, _there = pair
    loop.add_reader(here, print)
    with open(__file__) as file:
        twin = os.dup(here.fileno())
        os.dup2(file.fileno(), here.fileno())
        with pytest.raises(PermissionError):
            loop.add_reader(here.fileno(), print)
        watched = loop._watched()
        os.dup2(twin, here.fileno())
        os.close(twin)
    loop.remove_reader(here)
    assert watched.get(here.fileno()) == 1


def test_cycle_through_a_file_is_collected(loop, pair):
    """A loop that nobody closed goes though a file that it watches refers to it."""

    class File:
        def fileno(self):
            return pair[0].fileno()

    other, file = type(loop)(), File()
    file.loop = other
    other.add_reader(file, print)
    found = weakref.ref(other)
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        del other, file
        gc.collect()
    assert found() is None


@pytest.mark.parametrize("cancel", [asyncio.Handle.cancel, lambda handle: handle.cancel()])
def test_cancelled_from_outside(loop, turn, pair, cancel):
    """A handle of _add_reader that is cancelled, in whichever way, takes its watcher with it."""
    here, there = pair
    there.send(b"x")
    ran = []
    handle = loop._add_reader(here, ran.append, 1)
    turn()
    cancel(handle)
    turn()
    assert ran == [1]
    assert here.fileno() not in loop._watched()


def test_watched(loop, pair):
    """What is watched can be asked for, as asyncio's transports do for their repr."""
    here, _there = pair
    loop.add_reader(here, print)
    assert loop._selector.get_key(here).events == 1
    loop.add_writer(here, print)
    assert loop._selector.get_key(here.fileno()).events == 3
    loop.remove_reader(here)
    assert loop._selector.get_key(here).events == 2
    loop.remove_writer(here)
    with pytest.raises(KeyError):
        loop._selector.get_key(here)


def test_hang_up_reaches_both(loop, turn, pair):
    """When the other side goes, reader and writer are called."""
    here, there = pair
    ran = []
    loop.add_reader(here, ran.append, "reader")
    there.close()
    loop.add_writer(here, ran.append, "writer")
    turn()
    assert sorted(ran) == ["reader", "writer"]
    loop.remove_reader(here)
    loop.remove_writer(here)


@pytest.mark.parametrize("options", [{}, {"ssl": ssl.create_default_context(), "server_hostname": "here"}])
def test_socket_of_a_transport_is_refused_to_another(loop, pair, options):
    """RuntimeError, plain and over TLS; the one that has it keeps it."""
    here, there = pair
    reader = asyncio.StreamReader(loop=loop)

    async def main():
        transport, _ = await loop.create_connection(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), sock=here)
        with pytest.raises(RuntimeError, match="used by transport"):
            await asyncio.wait_for(loop.create_connection(asyncio.Protocol, sock=here, **options), 5)
        there.send(b"x")
        assert await asyncio.wait_for(reader.read(1), 5) == b"x"
        transport.abort()

    loop.run_until_complete(main())


def test_socket_of_an_endpoint_is_refused_to_another(loop):
    """RuntimeError; the endpoint that has it keeps it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    async def main():
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        with pytest.raises(RuntimeError, match="used by transport"):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        assert sock.fileno() in loop._watched()
        transport.abort()

    loop.run_until_complete(main())
