"""uringcore: what is written to a connection: large, much, before close(); flow control; names; generators.

    python uringcore_streams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import gc
import importlib
import multiprocessing
import os
import socket
import sys
import time


class Log(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self):
        self.events, self.data, self.lost = [], b"", 0

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.data += data

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, error):
        self.lost += 1


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        ours.setblocking(False)
        return ours, listener.accept()[0]


def connect(loop, protocol=Log):
    """A connection of the loop, and the plain socket at its other end."""
    ours, peer = tcp_pair()
    _, log = loop.run_until_complete(loop.create_connection(protocol, sock=ours))
    return log, peer


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def read_beside(loop, peer, size, seconds):
    """What the peer is sent while the loop runs, at most so much, in at most so long."""
    peer.setblocking(False)
    data, end = bytearray(), time.monotonic() + seconds
    while len(data) < size and time.monotonic() < end:
        run_for(loop, 0.005)
        try:
            piece = peer.recv(1 << 20)
        except BlockingIOError:
            continue
        if not piece:
            break
        data += piece
    return bytes(data)


def check_large_write(new_loop):
    loop = new_loop()
    log, peer = connect(loop)
    try:
        log.transport.write(b"x" * 65537)
    except BaseException as error:
        return f"write() of 65537 bytes raises {type(error).__name__}: {error}"
    if len(read_beside(loop, peer, 65537, 3)) != 65537:
        return "of 65537 bytes that were written some are lost"


def check_much_is_written(new_loop):
    loop = new_loop()
    log, peer = connect(loop)
    log.transport.set_write_buffer_limits(high=1 << 30)
    sent = b"".join(bytes([number]) * 32768 for number in range(250))
    for number in range(250):
        log.transport.write(sent[number * 32768 : (number + 1) * 32768])
    run_for(loop, 0.1)
    got = read_beside(loop, peer, len(sent), 5)
    if len(got) != len(sent):
        return f"of {len(sent)} bytes that were written in pieces of 32 KiB {len(got)} arrive"
    if got != sent:
        return "pieces of 32 KiB arrive in another order than that in which they were written"


def check_many_small_writes(new_loop):
    loop = new_loop()
    log, peer = connect(loop)
    sent = bytes(number % 251 for number in range(1500))
    try:
        for number in sent:
            log.transport.write(bytes([number]))
    except Exception as error:
        return f"1500 bytes are written one by one: {type(error).__name__}: {error}"
    if read_beside(loop, peer, len(sent), 3) != sent:
        return "1500 bytes are written one by one, and arrive otherwise"


def check_overtaken_writes(new_loop):
    loop = new_loop()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    _, log = loop.run_until_complete(loop.create_connection(Log, sock=ours))
    for _ in range(600):
        log.transport.write(b"x")
    run_for(loop, 0.1)
    got = peer.recv(1 << 16)
    log.transport.write(b"y")
    got += read_beside(loop, peer, 601 - len(got), 3)
    if got != b"x" * 600 + b"y":
        return f"600 x and a y are written, and the y is number {got.find(b'y') + 1} of {len(got)} to arrive"


def check_write_before_write_eof(new_loop):
    loop = new_loop()
    log, peer = connect(loop)
    log.transport.write(b"bye")
    log.transport.write_eof()
    got = read_beside(loop, peer, 3, 1)
    if got != b"bye":
        return f"b'bye' is written before write_eof(), and {got} arrives"


def check_unix_connection_on_a_full_socket(new_loop):
    loop = new_loop()
    ours, _peer = socket.socketpair()
    ours.setblocking(False)
    try:
        while True:
            ours.send(bytes(65536))
    except BlockingIOError:
        pass
    try:
        loop.run_until_complete(asyncio.wait_for(loop.create_unix_connection(Log, sock=ours), 1))
    except asyncio.TimeoutError:
        return "create_unix_connection() waits for a given socket that has no room until it has"


def check_close_sends_what_waits(new_loop):
    loop = new_loop()
    log, peer = connect(loop)
    for _ in range(250):
        log.transport.write(bytes(32768))
    log.transport.close()
    got = len(read_beside(loop, peer, 250 * 32768, 3))
    if got != 250 * 32768:
        return f"of {250 * 32768} bytes that were written before close() {got} arrive"


def check_connection_lost_after_close(new_loop):
    loop = new_loop()
    log, _peer = connect(loop)
    log.transport.close()
    run_for(loop, 1)
    if log.lost != 1:
        return f"connection_lost() is called {log.lost} times after close()"


def check_resume_without_pause(new_loop):
    loop = new_loop()
    log, _peer = connect(loop)
    log.transport.write(b"x")
    run_for(loop, 0.1)
    if log.events != ["made"]:
        return f"a byte is written: {log.events}"


def check_stays_paused(new_loop):
    loop = new_loop()
    log, _peer = connect(loop)
    log.transport.set_write_buffer_limits(high=1000, low=10)
    for _ in range(3):
        log.transport.write(bytes(1000))
    if log.events.count("pause") > 1:
        return f"three writes beyond the limit: {log.events}"


def check_lookup_blocks_the_loop(new_loop):
    def slow(*args, **options):
        time.sleep(0.5)
        return plain(*args, **options)

    async def main():
        task = asyncio.ensure_future(loop.create_connection(Log, "localhost", 1))
        turns, end = 0, time.monotonic() + 0.4
        while time.monotonic() < end:
            await asyncio.sleep(0.02)
            turns += 1
        await asyncio.wait({task}, timeout=1)
        return turns

    loop, plain = new_loop(), socket.getaddrinfo
    socket.getaddrinfo = slow
    if loop.run_until_complete(main()) < 5:
        return "the lookup of a name stops the loop for as long as it takes"


def check_shutdown_asyncgens(new_loop):
    closed, held = [], []

    async def generate():
        try:
            yield 1
        finally:
            closed.append(1)

    async def main():
        held.append(generate())
        await held[0].__anext__()

    loop = new_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    if not closed:
        return "shutdown_asyncgens() closes nothing"


def check_raise_in_connection_lost(new_loop):
    class Raising(Log):
        def connection_lost(self, error):
            raise ZeroDivisionError("planted")

    loop, errors = new_loop(), []
    loop.set_exception_handler(lambda loop, context: errors.append(context))
    log, _peer = connect(loop, Raising)
    log.transport.abort()
    run_for(loop, 0.1)
    if not errors:
        return "what connection_lost() raises is told to nobody"


def check_fds_of_closed_loops(new_loop):
    run_for(new_loop(), 0)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    loops = [new_loop() for _ in range(10)]
    for loop in loops:
        run_for(loop, 0)
        loop.close()
    after = len(os.listdir("/proc/self/fd"))
    if after > before:
        return f"10 closed loops hold {after - before} fds"


def run(check):
    module, _, factory = sys.argv[1].partition(":")
    wrong = check(getattr(importlib.import_module(module), factory))
    print(f"{check.__name__[6:]}: {wrong or 'right'}", flush=True)
    os._exit(1 if wrong else 0)


def main():
    checks = {name[6:]: check for name, check in globals().items() if name.startswith("check_")}
    if len(sys.argv) < 2 or ":" not in sys.argv[1] or set(sys.argv[2:]) - set(checks):
        print(f"{__doc__}\nThe checks are {', '.join(checks)}.", file=sys.stderr)
        return 2
    statuses = []
    for name in sys.argv[2:] or checks:
        process = multiprocessing.get_context("fork").Process(target=run, args=(checks[name],))
        process.start()
        process.join(10)
        if process.is_alive() or process.exitcode < 0:
            print(f"{name}: {'it hangs' if process.is_alive() else 'it is killed by a signal'}", flush=True)
            process.kill()
            process.join()
        statuses.append(process.exitcode)
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
