"""uvloop: protocols that raise or end their transport where it asks them, one check each.

    python uvloop_exceptions.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import socket
import sys


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


class Cancelling(asyncio.DatagramProtocol):
    def datagram_received(self, data, address):
        raise asyncio.CancelledError


def check_cancelled_error_of_an_endpoint(new_loop):
    loop = new_loop()
    listen_to_errors(loop)
    transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(Cancelling, ("127.0.0.1", 0)))
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", transport.get_extra_info("sockname"))
    loop.call_later(0.05, loop.stop)
    if raises(asyncio.CancelledError, loop.run_forever):
        return "a CancelledError in datagram_received leaves run_forever"


class Raising(asyncio.DatagramProtocol):
    def datagram_received(self, data, address):
        raise ValueError


def check_message_of_an_error(new_loop):
    loop = new_loop()
    errors = listen_to_errors(loop)
    transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(Raising, ("127.0.0.1", 0)))
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", transport.get_extra_info("sockname"))
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    if [bool(error.get("message")) for error in errors] != [True]:
        return f"the exception handler is told of a ValueError in datagram_received by {errors}"


class Closing(asyncio.BufferedProtocol):
    def __init__(self, verb):
        self.verb, self.buffer, self.is_lost = verb, bytearray(4096), False

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        getattr(self.transport, self.verb)()
        return self.buffer

    def buffer_updated(self, nbytes):
        pass

    def connection_lost(self, exc):
        self.is_lost = True


def end_in_get_buffer(new_loop, verb):
    loop, protocol = new_loop(), Closing(verb)
    ours, theirs = socket.socketpair()
    loop.run_until_complete(loop.create_unix_connection(lambda: protocol, sock=ours))
    theirs.send(bytes(4096))
    loop.call_later(0.1, loop.stop)
    loop.run_forever()
    return not protocol.is_lost and f"{verb}() inside get_buffer() is not followed by connection_lost()"


def check_close_in_get_buffer(new_loop):
    return end_in_get_buffer(new_loop, "close")


def check_abort_in_get_buffer(new_loop):
    return end_in_get_buffer(new_loop, "abort")


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
