"""bracio: add_reader() and add_writer(), and what they do where the arguments are given as one tuple.

    python bracio_watchers.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextvars
import importlib
import multiprocessing
import os
import socket
import sys
import time


def run_for(loop, seconds):
    loop.run_until_complete(asyncio.sleep(seconds))


def add(method, fd, callback):
    """As asyncio has it, or with the tuple of arguments that bracio asks for."""
    try:
        method(fd, callback)
    except TypeError:
        method(fd, callback, ())


def pair():
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    return ours, peer


def check_no_arguments(new_loop):
    loop = new_loop()
    ours, _ = pair()
    try:
        loop.add_reader(ours.fileno(), print)
    except TypeError as error:
        return f"add_reader(fd, callback) raises TypeError: {error}"


def check_two_arguments(new_loop):
    loop = new_loop()
    ours, _ = pair()
    try:
        loop.add_writer(ours.fileno(), print, 1, 2)
    except TypeError as error:
        return f"add_writer(fd, callback, 1, 2) raises TypeError: {error}"


def check_socket_object(new_loop):
    loop = new_loop()
    ours, _ = pair()
    try:
        add(loop.add_reader, ours, print)
    except TypeError as error:
        return f"add_reader(socket, ...) raises TypeError: {error}"


def check_half_read(new_loop):
    loop, seen = new_loop(), []
    ours, peer = pair()
    add(loop.add_reader, ours.fileno(), lambda: seen.append(ours.recv(1)))
    peer.send(b"four")
    run_for(loop, 0.1)
    if b"".join(seen) != b"four":
        return f"a reader that takes a byte a call is called for {seen} of four bytes"


def check_writable_once(new_loop):
    loop, calls = new_loop(), []
    ours, _ = pair()
    add(loop.add_writer, ours.fileno(), lambda: calls.append(1))
    run_for(loop, 0.1)
    if len(calls) < 2:
        return f"a writer of a socket that has room is called {len(calls)} times in 0.1 s"


def check_both_sides(new_loop):
    loop, seen = new_loop(), []
    ours, peer = pair()
    add(loop.add_writer, ours.fileno(), lambda: (seen.append("writer"), loop.remove_writer(ours.fileno())))
    add(loop.add_reader, ours.fileno(), lambda: seen.append(ours.recv(10)))
    peer.send(b"x")
    run_for(loop, 0.1)
    if sorted(map(str, seen)) != ["b'x'", "writer"]:
        return f"a reader and a writer of one fd, both ready: {seen} were called"


def check_removed_by_another(new_loop):
    loop, calls = new_loop(), []
    first, second = pair(), pair()

    def remove_both():
        calls.append(1)
        loop.remove_reader(first[0].fileno())
        loop.remove_reader(second[0].fileno())

    for ours, peer in (first, second):
        add(loop.add_reader, ours.fileno(), remove_both)
        peer.send(b"x")
    time.sleep(0.05)
    run_for(loop, 0.1)
    if len(calls) != 1:
        return f"each of two readers that are ready removes both, and {len(calls)} are called"


def check_value_of_remove(new_loop):
    loop = new_loop()
    ours, _ = pair()
    add(loop.add_reader, ours.fileno(), print)
    values = loop.remove_reader(ours.fileno()), loop.remove_reader(ours.fileno())
    if values != (True, False):
        return f"remove_reader() of a reader, and once more, gives {values}"


def check_raise_in_a_reader(new_loop):
    loop, errors = new_loop(), []
    ours, peer = pair()
    loop.set_exception_handler(lambda loop, context: errors.append(context))

    def fail():
        loop.remove_reader(ours.fileno())
        raise ZeroDivisionError("planted")

    add(loop.add_reader, ours.fileno(), fail)
    peer.send(b"x")
    run_for(loop, 0.1)
    if not errors:
        return "what a reader raises is not told to the exception handler"


def check_context_of_a_reader(new_loop):
    variable, seen, loop = contextvars.ContextVar("variable", default="unset"), [], new_loop()
    ours, peer = pair()

    def asked():
        variable.set("set")
        add(loop.add_reader, ours.fileno(), lambda: (seen.append(variable.get()), loop.remove_reader(ours.fileno())))

    contextvars.copy_context().run(asked)
    peer.send(b"x")
    run_for(loop, 0.1)
    if seen != ["set"]:
        return f"a reader runs in another context than that which asked for it: it sees {seen}"


def check_closed_fd(new_loop):
    loop = new_loop()
    ours, peer = pair()
    number = ours.fileno()
    ours.close()
    try:
        add(loop.add_reader, number, print)
    except (OSError, ValueError):
        return None
    run_for(loop, 0.02)
    return "add_reader() takes an fd that is closed"


def check_plain_file(new_loop):
    loop = new_loop()
    with open(__file__) as file:
        try:
            add(loop.add_reader, file.fileno(), print)
        except OSError:
            return None
        run_for(loop, 0.02)
    return "add_reader() takes a plain file and never calls"


def check_closed_loop(new_loop):
    loop = new_loop()
    ours, _ = pair()
    loop.close()
    try:
        add(loop.add_reader, ours.fileno(), print)
    except RuntimeError:
        return None
    return "add_reader() of a closed loop is taken"


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
