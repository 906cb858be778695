# real clock
"""Cases of the watchers area: add_reader and add_writer (FD-*). The sock_* calls are in test_socks.py."""

from __future__ import annotations

import os
import socket

from loopcheck.kit import Kit, case

IDLE_S = 0.05  # how long a case looks on while nothing may happen


def pipe_at(kit: Kit, number: int) -> tuple[int, int]:
    """A pipe whose read end has the fd `number`, which was just closed."""
    read_end, write_end = kit.pipe()
    kit.check(read_end == number, "the kit expected the lowest free fd number")
    return read_end, write_end


@case("FD-1")
def test_idle_listener(kit: Kit) -> None:
    """An idle listening socket calls nobody back; once a client connects it does, and the user's own accept()
    then succeeds (T1, T2)."""
    listener = kit.listener()
    calls: list[int] = []
    kit.reader(listener, lambda: (calls.append(1), kit.stop()))
    kit.later(0.1, kit.stop)
    kit.run_forever()
    kit.equal(len(calls), 0, "callbacks of an idle listener in 100 ms")
    client = kit.client(listener)
    kit.run_forever()
    kit.check(calls, "no callback after a client connected", rule="FD-2")
    try:
        accepted, address = listener.accept()
    except BlockingIOError:
        kit.fail("the connection was gone when the user accepted it", rule="FD-5")
    kit.own(accepted)
    kit.equal(address, client.getsockname(), "address of the accepted client")


@case("FD-1")
def test_reader_of_nothing(kit: Kit) -> None:
    """Readers of an empty pipe, an idle socket pair and an idle datagram socket are not called."""
    calls: list[str] = []
    datagrams = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    datagrams.bind(("127.0.0.1", 0))
    for name, fd in (("pipe", kit.pipe()[0]), ("pair", kit.socketpair()[0]), ("datagrams", datagrams)):
        kit.reader(fd, calls.append, name)
    kit.run_for(IDLE_S)
    kit.equal(calls, [], "callbacks of readers with nothing to read")


@case("FD-1")
def test_writer_of_a_full_pipe(kit: Kit) -> None:
    """The writer of a full pipe is not called before somebody reads."""
    calls: list[int] = []
    read_end, write_end = kit.pipe()
    kit.fill(write_end)
    kit.writer(write_end, lambda: (calls.append(1), kit.remove_writer(write_end), kit.stop()))
    kit.run_for(IDLE_S)
    kit.equal(len(calls), 0, "callbacks of the writer of a full pipe")
    os.read(read_end, 1 << 20)
    kit.run_forever()
    kit.equal(len(calls), 1, "callbacks after somebody read")


@case("FD-1")
def test_quiet_after_the_last_byte(kit: Kit) -> None:
    """A reader that took the last byte is not called again until there is another."""
    read_end, write_end = kit.pipe()
    got: list[bytes] = []

    def readable() -> None:
        try:
            got.append(os.read(read_end, 100))
        except BlockingIOError:
            kit.fail("called with nothing to read")

    kit.reader(read_end, readable)
    for data in (b"one", b"two"):
        kit.put(write_end, data)
        kit.run_for(IDLE_S)
    kit.equal(got, [b"one", b"two"], "reads")


@case("FD-1")
def test_add_reader_never_calls_at_once(kit: Kit) -> None:
    """add_reader and add_writer return before the callback runs, though the fd is ready."""
    left, right = kit.socketpair()
    kit.put(right)
    calls: list[str] = []

    def inside() -> None:
        kit.reader(left, lambda: (calls.append("read"), kit.remove_reader(left)))
        kit.writer(left, lambda: (calls.append("write"), kit.remove_writer(left)))
        kit.check(not calls, "called back from within the call")

    kit.soon(inside)
    kit.run_for(0.02)
    kit.equal(sorted(calls), ["read", "write"], "callbacks")


@case("FD-2")
def test_level_triggered_reader(kit: Kit) -> None:
    """A reader that takes one byte a call is called until none is left."""
    read_end, write_end = kit.pipe()
    kit.put(write_end, b"abcdefgh")
    got = bytearray()

    def readable() -> None:
        got.extend(os.read(read_end, 1))
        if len(got) == 8:
            kit.stop()

    kit.reader(read_end, readable)
    kit.run_forever()
    kit.equal(bytes(got), b"abcdefgh", "bytes")


@case("FD-2")
def test_level_triggered_over_runs(kit: Kit) -> None:
    """An fd that stays ready is reported in each run, and again after the watcher was removed and added."""
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    calls: list[int] = []
    kit.reader(read_end, lambda: (calls.append(1), kit.stop()))
    kit.run_forever()
    kit.run_forever()
    kit.remove_reader(read_end)
    kit.reader(read_end, lambda: (calls.append(2), kit.stop()))
    kit.run_forever()
    kit.check(calls.count(1) >= 2 and calls[-1] == 2, f"callbacks {calls}")


@case("FD-2")
def test_ready_before_and_after_add(kit: Kit) -> None:
    """Data that was there before add_reader is reported like data that comes later."""
    for is_before in (True, False):
        read_end, write_end = kit.pipe()
        if is_before:
            kit.put(write_end)
        kit.reader(read_end, lambda fd=read_end: (os.read(fd, 9), kit.stop()))
        if not is_before:
            kit.thread(lambda fd=write_end: kit.put(fd))
        kit.run_forever()
        kit.remove_reader(read_end)


@case("FD-2")
def test_writer_is_called_while_writable(kit: Kit) -> None:
    """The writer of a socket with room is called again and again."""
    left, _ = kit.socketpair()
    calls: list[int] = []
    kit.writer(left, lambda: (calls.append(1), kit.stop() if len(calls) == 5 else None))
    kit.run_forever()
    kit.check(len(calls) >= 5, "the writer was not called five times")


@case("FD-2")
def test_end_of_file_is_readable(kit: Kit) -> None:
    """The end of a pipe and of a connection are reported to the reader."""
    read_end, write_end = kit.pipe()
    kit.reader(read_end, kit.stop)
    os.close(write_end)
    kit.run_forever()
    kit.equal(os.read(read_end, 1), b"", "what a reader finds at the end of a pipe")
    kit.remove_reader(read_end)
    left, right = kit.socketpair()
    kit.reader(left, kit.stop)
    right.close()
    kit.run_forever()
    kit.equal(left.recv(1), b"", "what a reader finds at the end of a connection")
    kit.remove_reader(left)


@case("FD-2")
def test_error_is_reported_and_the_reader_stays(kit: Kit) -> None:
    """A pending socket error calls the reader, and later data does so again (zuvloop#45)."""
    peer = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    peer.bind(("127.0.0.1", 0))
    address = peer.getsockname()
    peer.close()
    sock = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.connect(address)
    sock.send(b"to nobody")  # the kernel answers: connection refused
    kit.reader(sock, kit.stop)
    kit.run_forever()
    kit.raises(ConnectionRefusedError, sock.recv, 10)
    peer = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    peer.bind(address)
    peer.sendto(b"hello", sock.getsockname())
    kit.run_forever()
    kit.equal(sock.recv(10), b"hello", "datagram after the error")


@case("FD-2")
def test_many_fds(kit: Kit) -> None:
    """Each of sixty pipes that become ready together is served."""
    pipes = [kit.pipe() for _ in range(60)]
    got: set[int] = set()

    def readable(i: int) -> None:
        got.add(os.read(pipes[i][0], 1)[0])
        if len(got) == len(pipes):
            kit.stop()

    for i, (read_end, write_end) in enumerate(pipes):
        kit.reader(read_end, readable, i)
        kit.put(write_end, bytes([i]))
    kit.run_forever()
    kit.equal(got, set(range(60)), "pipes served")


@case("FD-3")
def test_removed_in_its_own_callback(kit: Kit) -> None:
    """A reader that removes itself is not called again though its fd stays ready."""
    read_end, write_end = kit.pipe()
    kit.put(write_end)
    calls: list[int] = []
    kit.reader(read_end, lambda: (calls.append(1), kit.remove_reader(read_end)))
    kit.run_for(0.02)
    kit.equal(len(calls), 1, "calls")


@case("FD-3")
def test_removed_by_another_watcher_of_the_batch(kit: Kit) -> None:
    """Of two fds that are ready together the first callback may still remove the second watcher."""
    calls: list[str] = []
    fds = []
    for name in ("a", "b"):
        read_end, write_end = kit.pipe()
        kit.put(write_end)
        fds.append(read_end)

        def readable(name: str = name) -> None:
            calls.append(name)
            for fd in fds:
                kit.remove_reader(fd)

        kit.reader(read_end, readable)
    kit.run_for(0.02)
    kit.equal(len(calls), 1, "callbacks of two watchers, the first of which removed both")


@case("FD-3")
def test_removed_before_the_run_and_by_a_callback(kit: Kit) -> None:
    """A ready watcher removed at top level is never called, and one that a soon callback removes not after that."""
    calls: list[str] = []
    for how in ("top", "soon"):
        left, right = kit.socketpair()
        kit.put(right)
        kit.reader(left, calls.append, how + " reader")
        kit.writer(left, calls.append, how + " writer")
        if how == "top":
            kit.remove_reader(left)
            kit.remove_writer(left)
        else:
            kit.soon(lambda fd=left: (kit.remove_reader(fd), kit.remove_writer(fd), calls.append("removed")))
    kit.run_for(0.02)
    kit.check("top reader" not in calls and "top writer" not in calls, f"callbacks of removed watchers: {calls}")
    kit.equal(calls[calls.index("removed") :], ["removed"], "callbacks after the removal")


@case("FD-3")
def test_removing_one_side_leaves_the_other(kit: Kit) -> None:
    """remove_writer takes the writer alone, remove_reader the reader alone (gevent#1144)."""
    left, right = kit.socketpair()
    calls: list[str] = []
    kit.put(right)
    kit.reader(left, lambda: (calls.append("read"), kit.stop()))
    kit.writer(left, calls.append, "write")
    kit.remove_writer(left)
    kit.run_forever()
    kit.equal(set(calls), {"read"}, "callbacks after remove_writer")
    kit.writer(left, lambda: (calls.append("write"), kit.stop()))
    kit.remove_reader(left)
    calls.clear()
    kit.run_forever()
    kit.equal(set(calls), {"write"}, "callbacks after remove_reader")


@case("FD-4")
def test_new_owner_of_the_number(kit: Kit) -> None:
    """After remove_reader and close, data for the next owner of the fd number calls nobody (pyuv#54)."""
    read_end, write_end = kit.pipe()
    calls: list[str] = []
    kit.reader(read_end, calls.append, "old")
    kit.put(write_end)
    kit.run_for(0.005)
    kit.check(calls, "the reader was not called", rule="FD-2")
    kit.remove_reader(read_end)
    os.close(read_end)
    calls.clear()
    _, new_write_end = pipe_at(kit, read_end)
    kit.put(new_write_end)
    kit.run_for(0.02)
    kit.equal(calls, [], "callbacks after the number changed hands")


@case("FD-4")
def test_new_watcher_of_the_number(kit: Kit) -> None:
    """A new watcher on a reused fd number gets the new fd's events, and the old callback none (libuv c9406ba0e)."""
    calls: list[str] = []
    number = -1
    for i in range(4):
        read_end, write_end = kit.pipe() if number < 0 else pipe_at(kit, number)
        kit.reader(read_end, lambda i=i: (calls.append(str(i)), kit.stop()))
        kit.put(write_end)
        kit.run_forever()
        kit.equal(set(calls), {str(i)}, "callbacks")
        kit.remove_reader(read_end)
        os.close(read_end)
        calls.clear()
        number = read_end


@case("FD-4")
def test_number_reused_within_a_batch(kit: Kit) -> None:
    """An event that was collected for an fd is not given to the fd that took its number in the same batch."""
    calls: list[str] = []
    ends = [kit.pipe(), kit.pipe()]

    def first(mine: int, other: int) -> None:
        kit.remove_reader(mine)
        kit.remove_reader(other)
        os.close(other)
        fresh, _ = pipe_at(kit, other)
        kit.reader(fresh, calls.append, "fresh")  # nothing to read
        calls.append("first")

    kit.reader(ends[0][0], first, ends[0][0], ends[1][0])
    kit.reader(ends[1][0], first, ends[1][0], ends[0][0])
    for _, write_end in ends:
        kit.put(write_end)
    kit.run_for(0.02)
    kit.equal(calls, ["first"], "callbacks")


@case("FD-5")
def test_bytes_are_left_to_the_user(kit: Kit) -> None:
    """A watcher takes nothing of what it reports: the user reads every byte."""
    got: list[bytes] = []
    read_end, write_end = kit.pipe()
    left, right = kit.socketpair()
    kit.reader(read_end, lambda: (got.append(os.read(read_end, 100)), kit.remove_reader(read_end)))
    kit.reader(left, lambda: (got.append(left.recv(100)), kit.remove_reader(left)))
    kit.put(write_end, b"through a pipe")
    kit.put(right, b"through a socket")
    kit.run_for(0.02)
    kit.equal(sorted(got), [b"through a pipe", b"through a socket"], "what the user read")


@case("FD-5")
def test_every_connection_is_left_to_the_user(kit: Kit) -> None:
    """Of five clients that connect to a watched listener the user accepts all five (T2)."""
    listener = kit.listener()
    accepted: set[object] = set()

    def readable() -> None:
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            kit.fail("the reader was called and there was no connection to accept")
        kit.own(sock)
        accepted.add(address)
        if len(accepted) == 5:
            kit.stop()

    kit.reader(listener, readable)
    clients = [kit.client(listener) for _ in range(5)]
    kit.run_forever()
    kit.equal(accepted, {c.getsockname() for c in clients}, "clients accepted")


@case("FD-6")
def test_reader_is_not_told_of_room_to_write(kit: Kit) -> None:
    """A reader is not called because its fd is writable, nor a writer because it is readable."""
    calls: list[str] = []
    left, right = kit.socketpair()
    kit.reader(left, calls.append, "read")
    kit.run_for(0.02)
    kit.equal(calls, [], "calls of a reader whose fd is only writable")
    kit.remove_reader(left)
    kit.fill(right)
    kit.put(left)  # right is readable and full
    kit.writer(right, calls.append, "write")
    kit.run_for(0.02)
    kit.equal(calls, [], "calls of a writer whose fd is only readable")


@case("FD-6")
def test_reader_and_writer_on_one_fd(kit: Kit) -> None:
    """With both on one fd each gets its own event: room calls the writer alone, data the reader too."""
    left, right = kit.socketpair()
    calls: list[str] = []

    def note(name: str) -> None:
        calls.append(name)

    kit.reader(left, note, "read")
    kit.writer(left, note, "write")
    kit.run_for(0.005)
    kit.equal(set(calls), {"write"}, "callbacks while there is room and no data")
    kit.put(right)
    kit.run_for(0.005)
    kit.equal(set(calls), {"write", "read"}, "callbacks while there is room and data")


@case("FD-7")
def test_blocking_mode_is_left_alone(kit: Kit) -> None:
    """Watching a blocking fd leaves it blocking, while it is watched and afterwards (uvloop#712)."""
    read_end, write_end = kit.pipe()
    left, _ = kit.socketpair()
    fds = [read_end, write_end, left.fileno()]
    for fd in fds:
        os.set_blocking(fd, True)
    kit.reader(read_end, kit.stop)
    kit.writer(write_end, kit.stop)
    kit.reader(left, kit.stop)
    kit.run_forever()
    kit.check(all(os.get_blocking(fd) for fd in fds), "a watched fd was made non-blocking")
    kit.remove_reader(read_end)
    kit.remove_writer(write_end)
    kit.remove_reader(left)
    kit.turns(2)
    kit.check(all(os.get_blocking(fd) for fd in fds), "an fd was non-blocking after it was watched")


@case("FD-8", needs_run=False)
def test_remove_says_whether_it_removed(kit: Kit) -> None:
    """remove_reader and remove_writer are true exactly when there was one to remove."""
    left, _ = kit.socketpair()
    for add, remove in ((kit.reader, kit.remove_reader), (kit.writer, kit.remove_writer)):
        kit.check(not remove(left), "removing what was never added said True")
        add(left, kit.stop)
        kit.check(remove(left) is True, "removing a watcher did not say True")
        kit.check(not remove(left), "removing a second time said True")
    kit.reader(left, kit.stop)
    kit.check(not kit.remove_writer(left), "remove_writer said True for a reader")
    kit.check(kit.remove_reader(left.fileno()), "a socket's watcher cannot be removed by its fd number")
    kit.writer(left, kit.stop)
    kit.check(not kit.remove_reader(left), "remove_reader said True for a writer")
    kit.remove_writer(left)


@case("FD-9")
def test_second_reader_replaces_the_first(kit: Kit) -> None:
    """Adding a reader again replaces callback and arguments; one remove then suffices."""
    read_end, write_end = kit.pipe()
    calls: list[str] = []
    kit.reader(read_end, calls.append, "old")
    kit.reader(read_end, lambda name: (calls.append(name), kit.stop()), "new")
    kit.put(write_end)
    kit.run_forever()
    kit.equal(set(calls), {"new"}, "callbacks")
    kit.remove_reader(read_end)
    calls.clear()
    kit.run_for(0.01)
    kit.equal(calls, [], "callbacks after one remove_reader")


@case("FD-9")
def test_replaced_while_ready(kit: Kit) -> None:
    """A reader or writer that a callback replaces in the batch in which it is due is not called after that."""
    left, right = kit.socketpair()
    kit.put(right)
    calls: list[str] = []

    def replace() -> None:
        calls.clear()  # some loops call watchers before what is asked for with call_soon
        kit.reader(left, lambda: (calls.append("new reader"), kit.remove_reader(left)))
        kit.writer(left, lambda: (calls.append("new writer"), kit.remove_writer(left)))

    kit.reader(left, calls.append, "old reader")
    kit.writer(left, calls.append, "old writer")
    kit.soon(replace)
    kit.run_for(0.02)
    kit.equal(sorted(calls), ["new reader", "new writer"], "callbacks")


@case("FD-9")
def test_replaced_callback_may_remove(kit: Kit) -> None:
    """A callback object whose finaliser removes the reader does not upset the one that replaced it (zuvloop#15a)."""
    read_end, write_end = kit.pipe()

    class Remover:
        def __call__(self) -> None: ...

        def __del__(self) -> None:
            kit.loop.remove_reader(read_end)

    kit.loop.add_reader(read_end, Remover())
    kit.loop.add_reader(read_end, kit.stop)  # drops the Remover, which removes a reader
    kit.loop.remove_reader(read_end)
    kit.reader(read_end, kit.stop)
    kit.put(write_end)
    kit.run_forever()
