"""loopmini: datagram endpoints on connected sockets, empty datagrams, flow control, an end in connection_made().

    python loopmini_datagrams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import socket
import sys
import tempfile


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


class Paused(asyncio.DatagramProtocol):
    is_paused = False

    def pause_writing(self):
        self.is_paused = True


def endpoint(loop, family=socket.AF_INET):
    """A transport on a connected socket, its protocol, and the socket at the other end."""
    ours, peer = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0) if family == socket.AF_INET else os.path.join(tempfile.mkdtemp(), "socket"))
    ours.connect(peer.getsockname())
    ours.setblocking(False)
    peer.settimeout(0.2)
    made = loop.create_datagram_endpoint(Paused, sock=ours)
    return *loop.run_until_complete(made), peer


def check_connected_socket(new_loop):
    loop = new_loop()
    transport, _, peer = endpoint(loop)
    try:
        transport.sendto(b"x")
    except TypeError as error:
        return f"sendto() without an address, on a socket that is connected: {error!r}"
    run_for(loop, 0.01)
    if peer.recv(9) != b"x":
        return "the datagram is lost"


def check_connected_unix_socket(new_loop):
    loop = new_loop()
    transport, _, peer = endpoint(loop, socket.AF_UNIX)
    try:
        transport.sendto(b"x")
    except TypeError as error:
        return f"sendto() without an address, on a UNIX socket that is connected: {error!r}"
    run_for(loop, 0.01)
    if peer.recv(9) != b"x":
        return "the datagram is lost"


def check_empty_datagram(new_loop):
    if sys.version_info < (3, 13):
        return None  # only from there on sendto() takes it
    loop = new_loop()
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(0.2)
    made = loop.create_datagram_endpoint(Paused, remote_addr=receiver.getsockname())
    transport, _ = loop.run_until_complete(made)
    transport.sendto(b"")
    run_for(loop, 0.01)
    try:
        receiver.recv(9)
    except TimeoutError:
        return "an empty datagram is not sent"


def check_flow_control(new_loop):
    loop = new_loop()
    transport, protocol, peer = endpoint(loop, socket.AF_UNIX)
    for _ in range(1000):
        transport.sendto(bytes(1000), peer.getsockname())
    if not protocol.is_paused:
        return "a megabyte waits to be sent, and pause_writing() was not called"


class ClosedWhenMade(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        transport.close()


def check_closed_in_connection_made(new_loop):
    loop = new_loop()
    ours, theirs = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    for sock in (ours, theirs):
        sock.bind(("127.0.0.1", 0))
    ours.connect(theirs.getsockname())
    ours.setblocking(False)
    making = loop.create_task(loop.create_datagram_endpoint(ClosedWhenMade, sock=ours))
    try:
        for _ in range(2):
            loop.call_later(0.05, loop.stop)
            loop.run_forever()
    except OSError as error:
        return f"run_forever() raises {type(error).__name__} once an endpoint was closed in connection_made()"
    making.cancel()


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
