# real clock
"""Cases of what is watched, by which name and how often (FD-9, FD-11): numbers, sockets, files; added anew; refused."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import reset


class HasFileno:
    """Something with a fileno() and nothing else."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def fileno(self) -> int:
        return self.sock.fileno()


FORMS: dict[str, Callable[[socket.socket], Any]] = {
    "number": lambda sock: sock.fileno(),
    "socket": lambda sock: sock,
    "object": HasFileno,
}
SIDES = ("reader", "writer")
HIGH = 1100  # a number that does not fit the set of select()


def ready(kit: Kit) -> socket.socket:
    """A socket that can be read and written."""
    left, right = kit.socketpair()
    kit.put(right)
    return left


@family("FD-11", side=SIDES, added=FORMS)
def test_named_by(kit: Kit, side: str, added: Any) -> None:
    """A watcher may be added by a number, a socket or what has a fileno(), and removed by any of these"""
    for name, removed in FORMS.items():
        sock, calls = ready(kit), list[int]()
        getattr(kit.loop, f"add_{side}")(added(sock), kit.observed(calls.append), 1)
        kit.turns(3)
        kit.check(calls, "no callback")
        getattr(kit.loop, f"remove_{side}")(removed(sock))
        calls.clear()
        kit.turns(3)
        kit.equal(calls, [], f"callbacks after it was removed by {name}")


@family("FD-9", side=SIDES, first=FORMS)
def test_same_function_with_other_arguments(kit: Kit, side: str, first: Any) -> None:
    """A watcher that is replaced by the same function with other arguments calls it with these, by whatever name"""
    for name, second in FORMS.items():
        sock, calls = ready(kit), list[str]()
        append = kit.observed(calls.append)
        getattr(kit.loop, f"add_{side}")(first(sock), append, "old")
        getattr(kit.loop, f"add_{side}")(second(sock), append, "new")
        kit.turns(3)
        kit.equal(set(calls), {"new"}, f"arguments of the callbacks, added again by {name}")
        getattr(kit.loop, f"remove_{side}")(sock)
        kit.turns(1)


WRONG: dict[str, Any] = {"minus_one": -1, "minus": -2, "none": None, "text": "0", "float": 1.0, "closed": None}


@family("FD-11", wrong=tuple(WRONG))
def test_refused(kit: Kit, wrong: str) -> None:
    """What is no descriptor, or one that is closed, is refused with an exception, each time, and others are watched"""
    gone = socket.socket()
    gone.close()
    given = gone if wrong == "closed" else WRONG[wrong]
    kit.turns(1)
    for side in SIDES * 2:
        try:
            getattr(kit.loop, f"add_{side}")(given, print)
        except Exception:
            continue
        kit.fail(f"{given!r} was taken")
    sock, calls = ready(kit), list[int]()
    kit.reader(sock, calls.append, 1)
    kit.turns(3)
    kit.check(calls, "no callback of another")
    kit.remove_reader(sock)


@family("FD-11", method=("add_reader", "add_writer", "remove_reader", "remove_writer"), named=("number", "socket"))
def test_descriptor_of_a_transport(kit: Kit, method: str, named: str) -> None:
    """The descriptor of a transport is not watched beside it: RuntimeError, and the transport works on (uvloop#653)"""
    log, peer = kit.connection()
    sock = log.transport.get_extra_info("socket")
    given = sock.fileno() if named == "number" else HasFileno(sock)
    args = (print,) if method.startswith("add") else ()
    kit.raises(RuntimeError, getattr(kit.loop, method), given, *args)
    kit.put(peer, b"hello")
    kit.run(log.until(lambda: bytes(log.received) == b"hello"))
    log.transport.abort()
    kit.run(log.until_event("lost"))


@family("FD-2", side=SIDES)
def test_callback_that_raises_comes_again(kit: Kit, side: str) -> None:
    """A watcher whose callback raises is called again, and told each time (talyn BUG-170)"""
    kit.errors.clear()
    sock, calls = ready(kit), list[int]()

    def callback() -> None:
        calls.append(1)
        if len(calls) == 3:
            getattr(kit.loop, f"remove_{side}")(sock.fileno())
        raise ValueError("planted")

    getattr(kit.loop, f"add_{side}")(sock.fileno(), kit.observed(callback))
    kit.turns(8)
    kit.equal((len(calls), len(kit.errors)), (3, 3), "calls, and contexts told")


@family("FD-2", side=SIDES)
def test_added_anew_in_its_callback(kit: Kit, side: str) -> None:
    """A watcher that its own callback removes and adds again is called again"""
    sock, calls = ready(kit), list[int]()

    def callback() -> None:
        calls.append(1)
        getattr(kit.loop, f"remove_{side}")(sock.fileno())
        if len(calls) < 4:
            getattr(kit.loop, f"add_{side}")(sock.fileno(), kit.observed(callback))

    getattr(kit.loop, f"add_{side}")(sock.fileno(), kit.observed(callback))
    kit.run_for(0.02)  # a loop that is busy may look at new watchers less often
    kit.equal(len(calls), 4, "calls")


@case("FD-3")
def test_one_side_is_removed_by_the_other(kit: Kit) -> None:
    """Reader and writer of one socket that are ready at once: the one that is removed by the other is not called."""
    for remover, victim in (SIDES, SIDES[::-1]):
        sock, calls = ready(kit), list[str]()

        def removes(
            sock: socket.socket = sock, calls: list[str] = calls, both: tuple[str, str] = (remover, victim)
        ) -> None:
            calls.append(both[0])
            for side in both:
                getattr(kit.loop, f"remove_{side}")(sock.fileno())

        for side in SIDES:
            getattr(kit.loop, f"add_{side}")(sock.fileno(), kit.observed(removes))
        kit.run_for(0.01)  # as above
        kit.equal(len(calls), 1, "callbacks of the two")
    kit.turns(1)


@case("FD-3")
def test_one_side_stays_when_the_other_goes(kit: Kit) -> None:
    """Removing the writer of a descriptor leaves its reader, and the other way round, whatever came first."""
    for stays, goes in (SIDES, SIDES[::-1]):
        sock, calls = ready(kit), list[int]()
        for side in (goes, stays) if stays == "reader" else (stays, goes):
            fn = calls.append if side == stays else int
            getattr(kit.loop, f"add_{side}")(sock.fileno(), kit.observed(fn), 1)
        getattr(kit.loop, f"remove_{goes}")(sock.fileno())
        kit.run_for(0.01)
        kit.check(calls, f"the {stays} went with the {goes}")
        getattr(kit.loop, f"remove_{stays}")(sock.fileno())
    kit.turns(1)


@family("FD-2", kind=("pipe", "socketpair", "tcp"))
def test_full_and_left(kit: Kit, kind: str) -> None:
    """The writer of what is full is called when the other end goes, though nothing will ever be taken"""
    if kind == "pipe":
        other, own = (os.fdopen(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        os.set_blocking(own.fileno(), False)
    else:
        own, other = kit.tcp_pair() if kind == "tcp" else socket.socketpair()
        own.setblocking(False)
    kit.fill(own.fileno())
    kit.writer(own, lambda: (kit.remove_writer(own), kit.stop()))
    kit.soon(reset if kind == "tcp" else type(other).close, other)
    kit.run_forever()
    own.close()


@case("FD-2")
def test_both_sides_stay_ready(kit: Kit) -> None:
    """Of a socket that stays readable and writable neither the reader nor the writer keeps the other waiting."""
    sock, calls = ready(kit), {"reader": 0, "writer": 0}

    def count(side: str) -> None:
        calls[side] += 1

    for side in SIDES:
        getattr(kit.loop, f"add_{side}")(sock.fileno(), kit.observed(lambda side=side: count(side)))
    kit.turns(10)
    for side in SIDES:
        getattr(kit.loop, f"remove_{side}")(sock.fileno())
    kit.check(min(calls.values()) >= 3, f"calls in ten turns: {calls}")


@case("FD-6")
def test_urgent_data(kit: Kit) -> None:
    """Urgent data (MSG_OOB) alone calls no reader: there is nothing to read (libuv#1040)."""
    given, peer = kit.tcp_pair()
    kit.own(given)
    calls: list[bytes] = []
    kit.reader(given, lambda: (calls.append(given.recv(10)), kit.stop()))
    peer.send(b"!", socket.MSG_OOB)
    kit.run_for(0.005)
    kit.equal(calls, [], "calls of the watcher")
    kit.put(peer, b"x")
    kit.run_forever()
    kit.remove_reader(given)
    kit.equal(calls, [b"x"], "what was read")


@family("FD-11", side=SIDES)
def test_high_descriptor(kit: Kit, side: str) -> None:
    """A descriptor of 1024 or more, which select() cannot take, is watched like any other (cpython gh-81324)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < HIGH + 50:
        kit.skip(f"a process may have no more than {hard} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, HIGH + 50), hard))
    sock, calls = ready(kit), list[int]()
    with socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH)) as high:
        getattr(kit, side)(high.fileno(), lambda: (calls.append(1), kit.stop()))
        kit.run_forever()
        getattr(kit, f"remove_{side}")(high.fileno())
    kit.check(calls, "no callback")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def eventfd(kit: Kit) -> tuple[int, Callable[[], object]]:
    number = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    return number, lambda: os.eventfd_write(number, 1)


def pidfd(kit: Kit) -> tuple[int, Callable[[], object]]:
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    return os.pidfd_open(child.pid), lambda: (child.communicate(), None)


def terminal(kit: Kit) -> tuple[int, Callable[[], object]]:
    ours, theirs = needs.terminal(kit)
    return ours, lambda: (os.write(theirs, b"x"), os.close(theirs))


def inner_epoll(kit: Kit) -> tuple[int, Callable[[], object]]:
    left, right = kit.socketpair()
    inner = select.epoll()
    inner.register(left, select.EPOLLIN)
    return os.dup(inner.fileno()), lambda: (kit.put(right), inner.close())


def datagrams(kit: Kit) -> tuple[int, Callable[[], object]]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return left.detach(), lambda: kit.own(right).send(b"x")


def clients(kit: Kit) -> tuple[int, Callable[[], object]]:
    listener = kit.listener()
    return os.dup(listener.fileno()), lambda: kit.client(listener)


@family("FD-11", kind={kind.__name__: kind for kind in (eventfd, pidfd, terminal, inner_epoll, datagrams, clients)})
def test_kinds_of_descriptors(kit: Kit, kind: Any) -> None:
    """Whatever the kernel can wait for can be watched: no callback before it is ready, one when it is (libuv#4164)"""
    if kind is eventfd and not hasattr(os, "eventfd"):
        kit.skip("this Python has no eventfd")
    number, make_ready = kind(kit)
    calls: list[int] = []
    kit.reader(number, lambda: (calls.append(1), kit.stop()))
    kit.run_for(0.003)
    kit.equal(calls, [], "calls before it was ready")
    made = make_ready()
    kit.run_forever()
    kit.remove_reader(number)
    os.close(number)
    kit.check(calls, "no call when it was ready")
    del made


@family("FD-2", side=SIDES)
def test_busy_descriptors_starve_no_other(kit: Kit, side: str) -> None:
    """Each of many descriptors that are ready, and stay so, is served, the highest number like the lowest"""
    socks, served = [ready(kit) for _ in range(20)], set[int]()
    for number, sock in enumerate(socks):
        getattr(kit, side)(sock, served.add, number)
    kit.turns(6)
    for sock in socks:
        getattr(kit.loop, f"remove_{side}")(sock.fileno())
    kit.equal(served, set(range(20)), "descriptors that were served")
