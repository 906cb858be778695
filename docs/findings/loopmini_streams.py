"""loopmini: a protocol that raises keeps its connection, and what else its stream transports do wrong.

    python loopmini_streams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import gc
import importlib
import multiprocessing
import os
import socket
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


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def listen_to_errors(loop):
    errors = []
    loop.set_exception_handler(lambda loop, context: errors.append(context))
    return errors


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


class Raises(Log):
    """Raises in the method of that name."""

    def __init__(self, method):
        super().__init__()
        self.calls = 0
        setattr(self, method, self.fail)

    def fail(self, *args):
        self.calls += 1
        raise ZeroDivisionError("planted")


class RaisesBuffered(asyncio.BufferedProtocol):
    """Gives the buffer, or fails; `calls` counts."""

    def __init__(self, buffer=None, updated=None):
        self.calls, self.events, self.buffer, self.updated = 0, [], buffer, updated

    def get_buffer(self, size_hint):
        self.calls += 1
        return self.buffer if self.buffer is not None else 1 // 0

    def buffer_updated(self, count):
        raise self.updated

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, error):
        self.events.append("lost")


def check_data_received_raises(new_loop):
    loop, protocol = new_loop(), Raises("data_received")
    listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    peer.send(b"x")
    run_for(loop, 0.1)
    if "lost" not in protocol.events or not isinstance(protocol.error, ZeroDivisionError):
        return f"the connection goes on after data_received() raised: {protocol.events}, {protocol.error!r}"


def check_eof_received_raises(new_loop):
    loop, protocol = new_loop(), Raises("eof_received")
    listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    peer.close()
    run_for(loop, 0.1)
    if protocol.calls != 1 or "lost" not in protocol.events:
        return f"eof_received() that raises is called {protocol.calls} times in 0.1 s; {protocol.events}"


def check_get_buffer_raises(new_loop):
    loop, protocol = new_loop(), RaisesBuffered()
    listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    peer.send(b"x")
    run_for(loop, 0.1)
    if protocol.calls != 1:
        return f"get_buffer() that raises is called {protocol.calls} times in 0.1 s"


def check_buffer_updated_raises(new_loop):
    loop, protocol = new_loop(), RaisesBuffered(bytearray(9), ZeroDivisionError("planted"))
    listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    peer.send(b"x")
    run_for(loop, 0.1)
    if protocol.events != ["lost"]:
        return "the connection goes on after buffer_updated() raised"


def check_empty_buffer(new_loop):
    loop, protocol = new_loop(), RaisesBuffered(bytearray())
    listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    peer.send(b"x")
    run_for(loop, 0.1)
    if "eof" in protocol.events:
        return "an empty buffer is taken for the end of file; the bytes are lost, and nobody is told"


def check_write_after_write_eof(new_loop):
    loop = new_loop()
    transport, peer = connect(loop, Log())
    transport.write_eof()
    if not raises(RuntimeError, lambda: transport.write(b"late")):
        return "write() after write_eof() is taken without a word"


def check_write_of_nothing(new_loop):
    loop = new_loop()
    transport, peer = connect(loop, Log())
    if not raises(TypeError, lambda: transport.write(None)):
        return "write(None) is taken without a word"
    if not raises(TypeError, lambda: transport.write("")):
        return "write() of a str is taken without a word, if the str is empty"


def check_list_that_its_buffers_empty(new_loop):
    class Evil:
        def __buffer__(self, flags):
            pieces.clear()
            gc.collect()
            return memoryview(bytes(100))

    if sys.version_info < (3, 12):
        return None  # no __buffer__ there
    loop = new_loop()
    listen_to_errors(loop)
    transport, peer = connect(loop, Log())
    for _ in range(50):
        pieces = [bytes(1000), Evil(), *(bytes(number) for number in range(1000, 1100))]
        with contextlib.suppress(Exception):
            transport.writelines(pieces)
    run_for(loop, 0.01)


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
