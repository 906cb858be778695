"""Datagram endpoints.

    python check_datagrams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import importlib
import logging
import os
import socket
import subprocess
import sys
import tempfile

HERE = ("127.0.0.1", 0)


class Log(asyncio.DatagramProtocol):
    """Notes what it is told."""

    def __init__(self, act=lambda log: None):
        self.events, self.errors, self.act = [], [], act

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def datagram_received(self, data, address):
        self.events.append(data)
        self.act(self)

    def error_received(self, error):
        self.errors.append(error)

    def connection_lost(self, error):
        self.events.append("lost")


def endpoint(loop, log, **options):
    options = options or {"local_addr": HERE}
    loop.run_until_complete(loop.create_datagram_endpoint(lambda: log, **options))
    return log


def run_for(loop, seconds=0.05):
    loop.run_until_complete(asyncio.sleep(seconds))


def bound():
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(HERE)
    sock.settimeout(0.5)
    return sock


def check_connected_socket(loop):
    given, other = bound(), bound()
    given.connect(other.getsockname())
    log = endpoint(loop, Log(), sock=given)
    try:
        log.transport.sendto(b"x")
    except ValueError as error:
        return f"sendto() without an address on a connected socket: ValueError: {error}"
    return other.recv(10) != b"x" and "it does not arrive"


def check_refused(loop):
    with bound() as gone:
        address = gone.getsockname()
    log = endpoint(loop, Log(), remote_addr=address)
    try:
        for _ in range(2):
            log.transport.sendto(b"x")
            run_for(loop)
    except OSError as error:
        return f"sendto() raises {error!r} instead of telling error_received"
    return not (log.errors and log.events == ["made"]) and f"errors told: {log.errors}; events: {log.events}"


def check_too_large(loop):
    log = endpoint(loop, Log())
    try:
        log.transport.sendto(bytes(70_000), ("127.0.0.1", 9))
    except OSError as error:
        return f"sendto() raises {error!r} instead of telling error_received"
    run_for(loop)
    return not (log.errors and log.events == ["made"]) and f"errors told: {log.errors}; events: {log.events}"


def check_send_after_close(loop):
    log = endpoint(loop, Log())
    log.transport.close()
    try:
        log.transport.sendto(b"x", ("127.0.0.1", 9))
    except RuntimeError as error:
        return f"RuntimeError: {error}"


def check_close_in_datagram_received(loop):
    log = endpoint(loop, Log(act=lambda log: log.transport.close()))
    address, other = log.transport.get_extra_info("sockname"), bound()
    for _ in range(3):
        other.sendto(b"x", address)
    try:
        run_for(loop)
    except RuntimeError as error:
        return f"close() in datagram_received raises RuntimeError: {error}"
    return log.events != ["made", b"x", "lost"] and f"close() in the first datagram_received: {log.events}"


def check_close_frees_the_port(loop):
    log = endpoint(loop, Log())
    address = log.transport.get_extra_info("sockname")
    log.transport.close()
    run_for(loop)
    try:
        socket.socket(type=socket.SOCK_DGRAM).bind(address)
    except OSError as error:
        return f"after close() and connection_lost the port is still taken: {error}"


def check_raise_in_datagram_received(loop):
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    log = endpoint(loop, Log(act=lambda log: 1 / 0))
    bound().sendto(b"x", log.transport.get_extra_info("sockname"))
    try:
        run_for(loop)
    except ZeroDivisionError:
        return "it leaves run_until_complete()"
    return not told and "the exception handler is not told"


def check_raise_in_the_factory(loop):
    try:
        loop.run_until_complete(loop.create_datagram_endpoint(lambda: 1 / 0, local_addr=HERE))
    except ZeroDivisionError:
        return None
    return "create_datagram_endpoint does not raise what the factory raises"


def check_ipv6(loop):
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
            other.bind(("::1", 0))
            endpoint(loop, Log(), remote_addr=other.getsockname()[:2])
    except OSError as error:
        if error.errno in (97, 99):  # this machine has no IPv6
            return None
        return repr(error)
    except TypeError as error:
        return f"remote_addr of IPv6: TypeError: {error}"


def check_bytearray(loop):
    log = endpoint(loop, Log())
    try:
        log.transport.sendto(bytearray(b"x"), ("127.0.0.1", 9))
    except TypeError as error:
        return f"sendto(bytearray): TypeError: {error}"


def check_errno_of_an_address_in_use(loop):
    taken = bound()
    try:
        endpoint(loop, Log(), local_addr=taken.getsockname())
    except OSError as error:
        return error.errno is None and "the OSError has no errno"


def check_unix_addresses(loop):
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(f"{folder}/other")
        other.settimeout(0.5)
        options = {"local_addr": f"{folder}/own", "remote_addr": f"{folder}/other", "family": socket.AF_UNIX}
        try:
            endpoint(loop, Log(), **options).transport.sendto(b"x")
        except RuntimeError as error:
            return f"paths as local_addr and remote_addr with family=AF_UNIX: RuntimeError: {error}"
        return other.recv(10) != b"x" and "it does not arrive"


def check_sock_sendto_waits(loop):
    with tempfile.TemporaryDirectory() as folder:
        receiver, sender = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        receiver.bind(f"{folder}/receiver")
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(b"x", f"{folder}/receiver")
        try:
            loop.run_until_complete(asyncio.wait_for(loop.sock_sendto(sender, b"x", f"{folder}/receiver"), 0.1))
        except asyncio.TimeoutError:
            return None
        except OSError as error:
            return f"sock_sendto() to a receiver that is full does not wait for room: {error!r}"
        return "sock_sendto() to a receiver that is full ends"


def check_given_socket_is_closed(loop):
    given = bound()
    given.setblocking(False)
    log = endpoint(loop, Log(), sock=given)
    log.transport.close()
    run_for(loop)
    return (
        given.fileno() >= 0 and "the socket that was given stays open when the endpoint is closed, and keeps its port"
    )


def check_failed_datagrams_do_not_count(loop):
    other = bound()
    log = endpoint(loop, Log(), remote_addr=other.getsockname())
    try:
        for _ in range(3):
            log.transport.sendto(bytes(65_508))  # one too many
    except OSError as error:
        return f"sendto() raises {error!r} instead of telling error_received"
    run_for(loop)
    size = log.transport.get_write_buffer_size()
    return size and f"datagrams that failed stay in get_write_buffer_size(): {size}"


def check_broadcast(loop):
    peer = bound()
    log = endpoint(loop, Log(), local_addr=HERE, remote_addr=peer.getsockname(), allow_broadcast=True)
    log.transport.sendto(b"x")
    run_for(loop)
    if log.errors or "lost" in log.events:
        return f"sendto() with remote_addr= and allow_broadcast=True: {log.errors or 'the endpoint is lost'}"
    return peer.recv(10) != b"x" and "it does not arrive"


def check_both_addresses(loop):
    peer, other = bound(), bound()
    address = other.getsockname()
    other.close()  # a port that is free
    log = endpoint(loop, Log(), local_addr=address, remote_addr=peer.getsockname())
    log.transport.sendto(b"x")
    run_for(loop)
    try:
        sender = peer.recvfrom(10)[1]
    except TimeoutError:
        return "with local_addr= and remote_addr= what is sent does not arrive"
    return sender != address and f"local_addr={address} is not bound: the datagram comes from {sender}"


def check_second_address(loop):
    async def getaddrinfo(*_, **__):
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (host, 0)) for host in ("192.0.2.1", HERE[0])]

    loop.getaddrinfo = getaddrinfo
    try:
        endpoint(loop, Log(), local_addr=("a-name", 0))
    except OSError as error:
        return f"a name whose first address is not ours, and whose second is: {error!r}"


def check_endless_datagrams(loop):
    had_a_turn = []

    def again(log):
        if not had_a_turn and len(log.events) < 5000:
            log.transport.sendto(b"x", log.transport.get_extra_info("sockname"))

    async def main():
        again(log)
        while len(log.events) < 2:
            await asyncio.sleep(0)
        had_a_turn.append(True)

    log = endpoint(loop, Log(again))
    loop.run_until_complete(main())
    return len(log.events) == 5000 and "a datagram for each that was received: 4999 before a task has its turn"


def check_list_of_numbers(loop):
    log = endpoint(loop, Log())
    with contextlib.suppress(TypeError):
        log.transport.sendto([1, 2], log.transport.get_extra_info("sockname"))
        return "sendto() takes a list for bytes"


CHECKS = {name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")}
SECONDS_MAX = 5  # of a check


def run_one(spec, name):
    """Runs one check here: prints what is wrong, or nothing."""
    module, _, factory = spec.partition(":")
    loop = getattr(importlib.import_module(module), factory)()
    logging.disable(logging.CRITICAL)
    try:
        wrong = CHECKS[name](loop)
    except NotImplementedError:
        wrong = None
        print("not implemented")
    print(wrong or "", flush=True)
    os._exit(1 if wrong else 0)


def main(spec, *chosen):
    is_wrong = False
    for name in chosen or CHECKS:
        try:
            done = subprocess.run(
                [sys.executable, __file__, spec, "--here", name], capture_output=True, text=True, timeout=SECONDS_MAX
            )
            status = done.returncode
            said = done.stdout.strip()
            if status and not said:
                said = f"it ended with status {status}: {(done.stderr.splitlines() or [''])[-1]}"
        except subprocess.TimeoutExpired:
            status, said = 1, "it hangs"
        is_wrong |= status != 0
        print(f"{name}: {'WRONG: ' + said if status else said or 'right'}")
    return 1 if is_wrong else 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] == "--here":
        run_one(sys.argv[1], sys.argv[3])
    if len(sys.argv) < 2 or ":" not in sys.argv[1] or set(sys.argv[2:]) - set(CHECKS):
        print(f"{__doc__}\nThe checks are {', '.join(CHECKS)}.", file=sys.stderr)
        sys.exit(2)
    module, _, factory = sys.argv[1].partition(":")
    getattr(importlib.import_module(module), factory)  # fails here once rather than in each check
    sys.exit(main(*sys.argv[1:]))
