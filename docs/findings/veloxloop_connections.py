"""veloxloop: files among writes, arguments of connections and endpoints, the end of file, lookups, and generators.

    python veloxloop_connections.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import concurrent.futures
import importlib
import logging
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time

HERE = ("127.0.0.1", 0)
SIZE = 8 << 20  # more than the buffers of a connection hold


class Log(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self):
        self.events = []

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def connection_lost(self, error):
        self.events.append("lost")


class Received(asyncio.DatagramProtocol):
    """Notes the datagrams."""

    def __init__(self):
        self.datagrams = []

    def datagram_received(self, data, address):
        self.datagrams.append(data)


def connect(loop):
    """The transport of a connection, and the blocking socket at its other end."""
    with socket.create_server(HERE) as listener:
        transport, _ = loop.run_until_complete(loop.create_connection(Log, *listener.getsockname()))
        peer = listener.accept()[0]
    peer.settimeout(2)
    return transport, peer


def run_for(loop, seconds=0.05):
    loop.run_until_complete(asyncio.sleep(seconds))


def zeros(size):
    file = tempfile.TemporaryFile()
    file.truncate(size)
    return file


def reader_of(peer, got, size):
    """A thread that reads so many bytes, or what comes within 2 s of the byte before."""

    def read():
        try:
            while len(got) < size and (data := peer.recv(65_536)):
                got.extend(data)
        except OSError:
            pass

    thread = threading.Thread(target=read)
    thread.start()
    return thread


async def ends(future, seconds=3):
    await asyncio.wait({future}, timeout=seconds)
    return future.done()


async def until_ended(thread):
    while thread.is_alive():
        await asyncio.sleep(0.01)


def check_sendfile_behind_a_write(loop):
    transport, peer = connect(loop)
    got, file = bytearray(), zeros(SIZE)

    async def main():
        transport.write(b"w" * SIZE)
        sending = asyncio.ensure_future(loop.sendfile(transport, file))
        await asyncio.sleep(0.02)
        reading = reader_of(peer, got, 2 * SIZE)
        await ends(sending)
        await until_ended(reading)

    loop.run_until_complete(main())
    if got != b"w" * SIZE + bytes(SIZE):
        return (
            f"{got.count(b'w')} of {SIZE} bytes that were written before a file arrived; it began at byte {got.find(0)}"
        )


def check_write_while_a_file_is_sent(loop):
    transport, peer = connect(loop)
    got, file = bytearray(), zeros(SIZE)

    async def main():
        sending = asyncio.ensure_future(loop.sendfile(transport, file))
        await asyncio.sleep(0.02)
        try:
            transport.write(b"!")
        except RuntimeError:  # so does asyncio
            return
        reading = reader_of(peer, got, SIZE + 1)
        await ends(sending)
        await until_ended(reading)

    loop.run_until_complete(main())
    if got.find(b"!") not in (-1, SIZE):
        return f"what was written during a sendfile() came at byte {got.find(b'!')} of a file of {SIZE}"


def check_abort_while_a_file_waits(loop):
    transport, _peer = connect(loop)
    file = zeros(SIZE)

    async def main():
        transport.write(bytes(SIZE))
        sending = asyncio.ensure_future(loop.sendfile(transport, file))
        await asyncio.sleep(0.02)
        transport.abort()
        return await ends(sending, 1)

    if not loop.run_until_complete(main()):
        return "a sendfile() whose transport is aborted does not end"


def check_local_address(loop):
    with socket.create_server(HERE) as listener:
        connecting = loop.create_connection(Log, *listener.getsockname(), local_addr=("127.0.0.5", 0))
        transport, _ = loop.run_until_complete(connecting)
        seen = listener.accept()[1][0]
    if seen != "127.0.0.5":
        return f"a connection with local_addr 127.0.0.5 came from {seen}"


def check_names_of_the_socket(loop):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        transport, _ = loop.run_until_complete(loop.create_connection(Log, *listener.getsockname()[:2]))
        name = transport.get_extra_info("socket").getpeername()
        if name != listener.getsockname():
            return f"getpeername() of the transport's socket is {name} instead of {listener.getsockname()}"


def check_socket_that_does_not_listen(loop):
    sock = socket.socket()
    sock.bind(HERE)
    loop.run_until_complete(loop.create_server(Log, sock=sock))
    with socket.socket() as client:
        client.settimeout(1)
        if error := client.connect_ex(sock.getsockname()):
            return f"connecting to create_server(sock=): {os.strerror(error)}"


def check_answers_to_a_broadcast(loop):
    log = Received()
    with socket.socket(type=socket.SOCK_DGRAM) as peer, socket.socket(type=socket.SOCK_DGRAM) as other:
        peer.bind(HERE)
        peer.settimeout(1)
        options = {"local_addr": HERE, "remote_addr": peer.getsockname(), "allow_broadcast": True}
        transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(lambda: log, **options))
        transport.sendto(b"who is there?")
        run_for(loop)
        other.sendto(b"me", peer.recvfrom(100)[1])
        run_for(loop)
    if log.datagrams != [b"me"]:
        return f"with allow_broadcast the answers of others are not received: {log.datagrams}"


def check_endpoint_at_a_name(loop):
    options = {"local_addr": ("localhost", 0), "family": socket.AF_INET}
    try:
        loop.run_until_complete(loop.create_datagram_endpoint(Received, **options))
    except (OSError, ValueError) as error:
        return f"local_addr=('localhost', 0): {error!r}"


def check_executor_of_lookups(loop):
    jobs = []

    class Counts(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *args, **options):
            jobs.append(args)
            return super().submit(*args, **options)

    loop.set_default_executor(Counts(1))
    loop.run_until_complete(loop.getaddrinfo("localhost", 80))
    loop.run_until_complete(loop.run_in_executor(None, int))
    if len(jobs) != 2:
        return f"{len(jobs)} of 2 jobs, a lookup and a function, came to the executor of set_default_executor()"


def check_answer_of_eof_received(loop):
    class Stays(Log):
        def eof_received(self):
            return "stay"

    with socket.create_server(HERE) as listener:
        transport, _ = loop.run_until_complete(loop.create_connection(Stays, *listener.getsockname()))
        peer = listener.accept()[0]
    peer.shutdown(socket.SHUT_WR)
    run_for(loop)
    if transport.is_closing():
        return "a transport whose eof_received() returns 'stay', which is true, closes itself"


def check_shutdown_of_generators(loop):
    closed = []

    async def numbers():
        try:
            yield 1
        finally:
            closed.append(1)

    async def main():
        generator = numbers()
        await anext(generator)
        await loop.shutdown_asyncgens()
        return list(closed)

    if not loop.run_until_complete(main()):
        return "shutdown_asyncgens() closes no generator"


def check_waiting_connect(loop):
    sock = socket.socket()
    sock.setblocking(False)
    with socket.create_server(HERE, backlog=0) as full, socket.create_connection(full.getsockname()):

        async def main():
            connecting = asyncio.ensure_future(loop.sock_connect(sock, full.getsockname()))  # there is no room for it
            began_s = time.process_time()
            await asyncio.sleep(0.2)
            connecting.cancel()
            return time.process_time() - began_s

        took_s = loop.run_until_complete(main())
    if took_s > 0.05:
        return f"beside a sock_connect() that waits, 0.2 s of the loop cost {took_s:.2f} s of the processor"


def run(check):
    module, _, factory = sys.argv[1].partition(":")
    logging.disable(logging.CRITICAL)
    wrong = check(getattr(importlib.import_module(module), factory)())
    print(f"{check.__name__[6:]}: {'WRONG: ' + wrong if wrong else 'right'}", flush=True)
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
            print(f"{name}: WRONG: {'it hangs' if process.is_alive() else 'it is killed by a signal'}", flush=True)
            process.kill()
            process.join()
        statuses.append(process.exitcode)
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
