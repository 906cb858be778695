# real clock
"""Cases of the lifecycle area: what a program that is started would inherit (LIFE-15)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable

from loopcheck.family import family
from loopcheck.kit import Kit

Close = Callable[[], object]


def inheritable() -> set[tuple[int, str]]:
    """Descriptors that a program started without close_fds would have: (number, what it is)."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the directory's own is gone by now
            if os.get_inheritable(int(name)):
                found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
    return found


def connection(kit: Kit) -> Close:
    log = kit.protocol()
    kit.run(kit.loop.create_connection(lambda: log, *kit.listener().getsockname()))
    return lambda: (log.transport.abort(), kit.run(log.until_event("lost")))


def accepted(kit: Kit) -> Close:
    log = kit.protocol()
    server = kit.run(kit.loop.create_server(lambda: log, "127.0.0.1", 0))
    kit.client(server.sockets[0].getsockname())
    kit.run(log.until_event("made"))
    return lambda: (server.close(), log.transport.abort(), kit.run(log.until_event("lost")))


def sock_accept(kit: Kit) -> Close:
    listener = kit.listener()
    kit.client(listener)
    conn, _ = kit.run(kit.loop.sock_accept(listener))
    return kit.own(conn).close


def datagram(kit: Kit) -> Close:
    transport, _ = kit.run(kit.loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)))
    return lambda: (transport.close(), kit.turns(3))


def unix_server(kit: Kit) -> Close:
    server = kit.run(kit.loop.create_unix_server(asyncio.Protocol, f"\0loopcheck-{os.getpid()}"))
    return lambda: (server.close(), kit.turns(3))


def child(kit: Kit) -> Close:
    pipe = subprocess.PIPE
    process = kit.run(asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe, stderr=pipe))
    return lambda: kit.run(process.communicate(b""))


def waking(kit: Kit) -> Close:
    kit.thread(lambda: kit.threadsafe(kit.stop))
    kit.run_forever()
    return int


OPENERS = (waking, connection, accepted, sock_accept, datagram, unix_server, child)


@family("LIFE-15", what={opener.__name__: opener for opener in OPENERS})
def test_not_inherited(kit: Kit, what: Callable[[Kit], Close]) -> None:
    """Nothing that the loop has open would be inherited by a program that anybody starts"""
    before = inheritable()
    close = what(kit)
    left = inheritable() - before
    close()
    kit.equal(sorted(left), [], "inheritable descriptors of the loop")
