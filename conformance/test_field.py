# real clock
"""Cases that each come from one bug of the field, of transports, servers, types, executors and the end of a loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import socket
import ssl
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case
from loopcheck.protocols import Log
from loopcheck.tls import NAME, Tls, contexts, join, server_peer

PAYLOAD = bytes(range(256)) * 4096  # 1 MiB
MANY = 500


@case("SOCK-2")
def test_reconnected_while_it_waits(kit: Kit) -> None:
    """A datagram socket that is connected anew while sock_recv waits gives the new peer's datagram (bpo-32015)."""
    mine, first, second = (kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3))
    for sock in (mine, first, second):
        sock.bind(("127.0.0.1", 0))

    async def main() -> bytes:
        await kit.loop.sock_connect(mine, first.getsockname())
        waiting = asyncio.ensure_future(kit.loop.sock_recv(mine, 100))
        await asyncio.sleep(0)
        await kit.loop.sock_connect(mine, second.getsockname())
        second.sendto(b"second", mine.getsockname())
        return await waiting

    kit.equal(kit.run(main()), b"second", "datagram")


@case("INSIDE-3")
def test_list_that_its_buffers_empty(kit: Kit) -> None:
    """writelines() survives a list that an element's __buffer__ empties, and the connection goes on (gh-143988)."""
    if sys.version_info < (3, 12):
        kit.skip("this Python has no __buffer__")
    log, peer = kit.connection()

    class Emptying:
        def __buffer__(self, flags: int) -> memoryview:
            pieces.clear()
            gc.collect()
            return memoryview(b"x")

    pieces: list[Any] = [Emptying(), *(bytearray(b"y" * 100) for _ in range(50))]
    with contextlib.suppress(TypeError, ValueError, RuntimeError, BufferError, IndexError):
        log.transport.writelines(pieces)
    log.transport.write(b"end")
    log.transport.close()
    kit.run(log.until_event("lost"))
    kit.check(peer.recv(10000).endswith(b"end"), "what was written afterwards did not arrive")


@case("DGRAM-2")
def test_many_failed_sends(kit: Kit) -> None:
    """Hundreds of sends that fail at once are told, and the next datagram goes out (talyn BUG-004)."""
    peer = kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    peer.bind(("127.0.0.1", 0))
    errors: list[OSError] = []

    class Endpoint(asyncio.DatagramProtocol):
        error_received = staticmethod(kit.observed(errors.append))  # type: ignore[assignment]

    async def main() -> bytes:
        transport, _ = await kit.loop.create_datagram_endpoint(Endpoint, remote_addr=peer.getsockname())
        for _ in range(MANY):
            transport.sendto(bytes(70000))  # more than a datagram holds
        transport.sendto(b"small")
        got = await kit.loop.sock_recv(peer, 100)
        transport.abort()
        return got

    kit.equal((kit.run(main()), len(errors)), (b"small", MANY), "datagram, and errors that were told")


@case("DGRAM-5")
def test_reuse_address_is_refused(kit: Kit) -> None:
    """create_datagram_endpoint refuses reuse_address, with which others could take the port over (bpo-37228)."""
    make, arguments = kit.loop.create_datagram_endpoint, {"local_addr": ("127.0.0.1", 0), "reuse_address": True}

    async def main() -> bool:
        try:
            transport, _ = await make(asyncio.DatagramProtocol, **arguments)
        except (TypeError, ValueError):
            return True
        transport.abort()
        return False

    kit.check(kit.run(main()), "reuse_address was taken")


@case("HOLD-1")
def test_servers_of_given_sockets(kit: Kit) -> None:
    """Servers that are made of a socket and closed, again and again, leave the loop's references alone (BUG-145)."""

    async def main() -> None:
        for _ in range(MANY // 5):
            server = await kit.loop.create_server(kit.protocol, sock=socket.create_server(("127.0.0.1", 0)))
            server.close()
            await asyncio.sleep(0)

    kit.run(main())
    gc.collect()
    before = sys.getrefcount(kit.loop)
    kit.run(main())
    gc.collect()
    change = sys.getrefcount(kit.loop) - before
    kit.check(abs(change) < MANY // 10, f"{MANY // 5} servers changed the loop's reference count by {change}")


def upgrading_server(kit: Kit, tls: Tls) -> Any:
    """A blocking server that says a plain line, and then a megabyte over TLS. Returns its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()

    def serve() -> None:
        with listener, listener.accept()[0] as plain:
            plain.sendall(b"go\n")
            with contextlib.suppress(OSError), tls.server.wrap_socket(plain, server_side=True) as wrapped:
                wrapped.sendall(PAYLOAD)
                wrapped.unwrap()

    kit.thread(serve)
    return address


@case("TLS-5")
def test_flow_control_after_start_tls(kit: Kit) -> None:
    """After StreamWriter.start_tls() a stream that is read slowly gives every byte of a megabyte (gh-152431)."""
    if sys.version_info < (3, 11):
        kit.skip("this Python's StreamWriter has no start_tls")
    tls = contexts()
    address = upgrading_server(kit, tls)

    async def main() -> bytes:
        reader, writer = await asyncio.open_connection(*address, limit=1 << 12)
        await reader.readline()
        await writer.start_tls(tls.client, server_hostname=NAME)
        got = bytearray()
        while len(got) < len(PAYLOAD):
            got += await reader.read(1 << 14)
            await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return bytes(got)

    kit.check(kit.run(main()) == PAYLOAD, "other bytes arrived")


@case("TLS-3")
def test_close_while_the_peer_sends_on(kit: Kit) -> None:
    """close() ends a connection whose peer goes on sending, within ssl_shutdown_timeout (uvloop#471)."""
    if sys.version_info < (3, 11):
        kit.skip("this Python has no ssl_shutdown_timeout")
    tls, ended = contexts(), threading.Event()

    def talk(wrapped: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            while True:
                wrapped.sendall(PAYLOAD)
        ended.set()

    log, address = kit.protocol(), server_peer(kit, tls, talk)
    options: dict[str, Any] = {"ssl": tls.client, "server_hostname": NAME, "ssl_shutdown_timeout": 0.05}

    async def main() -> None:
        await kit.loop.create_connection(lambda: log, *address, **options)
        await log.until_event("data")
        log.transport.close()
        await log.until_event("lost")

    kit.errors.clear()
    kit.run(main())
    kit.close_threads()
    kit.check(ended.is_set(), "the peer was not told")


@family("TLS-3", turns={"at_once": 0, "a_turn_later": 1, "three_turns_later": 3})
def test_abort_in_a_tls_shutdown(kit: Kit, turns: int) -> None:
    """abort() while close() shuts TLS down ends the connection once, and nothing is told (uvloop@7fcbfed)"""
    tls = contexts()

    async def main() -> None:
        inside, log = kit.protocol(), kit.protocol()
        await join(kit, tls, inside, log)
        log.transport.close()
        for _ in range(turns):
            await asyncio.sleep(0)
        log.transport.abort()
        await log.until_event("lost")
        inside.transport.abort()
        await inside.until_event("lost")
        await asyncio.sleep(0.005)

    kit.run(main())


class Leaving(asyncio.Protocol):
    """Makes its transport use `after` instead, in one of its callbacks, and says whether it lives."""

    def __init__(self, event: str, after: asyncio.Protocol, seen: list[str]) -> None:
        self.event, self.after, self.seen, self.word = event, after, seen, "alive"

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.leave("made")

    def data_received(self, data: bytes) -> None:
        self.leave("data")

    def eof_received(self) -> None:
        self.leave("eof")

    def leave(self, now: str) -> None:
        if now == self.event:
            self.transport.set_protocol(self.after)
            gc.collect()
            self.seen.append(self.word)


@family("INSIDE-1", event=("made", "data", "eof"))
def test_protocol_that_gives_itself_up(kit: Kit, event: str) -> None:
    """A protocol that makes the transport forget it lives until its callback returns (uvloop@70cafc8)"""
    given, peer = kit.tcp_pair()
    seen: list[str] = []
    after = kit.protocol()
    after.events.append("made")
    kit.run(kit.loop.create_connection(lambda: Leaving(event, after, seen), sock=given))
    if event == "data":
        peer.send(b"x")
    peer.close()
    kit.run(after.until_event("lost"))
    kit.equal(seen, ["alive"], "what the protocol saw of itself")


@contextlib.contextmanager
def unraisables() -> Iterator[list[str]]:
    """What finalisers could not raise."""
    seen: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: seen.append(repr(unraisable.exc_value))
    try:
        yield seen
    finally:
        sys.unraisablehook = hook


@case("LIFE-5")
def test_transports_outlive_their_loop(kit: Kit) -> None:
    """Transports, servers and tasks that are left to the collector after close() raise nothing there (gh-92841)."""
    kit.turns(1)
    left, right = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))

    async def main() -> list[Any]:
        made = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=left)
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, sock=listener)
        return [*made, server]

    with warnings.catch_warnings(), unraisables() as seen:
        warnings.simplefilter("ignore", ResourceWarning)
        loop = kit.factory()
        kept = loop.run_until_complete(main())
        kept[0].write(b"left behind")
        loop.close()
        del kept, loop
        gc.collect()
    right.close()
    kit.equal(seen, [], "exceptions of finalisers")


@case("LIFE-5")
def test_generator_outlives_its_loop(kit: Kit) -> None:
    """An asynchronous generator that is dropped when its loop is closed raises nothing there."""

    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def main() -> AsyncIterator[int]:
        generator = numbers()
        await generator.__anext__()
        return generator

    kit.turns(1)
    with warnings.catch_warnings(), unraisables() as seen:
        warnings.simplefilter("ignore", RuntimeWarning)
        loop = kit.factory()
        generator = loop.run_until_complete(main())
        loop.close()
        del generator, loop
        gc.collect()
    kit.equal(seen, [], "exceptions of finalisers")


@case("THREAD-5")
def test_job_that_outlives_the_loop(kit: Kit) -> None:
    """A job that ends after its executor was given up and the loop closed harms nobody (zuvloop@f0abf6e)."""
    if sys.version_info < (3, 12):
        kit.skip("this Python's shutdown_default_executor has no timeout")
    kit.turns(1)
    told: list[str] = []
    release, hook = threading.Event(), threading.excepthook
    threading.excepthook = lambda args: told.append(repr(args.exc_value))
    before, loop = set(threading.enumerate()), kit.new_loop()
    try:
        job = loop.run_in_executor(None, release.wait)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            loop.run_until_complete(loop.shutdown_default_executor(timeout=0.01))
        job.cancel()
        loop.close()
        release.set()
        for thread in set(threading.enumerate()) - before:
            thread.join()
    finally:
        threading.excepthook = hook
    kit.equal(told, [], "exceptions in threads")


def ask(kit: Kit, kind: str, fn: Any) -> Any:
    """Makes the loop call fn by a callback of this kind; gives what is to be awaited afterwards, or None."""
    if kind in ("made", "data"):
        given, peer = kit.tcp_pair()
        peer.send(b"x")
        return asyncio.Task(kit.loop.create_connection(lambda: Log(kit, **{kind: fn}), sock=given), loop=kit.loop)
    left, right = kit.socketpair()
    kit.put(right)
    {"soon": kit.soon, "timer": lambda fn: kit.later(0, fn), "reader": lambda fn: kit.reader(left, fn)}[kind](fn)
    return None


@family("TASK-4", kind=("soon", "timer", "reader", "made", "data"))
def test_eager_task_in_a_callback(kit: Kit, kind: str) -> None:
    """An eager task that a callback starts is the current one in its first step (py-asynkit@f6b79a8)"""
    if sys.version_info < (3, 12):
        kit.skip("this Python has no eager tasks")
    kit.loop.set_task_factory(asyncio.eager_task_factory)
    seen: list[object] = []

    async def body() -> None:
        seen.append(asyncio.current_task() is not None and asyncio.current_task() in asyncio.all_tasks())

    def start(*_: object) -> None:
        kit.loop.create_task(body())
        seen.append(asyncio.current_task(kit.loop) is None)
        kit.stop()

    connecting = ask(kit, kind, start)
    kit.run_forever()
    if connecting is not None:
        kit.run(connecting)[0].abort()
        kit.turns(3)
    kit.equal(seen[:2], [True, True], "is the task current inside, and none after it")


@case("CLOSE-1")
def test_input_of_a_child_after_close(kit: Kit) -> None:
    """write() to a child's input that was closed is dropped like any other, and raises nothing (winloop#84)."""

    async def main() -> tuple[bytes, int]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=pipe, stdout=pipe)
        process.stdin.write(b"before")
        await process.stdin.drain()
        process.stdin.close()
        for _ in range(3):
            process.stdin.write(b"after")
        return await process.stdout.read(), await process.wait()

    kit.equal(kit.run(main()), (b"before", 0), "output and status of the child")


@case("FLOW-1")
def test_limits_given_by_position(kit: Kit) -> None:
    """set_write_buffer_limits() takes its numbers by position as well, however often (talyn BUG-184)."""
    log, _ = kit.connection()
    for number in range(20 * MANY):
        log.transport.set_write_buffer_limits(100_000 + number, 50_000 + number)
    gc.collect()
    last = 20 * MANY - 1
    kit.equal(log.transport.get_write_buffer_limits(), (50_000 + last, 100_000 + last), "limits")
    log.transport.abort()
    kit.run(log.until_event("lost"))


@case("LIFE-13")
def test_loop_on_the_numbers_of_standard_streams(kit: Kit) -> None:
    """A loop that gets the numbers 0 to 2 for its own works, and gives them back (uvloop#580)."""
    kit.turns(1)
    kept = [os.dup(fd) for fd in range(3)]
    try:
        for fd in range(3):
            os.close(fd)
        loop = kit.factory()
        try:
            left, right = socket.socketpair()
            transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=left))
            transport.write(b"hello")
            loop.run_until_complete(asyncio.sleep(0.001))
            got = right.recv(10)
            transport.abort()
            loop.run_until_complete(asyncio.sleep(0.001))
        finally:
            loop.close()
            right.close()
    finally:
        for fd, copy in enumerate(kept):
            os.dup2(copy, fd)
            os.close(copy)
    kit.equal(got, b"hello", "what was written on such a loop")


HARMLESS = ("close", "abort", "cancel", "is_closing", "get_extra_info", "fileno", "__repr__")  # methods that are called


@family("INSIDE-3", arguments={"none": (), "one": (None,), "three": (None, -1, "x"), "loop": ("loop",)})
def test_types_with_odd_arguments(kit: Kit, arguments: tuple[Any, ...]) -> None:
    """A type of the loop's package raises on odd arguments, or gives an object that can be used (uvloop#760)"""
    kit.turns(1)
    given = tuple(kit.loop if argument == "loop" else argument for argument in arguments)
    package = sys.modules[type(kit.loop).__module__.partition(".")[0]]
    modules = {package, sys.modules[type(kit.loop).__module__]}
    types = {cls for module in modules for cls in vars(module).values() if inspect.isclass(cls)}
    own = [cls for cls in types if cls.__module__.partition(".")[0] == package.__name__]
    own = [cls for cls in own if not issubclass(cls, BaseException) and not hasattr(cls, "run_forever")]
    for cls in sorted(own, key=lambda cls: cls.__name__):
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            made = cls(*given)
            for name in HARMLESS:
                with contextlib.suppress(Exception):
                    getattr(made, name)()
    kit.turns(2)
