"""talyn: datagram endpoints.

    python talyn_datagrams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import errno
import importlib
import multiprocessing
import os
import socket
import sys
import tempfile
import threading


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


class Notes(asyncio.DatagramProtocol):
    def __init__(self):
        self.events = []

    def datagram_received(self, data, address):
        self.events.append(data)

    def error_received(self, error):
        self.events.append(error)

    def connection_lost(self, error):
        self.events.append("lost")


def udp(address=("127.0.0.1", 0)):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    sock.settimeout(0.5)
    return sock


def endpoint(loop, protocol, *args, **options):
    return loop.run_until_complete(loop.create_datagram_endpoint(lambda: protocol, *args, **options))[0]


def check_positional_address(new_loop):
    loop = new_loop()
    made = loop.create_datagram_endpoint(Notes, ("127.0.0.1", 0))
    transport, _ = loop.run_until_complete(made)
    name = transport.get_extra_info("socket").getsockname()
    if name[0] != "127.0.0.1" or name[1] == 0:
        return f"create_datagram_endpoint(factory, ('127.0.0.1', 0)) is bound to {name}"


def check_peername(new_loop):
    loop, peer = new_loop(), udp()
    transport = endpoint(loop, Notes(), remote_addr=peer.getsockname())
    if transport.get_extra_info("peername") != peer.getsockname():
        return f"get_extra_info('peername') of an endpoint with remote_addr is {transport.get_extra_info('peername')}"


def check_raising_datagram_received(new_loop):
    class Raises(Notes):
        def datagram_received(self, data, address):
            super().datagram_received(data, address)
            if data == b"1":
                raise ZeroDivisionError("planted")

    loop, protocol, peer = new_loop(), Raises(), udp()
    listen_to_errors(loop)
    transport = endpoint(loop, protocol, local_addr=("127.0.0.1", 0))
    for data in (b"1", b"2"):
        peer.sendto(data, transport.get_extra_info("socket").getsockname())
        run_for(loop, 0.05)
    if protocol.events != [b"1", b"2"]:
        return f"after datagram_received() raised, the endpoint is deaf: {protocol.events}"


def check_raising_error_received(new_loop):
    class Raises(Notes):
        def error_received(self, error):
            raise ZeroDivisionError("planted")

    loop, protocol, peer = new_loop(), Raises(), udp()
    listen_to_errors(loop)
    address = peer.getsockname()
    transport = endpoint(loop, protocol, remote_addr=address)
    peer.close()
    transport.sendto(b"to nobody")
    run_for(loop, 0.05)
    peer = udp(address)
    peer.sendto(b"1", transport.get_extra_info("sockname"))
    run_for(loop, 0.05)
    if protocol.events != [b"1"]:
        return f"after error_received() raised, the endpoint is deaf: {protocol.events}"


def check_sendto_after_close(new_loop):
    loop, peer = new_loop(), udp()
    listen_to_errors(loop)
    transport = endpoint(loop, Notes(), local_addr=("127.0.0.1", 0))
    transport.close()
    try:
        transport.sendto(b"late", peer.getsockname())
    except Exception as error:
        return f"sendto() after close() raises {error!r}"


def check_other_address(new_loop):
    loop, peer, other = new_loop(), udp(), udp()
    transport = endpoint(loop, Notes(), remote_addr=peer.getsockname())
    if not raises(ValueError, lambda: transport.sendto(b"x", other.getsockname())):
        return "sendto() of an endpoint with remote_addr takes another address"


def check_socket_and_address(new_loop):
    loop, sock = new_loop(), udp()
    sock.setblocking(False)
    if not raises(ValueError, lambda: endpoint(loop, Notes(), local_addr=("127.0.0.1", 0), sock=sock)):
        return "create_datagram_endpoint() takes a socket and an address at once"


def check_marks(new_loop):
    loop, wrong = new_loop(), []
    transport = endpoint(loop, Notes(), local_addr=("127.0.0.1", 0))
    try:
        transport.set_write_buffer_limits(low=10)
    except ValueError as error:
        wrong.append(f"set_write_buffer_limits(low=10) raises {error!r}")
    if not raises(ValueError, lambda: transport.set_write_buffer_limits(high=1, low=2)):
        wrong.append("set_write_buffer_limits(high=1, low=2) is taken")
    if wrong:
        return "of an endpoint: " + "; ".join(wrong)


def check_errno_of_an_address_in_use(new_loop):
    loop, taken = new_loop(), udp()
    try:
        endpoint(loop, Notes(), local_addr=taken.getsockname())
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return f"an address in use raises {error!r} with errno {error.errno}"


def check_answers_to_a_broadcast(new_loop):
    loop, protocol, peer, other = new_loop(), Notes(), udp(), udp()
    options = {"local_addr": ("127.0.0.1", 0), "remote_addr": peer.getsockname(), "allow_broadcast": True}
    transport = endpoint(loop, protocol, **options)
    transport.sendto(b"who is there?")
    run_for(loop, 0.05)
    other.sendto(b"me", peer.recvfrom(100)[1])
    run_for(loop, 0.05)
    if b"me" not in protocol.events:
        return f"allow_broadcast=True with remote_addr: an answer from another address is dropped; {protocol.events}"


def check_datagrams_that_wait(new_loop):
    loop = new_loop()
    name = os.path.join(tempfile.mkdtemp(), "socket")
    peer, ours = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    peer.bind(name)
    ours.connect(name)
    peer.setblocking(False)
    ours.setblocking(False)
    transport = endpoint(loop, Notes(), sock=ours)
    for number in range(100):
        transport.sendto(b"%d" % number)
    got = []
    for _ in range(100):
        run_for(loop, 0.002)
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(peer.recv(9))
    if got != [b"%d" % number for number in range(100)]:
        return f"of 100 datagrams to a UNIX socket that takes some at a time {len(got)} arrive; the last is {got[-1]!r}"


def check_close_sends_what_waits(new_loop):
    loop, protocol = new_loop(), Notes()
    name = os.path.join(tempfile.mkdtemp(), "socket")
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(name)
    peer.settimeout(0.5)
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.connect(name)
    transport = endpoint(loop, protocol, sock=ours)
    for number in range(100):
        transport.sendto(str(number).encode())
    transport.close()

    def read():
        with contextlib.suppress(TimeoutError):
            while len(got) < 100:
                got.append(peer.recv(9))

    got = []
    reader = threading.Thread(target=read)
    reader.start()
    run_for(loop, 0.3)
    reader.join()
    if got != [str(number).encode() for number in range(100)]:
        return f"of 100 datagrams before close() {len(got)} arrive, the last is {got[-1]!r}"


def check_port_that_is_too_large(new_loop):
    loop, protocol, peer = new_loop(), Notes(), udp()
    listen_to_errors(loop)
    transport = endpoint(loop, protocol, local_addr=("127.0.0.1", 0))
    with contextlib.suppress(Exception):
        transport.sendto(b"x", ("127.0.0.1", peer.getsockname()[1] + 65536))
    run_for(loop, 0.05)
    peer.settimeout(0.2)
    try:
        peer.recv(9)
    except TimeoutError:
        return None
    return "sendto() to a port beyond 65535 sends the datagram to that port less 65536"


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
