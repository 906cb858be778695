# real clock
"""Cases of what a loop sleeps beside (LIFE-4): transports that have sent all or are paused and left, jobs, children."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import tempfile
import threading
from collections.abc import Callable
from typing import Any

from loopcheck.children import spawn
from loopcheck.family import family
from loopcheck.kit import Kit
from loopcheck.protocols import reset
from loopcheck.tls import NAME, contexts, join, part

IDLE_S = 0.06
SWITCHES_MAX = 8  # a loop that looks every 5 ms makes 12
CPU_MAX_S = 0.004  # of a busy machine a loop that spins gets no more than a few times this
TRIES = 3  # in one of which it has to be idle: memory is collected, and the like
MUCH = bytes(1 << 20)


def flushed_tcp(kit: Kit) -> Any:
    log, peer = kit.connection()
    log.transport.write(MUCH)
    kit.run(collected(peer.fileno(), len(MUCH)))
    kit.equal(log.transport.get_write_buffer_size(), 0, "bytes that wait")
    return log.transport.close


def flushed_pipe(kit: Kit) -> Any:
    read_end, write_end = kit.pipe()
    log = kit.protocol()
    kit.run(kit.loop.connect_write_pipe(lambda: log, os.fdopen(os.dup(write_end), "wb", 0)))
    log.transport.write(MUCH)
    kit.run(collected(read_end, len(MUCH)))
    kit.equal(log.transport.get_write_buffer_size(), 0, "bytes that wait")
    return log.transport.close


def flushed_endpoint(kit: Kit) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        peer = kit.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        peer.bind(f"{folder}/peer")
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        transport: Any
        transport, _ = kit.run(kit.loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=own))
        for _ in range(2000):
            transport.sendto(b"x", f"{folder}/peer")
        kit.run(collected(peer.fileno(), 2000))
    return transport.close


async def collected(number: int, size: int) -> None:
    """Reads this many bytes, and lets the loop see that there is room."""
    while size > 0:
        try:
            size -= len(os.read(number, 65_536))
        except BlockingIOError:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.003)


def paused_and_left(kit: Kit) -> Any:
    log, peer = kit.connection()
    log.pause_reading()
    reset(peer)
    return log.transport.close


def paused_pipe_and_left(kit: Kit) -> Any:
    read_end, write_end = os.pipe()
    log = kit.protocol()
    kit.run(kit.loop.connect_read_pipe(lambda: log, os.fdopen(read_end, "rb", 0)))
    log.pause_reading()
    os.close(write_end)
    return log.transport.close


def job(kit: Kit) -> Any:
    ended = threading.Event()
    kit.loop.run_in_executor(None, ended.wait, 3)
    return ended.set


def shutdown(kit: Kit) -> Any:
    end = job(kit)
    shut = kit.loop.create_task(kit.loop.shutdown_default_executor())

    def ends() -> None:
        end()
        kit.run(shut)

    return ends


def waiting_calls(kit: Kit) -> Any:
    """A connect that hangs, a handshake with a peer that is silent, and calls that wait for a client and for bytes."""
    full = kit.own(socket.create_server(("127.0.0.1", 0), backlog=0))
    kit.client(full)  # the backlog is full: the next connects hang
    hangs, silent, empty = kit.own(socket.socket()), kit.tcp_pair()[0], kit.socketpair()[0]

    async def begin() -> list[Any]:
        calls: list[Any] = [
            kit.loop.sock_connect(hangs, full.getsockname()),
            kit.loop.create_connection(asyncio.Protocol, *full.getsockname()),
            kit.loop.create_connection(asyncio.Protocol, sock=silent, ssl=contexts().client, server_hostname=NAME),
            kit.loop.sock_accept(kit.listener()),
            kit.loop.sock_recv(empty, 10),
        ]
        return [asyncio.ensure_future(call) for call in calls]

    tasks = kit.run(begin())
    kit.run_for(0.003)

    def ends() -> None:
        for task in tasks:
            task.cancel()
        kit.run(asyncio.wait(tasks))

    return ends


def open_transports(kit: Kit) -> Any:
    """A connection over TLS, a server, an endpoint and a child that waits for input."""
    inside, log = kit.protocol(), kit.protocol()
    kit.run(join(kit, contexts(), inside, log))
    server = kit.run(kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    endpoint, _ = kit.run(kit.loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)))
    child = spawn(kit, "cat")

    def ends() -> None:
        server.close()
        endpoint.close()
        child.transport.get_pipe_transport(0).close()
        kit.run(asyncio.wait_for(child.lost, 3))
        kit.run(part(inside, log))

    return ends


COMPANY: dict[str, Callable[[Kit], Any]] = {
    "flushed_tcp": flushed_tcp,
    "flushed_pipe": flushed_pipe,
    "flushed_endpoint": flushed_endpoint,
    "paused_and_left": paused_and_left,
    "paused_pipe_and_left": paused_pipe_and_left,
    "job": job,
    "shutdown": shutdown,
    "waiting_calls": waiting_calls,
    "open_transports": open_transports,
}


def is_idle(kit: Kit) -> bool:
    """Runs the loop for a while; says whether it slept."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    kit.run_for(IDLE_S)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s <= CPU_MAX_S and after.ru_nvcsw - before.ru_nvcsw <= SWITCHES_MAX


@family("LIFE-4", company=COMPANY)
def test_sleeps_beside(kit: Kit, company: Callable[[Kit], Any]) -> None:
    """A loop sleeps beside transports that have sent all, or are paused and were left, and beside a job that runs"""
    end = company(kit)
    kit.run_for(0.005)
    slept = any(is_idle(kit) for _ in range(TRIES))
    end()
    kit.run_for(0.01)
    kit.check(slept, f"it woke up again and again, or used more than {CPU_MAX_S} s of CPU in {IDLE_S} s")
