"""loopmini: loop.sendfile() of wrong arguments.

    python loopmini_sendfile.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import socket
import sys
import tempfile


class Log(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self):
        self.events, self.data, self.error = [], b"", None

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.data += data
        self.events.append("data")

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, error):
        self.error = error
        self.events.append("lost")


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        ours.setblocking(False)
        return ours, listener.accept()[0]


def connect(loop, protocol):
    """The protocol's transport, and the blocking socket at the other end."""
    ours, peer = tcp_pair()
    transport, _ = loop.run_until_complete(loop.create_connection(lambda: protocol, sock=ours))
    return transport, peer


def sendfile(new_loop, file, **options):
    """What loop.sendfile() raised, or None."""
    loop = new_loop()
    transport, peer = connect(loop, Log())
    try:
        loop.run_until_complete(loop.sendfile(transport, file, **options))
    except Exception as error:
        return error


def check_count_of_zero(new_loop):
    with tempfile.TemporaryFile() as file:
        error = sendfile(new_loop, file, count=0)
    if not isinstance(error, ValueError):
        return f"count=0 ends in {error!r} instead of ValueError"


def check_negative_offset(new_loop):
    with tempfile.TemporaryFile() as file:
        error = sendfile(new_loop, file, offset=-1)
    if not isinstance(error, ValueError):
        return f"offset=-1 ends in {error!r} instead of ValueError"


def check_text_file(new_loop):
    with tempfile.TemporaryFile("w+") as file:
        error = sendfile(new_loop, file)
    if not isinstance(error, ValueError):
        return f"a file in text mode ends in {error!r} instead of ValueError"


def check_without_fallback(new_loop):
    with tempfile.TemporaryFile() as file:
        file.write(b"hello")
        file.flush()
        error = sendfile(new_loop, file, fallback=False)
    if error is not None:
        return f"fallback=False, a plain connection and a plain file: {error!r}"


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
