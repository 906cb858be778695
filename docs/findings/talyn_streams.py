"""talyn: stream transports: half-closed connections, bytes and ends that get lost.

    python talyn_streams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import importlib
import multiprocessing
import os
import pathlib
import socket
import struct
import sys
import tempfile
import threading


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


class Stays(Log):
    """Keeps its half of the connection open after the end of file."""

    def eof_received(self):
        super().eof_received()
        return True


def check_error_after_eof_received_raised(new_loop):
    class Raises(Log):
        def eof_received(self):
            raise ZeroDivisionError("planted")

    loop, protocol = new_loop(), Raises()
    listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    peer.close()
    run_for(loop, 0.1)
    if not isinstance(protocol.error, ZeroDivisionError):
        return f"eof_received() raised ZeroDivisionError, and connection_lost() is given {protocol.error!r}"


def check_answers_of_eof_received(new_loop):
    class Answers(Log):
        def eof_received(self):
            return answer

    loop, wrong = new_loop(), []
    for answer in (True, 1, "yes", None, 0):
        transport, peer = connect(loop, Answers())
        peer.shutdown(socket.SHUT_WR)
        run_for(loop, 0.05)
        if transport.is_closing() == bool(answer):
            wrong.append(repr(answer))
        transport.abort()
        run_for(loop, 0.01)
    if wrong:
        return f"the answers {', '.join(wrong)} of eof_received() do not count by their truth"


def check_reset_after_write(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    run_for(loop, 0.01)
    transport.write(bytes(10_000_000))
    run_for(loop, 0.01)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    run_for(loop, 0.1)
    if "lost" not in protocol.events:
        return f"a reset by the peer while data waits to be sent is not told; {protocol.events}"
    if protocol.error is None:
        return "a reset by the peer while data waits to be sent: connection_lost(None)"


def check_stop_in_pause_writing(new_loop):
    class Stops(Log):
        def pause_writing(self):
            loop.stop()

    loop = new_loop()
    transport, peer = connect(loop, Stops())
    transport.write(bytes(10_000_000))
    try:
        loop.run_forever()
    except RuntimeError as error:
        return f"stop() in pause_writing(): the next run raises {error!r}"


def check_resume_writing_after_close(new_loop):
    class Flow(Log):
        def pause_writing(self):
            self.events.append("pause")

        def resume_writing(self):
            self.events.append("resume")

    loop, protocol, got = new_loop(), Flow(), []
    transport, peer = connect(loop, protocol)
    transport.write(bytes(8_000_000))
    transport.close()
    thread = threading.Thread(target=lambda: got.extend(iter(lambda: len(peer.recv(1_000_000)), 0)))
    thread.start()
    run_for(loop, 0.5)
    thread.join()
    if "resume" not in protocol.events:
        return f"close() while writing is paused: {sum(got)} bytes of 8000000 are sent, and {protocol.events} is told"


def check_given_unix_socket(new_loop):
    loop = new_loop()
    ours, peer = socket.socketpair()
    try:
        loop.run_until_complete(loop.create_unix_connection(Log, sock=ours))
    except (TypeError, NotImplementedError) as error:
        return f"create_unix_connection(sock=...) raises {error!r}"


def check_unix_socket_for_create_server(new_loop):
    loop, listener = new_loop(), socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(tempfile.mkdtemp(), "socket"))
    try:
        loop.run_until_complete(loop.create_server(Log, sock=listener))
    except Exception as error:
        return f"create_server() of a UNIX socket raises {error!r}"


def check_bound_socket_for_create_server(new_loop):
    loop, bound = new_loop(), socket.socket()
    listen_to_errors(loop)
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()
    server = loop.run_until_complete(loop.create_server(Log, sock=bound))
    try:
        socket.create_connection(address, 1).close()
    except OSError as error:
        return f"create_server(sock=) with a socket that is bound: a client gets {error!r}"
    server.close()


def check_path_objects(new_loop):
    loop, folder = new_loop(), pathlib.Path(tempfile.mkdtemp())
    for path in (folder / "one", os.fsencode(folder / "two")):
        try:
            loop.run_until_complete(loop.create_unix_server(Log, path))
        except (TypeError, NotImplementedError) as error:
            return f"create_unix_server() with a path of {type(path)} raises {error!r}"


def check_file_in_the_way(new_loop):
    loop, path = new_loop(), os.path.join(tempfile.mkdtemp(), "file")
    pathlib.Path(path).write_text("precious")
    try:
        loop.run_until_complete(loop.create_unix_server(Log, path))
    except OSError:
        return None
    except NotImplementedError as error:
        return repr(error)
    fate = "stays" if os.path.isfile(path) else "is deleted"
    return f"create_unix_server() where a plain file is: no error, and the file {fate}"


def check_long_path(new_loop):
    loop = new_loop()
    try:
        loop.run_until_complete(loop.create_unix_connection(Log, "/" + "x" * 200))
    except OSError:
        return None
    except Exception as error:
        return f"create_unix_connection() with a path that is too long raises {error!r} instead of an OSError"


def check_stream_methods_missing(new_loop):
    loop = new_loop()
    transport, peer = connect(loop, Log())
    names = ("set_protocol", "get_protocol", "writelines", "can_write_eof", "get_write_buffer_limits", "is_reading")
    missing = [name for name in names if not hasattr(transport, name)]
    for name in ("get_protocol", "can_write_eof", "is_reading"):
        with contextlib.suppress(AttributeError):
            if raises(NotImplementedError, getattr(transport, name)):
                missing.append(name)
    if missing:
        return f"a transport has no {', '.join(missing)}"


def check_abort_after_write_eof(new_loop):
    loop, protocol = new_loop(), Stays()
    transport, peer = connect(loop, protocol)
    peer.shutdown(socket.SHUT_WR)
    run_for(loop, 0.02)
    transport.write_eof()
    run_for(loop, 0.02)
    transport.abort()
    run_for(loop, 0.1)
    if "lost" not in protocol.events:
        return "abort() after both sides ended their halves: connection_lost() is never called"


def check_abort_at_once_after_write_eof(new_loop):
    loop, protocol = new_loop(), Stays()
    transport, peer = connect(loop, protocol)
    peer.shutdown(socket.SHUT_WR)
    run_for(loop, 0.02)
    transport.write_eof()
    transport.abort()
    run_for(loop, 0.1)
    if "lost" not in protocol.events:
        return "write_eof() and abort() after the peer ended its half: connection_lost() is never called"


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
