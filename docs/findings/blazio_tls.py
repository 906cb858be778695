"""blazio: TLS: timeouts that are ignored, options that are ignored.

    python blazio_tls.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import socket
import ssl
import sys


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


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


def check_handshake_timeout(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.create_default_context()
    connecting = loop.create_connection(
        Log, *listener.getsockname(), ssl=context, server_hostname="localhost", ssl_handshake_timeout=0.1
    )
    try:
        loop.run_until_complete(asyncio.wait_for(connecting, 2))
    except asyncio.TimeoutError:
        return "ssl_handshake_timeout=0.1 has no effect: 2 s pass"
    except ConnectionError:
        return None


def check_hostname_without_tls(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    connecting = loop.create_connection(Log, *listener.getsockname(), server_hostname="localhost")
    if not raises(ValueError, lambda: loop.run_until_complete(connecting)):
        return "server_hostname= without ssl= is taken: the connection is not encrypted, and nobody is told"


def check_timeout_of_zero(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    connecting = loop.create_connection(
        Log, *listener.getsockname(), ssl=ssl.create_default_context(), server_hostname="x", ssl_handshake_timeout=0
    )
    try:
        loop.run_until_complete(asyncio.wait_for(connecting, 0.5))
    except ValueError:
        return None
    except Exception as error:
        return f"ssl_handshake_timeout=0 ends in {error!r} instead of ValueError"


def check_ssl_true_for_a_server(new_loop):
    loop = new_loop()
    if not raises(TypeError, lambda: loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0, ssl=True))):
        return "create_server(ssl=True) is taken"


def run(check):
    module, _, factory = sys.argv[1].partition(":")
    wrong = check(getattr(importlib.import_module(module), factory))
    print(f"{check.__name__[6:]}: {wrong or 'right'}", flush=True)
    os._exit(1 if wrong else 0)


def main():
    checks = {name[6:]: check for name, check in globals().items() if name.startswith("check_")}
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
