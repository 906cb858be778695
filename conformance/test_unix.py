# real clock
"""Cases of servers and clients on UNIX sockets (UNIX-*)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log

PATTERN = bytes(range(256)) * 4096  # 1 MiB


@contextlib.contextmanager
def socket_path() -> Iterator[str]:
    """A path where a socket may be made."""
    with tempfile.TemporaryDirectory() as directory:
        yield f"{directory}/socket"


async def serve(kit: Kit, path: Any, **options: Any) -> tuple[Any, Log]:
    """A server for one client, and the protocol that the client will get."""
    inside = kit.protocol(data=lambda log, data: log.transport.write(data))
    return await kit.loop.create_unix_server(lambda: inside, path, **options), inside


async def hello(kit: Kit, inside: Log, path: Any, **options: Any) -> bytes:
    """What a client gets back; both ends are closed."""
    log = kit.protocol()
    await kit.loop.create_unix_connection(lambda: log, path, **options)
    log.transport.write(b"hello")
    await log.until(lambda: len(log.received) == 5)
    log.transport.close()
    await log.until_event("lost")
    await inside.until_event("lost")
    return bytes(log.received)


@family("UNIX-1", form={"str": str, "bytes": os.fsencode, "path": Path})
def test_forms_of_a_path(kit: Kit, form: Any) -> None:
    """A path may be str, bytes or a Path, for the server and for the client"""

    async def main(path: str) -> bytes:
        server, inside = await serve(kit, form(path))
        got = await hello(kit, inside, form(path))
        server.close()
        return got

    with socket_path() as path:
        kit.equal(kit.run(main(path)), b"hello", "answer")


@case("UNIX-1")
def test_server_that_does_not_serve_yet(kit: Kit) -> None:
    """create_unix_server(start_serving=False) serves nobody before start_serving() (uvloop#211)."""

    async def main(path: str) -> tuple[bool, bytes]:
        server, inside = await serve(kit, path, start_serving=False)
        early = server.is_serving()
        await server.start_serving()
        got = await hello(kit, inside, path)
        server.close()
        return early, got

    with socket_path() as path:
        kit.equal(kit.run(main(path)), (False, b"hello"), "is_serving() before, and the answer after")


@case("UNIX-1")
def test_backlog_of_a_server(kit: Kit) -> None:
    """No more clients than the backlog and one can connect to a server that accepts none yet (uvloop PR#205)."""

    async def main(path: str) -> int:
        server = await kit.loop.create_unix_server(asyncio.Protocol, path, backlog=2)
        count = 0
        with contextlib.ExitStack() as opened, contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            for _ in range(20):
                client = opened.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(path)
                count += 1
        server.close()
        await asyncio.sleep(0.005)
        return count

    with socket_path() as path:
        kit.check(1 <= (count := kit.run(main(path))) <= 3, f"{count} connections with a backlog of 2")


@family("UNIX-1", name={"str": "\0loopcheck-{}", "zeros": "\0loopcheck-{}\0\0", "spaces": "\0loop check {} "})
def test_abstract_names(kit: Kit, name: str) -> None:
    """An abstract name is taken whole, zeros and all, by server and client (uvloop#528)"""
    address = name.format(os.getpid())

    async def main() -> tuple[bytes, str]:
        server, inside = await serve(kit, address)
        bound = server.sockets[0].getsockname()
        got = await hello(kit, inside, address)
        server.close()
        return got, bound

    kit.equal(kit.run(main()), (b"hello", os.fsencode(address)), "answer and name")


@family("UNIX-1", side=("client", "server"))
def test_given_socket(kit: Kit, side: str) -> None:
    """sock= serves for the server and for the client"""

    async def main(path: str) -> bytes:
        given = socket.socket(socket.AF_UNIX)
        if side == "server":
            given.bind(path)
            server, inside = await serve(kit, None, sock=given)
            got = await hello(kit, inside, path)
        else:
            server, inside = await serve(kit, path)
            given.connect(path)
            got = await hello(kit, inside, None, sock=given)
        server.close()
        return got

    with socket_path() as path:
        kit.equal(kit.run(main(path)), b"hello", "answer")


@case("UNIX-1")
def test_megabyte_over_a_unix_socket(kit: Kit) -> None:
    """A megabyte goes there and back, with both ends knowing the path."""

    async def main(path: str) -> tuple[bool, str]:
        server, inside = await serve(kit, path)
        log = kit.protocol()
        await kit.loop.create_unix_connection(lambda: log, path)
        peer = log.transport.get_extra_info("peername")
        log.transport.write(PATTERN)
        await log.until(lambda: len(log.received) == len(PATTERN))
        log.transport.close()
        await log.until_event("lost")
        await inside.until_event("lost")
        server.close()
        return bytes(log.received) == PATTERN, peer

    with socket_path() as path:
        kit.equal(kit.run(main(path)), (True, path), "are the bytes right, and peername")


@case("UNIX-1")
def test_unix_streams(kit: Kit) -> None:
    """start_unix_server and open_unix_connection carry lines to eight clients at once."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    async def ask(path: str, number: int) -> bytes:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"client %d\n" % number)
        got = await reader.read()
        writer.close()
        await writer.wait_closed()
        return got

    async def main(path: str) -> list[bytes]:
        server = await asyncio.start_unix_server(answer, path)
        got = await asyncio.gather(*(ask(path, i) for i in range(8)))
        server.close()
        return list(got)

    with socket_path() as path:
        kit.equal(kit.run(main(path)), [b"CLIENT %d\n" % i for i in range(8)], "answers")


@case("UNIX-1")
def test_closed_unix_server(kit: Kit) -> None:
    """After close() nobody listens at the path."""

    async def main(path: str) -> None:
        server, _ = await serve(kit, path)
        server.close()
        await asyncio.sleep(0.005)

    with socket_path() as path:
        kit.run(main(path))
        with socket.socket(socket.AF_UNIX) as client:
            kit.raises(OSError, client.connect, path)


@case("UNIX-2")
def test_path_of_another_server(kit: Kit) -> None:
    """Closing a server whose path was taken over leaves the path to its new owner (zuvloop@495fd91)."""

    async def main(path: str) -> bytes:
        first, _ = await serve(kit, path)
        os.unlink(path)
        second, inside = await serve(kit, path)
        first.close()
        await asyncio.sleep(0.005)
        got = await hello(kit, inside, path)
        second.close()
        return got

    with socket_path() as path:
        kit.equal(kit.run(main(path)), b"hello", "answer of the second server")


@case("UNIX-2")
def test_file_in_the_way(kit: Kit) -> None:
    """create_unix_server does not take away a file that is no socket, nor a directory: it raises OSError."""
    with socket_path() as path:
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        error = kit.raises(OSError, lambda: kit.run(serve(kit, path)))
        kit.equal(getattr(error, "errno", None), errno.EADDRINUSE, "errno")
        kit.check(path in str(error), f"the path is not named: {error}")
        kit.check(stat.S_ISREG(os.stat(path).st_mode), "the file is gone")
        kit.raises(OSError, lambda: kit.run(serve(kit, os.path.dirname(path))))


@family("UNIX-2", fault=("nobody", "missing", "refused", "no_directory", "too_long"))
def test_failing_connect(kit: Kit, fault: str) -> None:
    """A client at a path where nobody listens gets the OSError that the kernel has for it, and no fd is left"""

    async def connect(path: str) -> None:
        await kit.loop.create_unix_connection(asyncio.Protocol, path)

    with socket_path() as path:
        if fault == "refused":
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(path)
        elif fault == "nobody":
            Path(path).touch()
        wrong = {"no_directory": f"{path}/x", "too_long": path + "x" * 200}.get(fault, path)
        kind = {"missing": FileNotFoundError, "no_directory": FileNotFoundError, "too_long": OSError}
        for _ in range(3):
            kit.raises(kind.get(fault, ConnectionRefusedError), lambda: kit.run(connect(wrong)))
        kit.turns(3)


@family("UNIX-2", wrong=("nothing", "both", "not_a_unix_socket", "too_long", "no_directory"))
def test_failing_server(kit: Kit, wrong: str) -> None:
    """A server that cannot be made raises ValueError or OSError, and leaves no fd (zuvloop@7202af2)"""
    unix, other = kit.own(socket.socket(socket.AF_UNIX)), kit.own(socket.socket())
    with socket_path() as path:
        options: dict[str, dict[str, Any]] = {
            "nothing": {},
            "both": {"path": path, "sock": unix},
            "not_a_unix_socket": {"sock": other},
            "too_long": {"path": path + "x" * 200},
            "no_directory": {"path": f"{path}/x"},
        }
        for _ in range(3):
            try:
                kit.run(kit.loop.create_unix_server(asyncio.Protocol, **options[wrong]))
            except (ValueError, OSError):
                continue
            kit.fail(f"{options[wrong]} was accepted")


@case("UNIX-1")
def test_descriptors_that_nobody_asked_for(kit: Kit) -> None:
    """Descriptors that a peer sends along (SCM_RIGHTS) with its bytes are not taken in by a transport (libuv#1425)."""
    left, right = socket.socketpair()
    log, peer = kit.protocol(), kit.own(right)
    kit.run(kit.loop.create_unix_connection(lambda: log, sock=left))
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        socket.send_fds(peer, [b"x"], [peer.fileno()])
        kit.run_for(0.002)
    kit.equal((bytes(log.received), len(os.listdir("/dev/fd")) - before), (b"xxx", 0), "bytes, and new fds")
    log.transport.close()
    kit.run(log.until_event("lost"))
