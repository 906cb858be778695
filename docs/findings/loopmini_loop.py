"""loopmini: what the loop itself does wrong: close(), stop(), watchers, timers.

    python loopmini_loop.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import signal
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


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


def count_fds():
    return len(os.listdir("/proc/self/fd"))


def check_close_keeps_fds(new_loop):
    loops = [new_loop()]
    loops[0].run_until_complete(asyncio.sleep(0))
    loops[0].close()
    before = count_fds()
    for _ in range(5):
        loops.append(new_loop())
        loops[-1].run_until_complete(asyncio.sleep(0))
        loops[-1].close()
    if count_fds() > before:
        return f"5 closed loops hold {count_fds() - before} fds"


def check_stop_before_run(new_loop):
    loop, ran = new_loop(), []
    loop.call_soon(ran.append, 1)
    loop.stop()
    loop.run_forever()
    if not ran:
        return "stop() before run_forever(): what is ready does not run"


def check_fd_of_a_transport(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    fd = transport.get_extra_info("socket").fileno()
    if raises(RuntimeError, lambda: loop.add_reader(fd, print)):
        return None
    loop.remove_reader(fd)
    peer.send(b"x")
    run_for(loop, 0.1)
    return f"the fd of a transport can be watched; the transport is then {'not ' if protocol.data else ''}deaf"


def check_order_of_overdue_timers(new_loop):
    loop, order = new_loop(), []
    now = loop.time()
    for late_s in (0, 2, 1, 3):
        loop.call_at(now - late_s, order.append, late_s)
    run_for(loop, 0.01)
    if order != [3, 2, 1, 0]:
        return f"timers that are late by these seconds run in this order: {order}"


def check_closed_fd_spoils_its_number(new_loop):
    loop, calls = new_loop(), []
    with socket.socket() as sock:
        number = sock.fileno()
    raises(OSError, lambda: loop.add_reader(number, print))
    reader, writer = os.pipe()
    if reader != number:
        return None
    os.write(writer, b"x")
    try:
        loop.add_reader(reader, lambda: (calls.append(1), loop.remove_reader(reader)))
        run_for(loop, 0.05)
    except OSError as error:
        return f"after add_reader() of a closed fd, which raised, its next owner cannot be watched: {error!r}"
    if not calls:
        return "after add_reader() of a closed fd, which raised, the next file of that number is deaf"


def check_closed_loop_takes_watchers(new_loop):
    loop = new_loop()
    run_for(loop, 0.01)
    loop.close()
    reader, writer = os.pipe()
    taken = []
    if not raises(RuntimeError, lambda: loop.add_reader(reader, print)):
        taken.append("add_reader")
    if not raises(RuntimeError, lambda: loop.add_signal_handler(signal.SIGUSR1, print)):
        taken.append("add_signal_handler")
    if taken:
        return f"a closed loop takes {' and '.join(taken)}"


def check_urgent_data(new_loop):
    loop, calls = new_loop(), []
    ours, peer = tcp_pair()

    def read():
        loop.remove_reader(ours)
        try:
            calls.append(ours.recv(10))
        except BlockingIOError as error:
            calls.append(error)

    loop.add_reader(ours, read)
    peer.send(b"!", socket.MSG_OOB)
    run_for(loop, 0.05)
    if calls:
        return f"a reader is called for urgent data alone, and recv() gives {calls[0]!r}"


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
