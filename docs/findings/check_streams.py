"""Stream transports: closing, ends, resets, writing, exceptions of protocols.

    python check_streams.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import socket
import struct
import subprocess
import sys
import threading


class Log(asyncio.Protocol):
    """Notes what it is told; `hooks` are called then."""

    def __init__(self, **hooks):
        self.events, self.data, self.error, self.hooks = [], b"", None, hooks

    def tell(self, event):
        self.events.append(event)
        if event in self.hooks:
            return self.hooks[event](self)

    def connection_made(self, transport):
        self.transport = transport
        self.tell("made")

    def data_received(self, data):
        self.data += data
        self.tell("data")

    def eof_received(self):
        return self.tell("eof")

    def pause_writing(self):
        self.tell("pause")

    def resume_writing(self):
        self.tell("resume")

    def connection_lost(self, error):
        self.error = error
        self.tell("lost")


def connect(loop, **hooks):
    """A protocol that is connected, and the blocking socket at the other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    ours.setblocking(False)
    peer.settimeout(0.5)
    log = Log(**hooks)
    loop.run_until_complete(loop.create_connection(lambda: log, sock=ours))
    return log, peer


def run_for(loop, seconds=0.05):
    loop.run_until_complete(asyncio.sleep(seconds))


def sees_the_end(peer):
    """Does the other side read all that there is, and then the end?"""
    try:
        while peer.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def planted(log):
    raise ZeroDivisionError("planted")


def check_close(loop):
    log, peer = connect(loop)
    log.transport.close()
    run_for(loop)
    return not sees_the_end(peer) and "after close() and connection_lost the other side does not see the end"


def check_close_in_a_run(loop):
    log, peer = connect(loop)

    async def main():
        log.transport.close()
        await asyncio.sleep(0.05)
        return sees_the_end(peer)

    return not loop.run_until_complete(main()) and "while the run goes on the other side does not see the end"


def check_close_and_drop(loop):
    log, peer = connect(loop)
    log.transport.close()
    run_for(loop)
    del log
    gc.collect()
    return not sees_the_end(peer) and "also when the transport is dropped, the other side never sees the end"


def check_connection_lost_is_a_callback(loop):
    log, peer = connect(loop)
    log.transport.close()
    return "lost" in log.events and "close() calls connection_lost before it returns"


def check_abort_twice(loop):
    log, peer = connect(loop)
    log.transport.abort()
    log.transport.abort()
    run_for(loop)
    return log.events.count("lost") != 1 and f"connection_lost is called {log.events.count('lost')} times"


def check_write_after_close(loop):
    log, peer = connect(loop)
    log.transport.close()
    run_for(loop)
    try:
        log.transport.write(b"late")
        return peer.recv(10) == b"late" and "what is written after close() and connection_lost is sent"
    except (OSError, RuntimeError):
        pass


def check_reset(loop):
    log, peer = connect(loop)
    run_for(loop)
    reset(peer)
    run_for(loop, 0.3)
    if "lost" not in log.events:
        return "a connection that its peer resets is never told as lost"
    return log.error is None and "a reset is told as an orderly end"


def check_reset_while_writing(loop):
    log, peer = connect(loop)
    log.transport.write(bytes(1 << 23))
    run_for(loop)
    reset(peer)
    run_for(loop, 0.3)
    return "lost" not in log.events and "a reset is not told while data waits to be written"


def check_end_is_told_once(loop):
    log, peer = connect(loop, eof=lambda log: True)
    peer.shutdown(socket.SHUT_WR)
    run_for(loop)
    return log.events.count("eof") != 1 and f"eof_received is called {log.events.count('eof')} times"


def check_paused_end(loop):
    log, peer = connect(loop)
    log.transport.pause_reading()
    peer.send(b"x")
    peer.close()
    run_for(loop)
    early = list(log.events)
    log.transport.resume_reading()
    run_for(loop)
    return (early != ["made"] or log.events[:3] != ["made", "data", "eof"]) and f"{early}, then {log.events}"


def check_flow_control(loop):
    log, peer = connect(loop)
    log.transport.write(bytes(1 << 22))
    run_for(loop)
    told = list(log.events)
    peer.setblocking(False)

    async def drain():
        left = 1 << 22
        while left:
            left -= len(await loop.sock_recv(peer, 1 << 20))

    loop.run_until_complete(asyncio.wait_for(drain(), 2))
    run_for(loop)
    return log.events != ["made", "pause", "resume"] and f"4 MiB written: {told}, and when they are read: {log.events}"


def check_order_of_writes(loop):
    log, peer = connect(loop)
    peer.setblocking(False)
    pattern, got = bytes(range(251)) * 20_000, bytearray()
    log.transport.write(pattern)
    for _ in range(3):
        got += peer.recv(1 << 20)
    log.transport.write(b"THE END")
    for _ in range(400):
        run_for(loop, 0.005)
        try:
            got += peer.recv(1 << 20)
        except BlockingIOError:
            continue
        if len(got) >= len(pattern) + 7:
            break
    expected = pattern + b"THE END"
    return got != expected and f"of {len(expected)} bytes {len(got)} arrive; the last 7 at {got.find(b'THE END')}"


def check_write_in_pause_writing(loop):
    log, peer = connect(loop, pause=lambda log: log.transport.write(b"x"))
    log.transport.write(bytes(1 << 22))


def check_abort_in_pause_writing(loop):
    log, peer = connect(loop, pause=lambda log: log.transport.abort())
    log.transport.write(bytes(1 << 22))


def check_writelines(loop):
    log, peer = connect(loop)
    try:
        log.transport.writelines([b"one", bytearray(b" "), memoryview(b"two")])
    except AttributeError as error:
        return f"AttributeError: {error}"
    run_for(loop)
    return peer.recv(10) != b"one two" and "other bytes arrive"


def check_set_protocol(loop):
    log, peer = connect(loop)
    try:
        log.transport.set_protocol(Log())
    except AttributeError as error:
        return f"AttributeError: {error}"


def check_buffered_protocol(loop):
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self):
            self.space, self.sizes = bytearray(10), []

        def get_buffer(self, sizehint):
            return self.space

        def buffer_updated(self, nbytes):
            self.sizes.append(nbytes)

    log, peer = connect(loop)
    ours, peer = socket.socketpair()
    protocol = Buffered()
    loop.run_until_complete(loop.create_connection(lambda: protocol, sock=ours))
    peer.send(bytes(25))
    run_for(loop)
    return protocol.sizes != [10, 10, 5] and f"25 bytes into a buffer of 10 are told as {protocol.sizes}"


def check_bad_buffer(loop):
    class Bad(asyncio.BufferedProtocol):
        lost = False

        def get_buffer(self, sizehint):
            return None

        def connection_lost(self, error):
            self.lost = True

    ours, peer = socket.socketpair()
    protocol = Bad()
    loop.run_until_complete(loop.create_connection(lambda: protocol, sock=ours))
    peer.send(b"x")
    run_for(loop)
    return not protocol.lost and "get_buffer() returned None, and the connection stays"


def check_raise_in_data_received(loop):
    told = []
    loop.set_exception_handler(lambda loop, context: told.append(context.get("exception")))
    log, peer = connect(loop, data=planted)
    peer.send(b"x")
    try:
        run_for(loop)
    except ZeroDivisionError:
        return "it leaves run_until_complete()"
    return not (told and log.transport.is_closing()) and "nobody is told, and the connection stays open"


def check_exit_in_data_received(loop):
    log, peer = connect(loop, data=lambda log: sys.exit(3))
    peer.send(b"x")
    try:
        run_for(loop)
    except SystemExit:
        return loop.is_running() and "afterwards the loop says that it is running"
    return "SystemExit in data_received does not leave the run"


def check_write_eof_while_bytes_wait(loop):
    log, peer = connect(loop)
    much = bytes(4 << 20)
    received = bytearray()

    def read():
        try:
            while data := peer.recv(1 << 20):
                received.extend(data)
        except OSError:
            pass

    log.transport.write(much)
    log.transport.write_eof()
    thread = threading.Thread(target=read)
    thread.start()
    run_for(loop, 0.5)
    thread.join(1)
    return len(received) != len(much) and f"write_eof() behind a write: {len(received)} of {len(much)} bytes arrive"


def check_get_buffer_raises_later(loop):
    lost = []

    class Later(asyncio.BufferedProtocol):
        asked = 0

        def get_buffer(self, sizehint):
            self.asked += 1
            return bytearray(2) if self.asked < 3 else 1 // 0

        def buffer_updated(self, count):
            pass

        def connection_lost(self, error):
            lost.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    ours.setblocking(False)
    loop.set_exception_handler(lambda loop, context: None)
    loop.run_until_complete(loop.create_connection(Later, sock=ours))
    peer.send(b"hello")
    run_for(loop, 0.1)
    return not any(lost) and f"after an exception in get_buffer() connection_lost() was given {lost}"


def check_resume_at_the_low_mark(loop):
    left = []
    log, peer = connect(loop, resume=lambda log: left.append(log.transport.get_write_buffer_size()))
    log.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
    log.transport.set_write_buffer_limits(high=1_000_000, low=900_000)
    for _ in range(64):
        log.transport.write(bytes(100_000))
    peer.setblocking(False)
    for _ in range(200):
        with contextlib.suppress(BlockingIOError):
            peer.recv(100_000)
        if not left:
            run_for(loop, 0.001)
    if not left:
        return "resume_writing() never comes"
    return left[0] == 0 and "with a low mark of 900,000 resume_writing() comes only when nothing waits"


def check_write_eof_after_close(loop):
    log, _ = connect(loop)
    log.transport.close()
    try:
        log.transport.write_eof()
    except RuntimeError as error:
        return f"write_eof() after close() raises RuntimeError: {error}"


def check_names_in_connection_lost(loop):
    names = []
    log, peer = connect(loop, lost=lambda log: names.append(log.transport.get_extra_info("peername")))
    log.transport.close()
    run_for(loop)
    return names != [peer.getsockname()] and f"peername in connection_lost(): {names}"


def check_write_of_integers(loop):
    log, peer = connect(loop)
    wrong = []
    try:
        log.transport.write([1, 2])
        wrong.append("write() takes a list for bytes")
    except TypeError:
        pass
    view = memoryview(bytes(range(8))).cast("I")
    try:
        log.transport.write(view)
        run_for(loop)
        wrong += [] if peer.recv(100).endswith(view.tobytes()) else ["a view of integers is sent as other bytes"]
    except (OverflowError, TypeError) as error:
        wrong.append(f"write() of a view of integers raises {error!r}")
    return "; ".join(wrong)


def check_get_buffer_before_connection_made(loop):
    events = []

    class Buffered(asyncio.BufferedProtocol):
        def connection_made(self, transport):
            events.append("made")

        def get_buffer(self, size):
            events.append("get_buffer")
            return bytearray(100)

        def eof_received(self):
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop.run_until_complete(loop.create_connection(Buffered, *listener.getsockname()))
        listener.accept()[0].send(b"x")
        run_for(loop)
    return events[0] != "made" and f"a BufferedProtocol is called in this order: {events}"


def check_end_while_busy(loop):
    turns_max = 20
    log, peer = connect(loop)
    log.transport.write(b"x")
    log.transport.write_eof()
    peer.setblocking(False)
    for turn in range(5000):
        loop.call_soon(loop.stop)
        loop.run_forever()
        with contextlib.suppress(BlockingIOError):
            if not peer.recv(10):
                return (
                    turn > turns_max
                    and f"the end of write_eof() goes out after {turn} turns that something else is ready"
                )
    return "the end of write_eof() does not go out while something else is ready"


def check_pipe_of_no_bytes(loop):
    ours, peer = socket.socketpair()
    transport, _ = loop.run_until_complete(loop.connect_write_pipe(Log, ours))
    for wrong in (None, 1):
        with contextlib.suppress(TypeError, AssertionError):  # asyncio asserts
            transport.write(wrong)
            return f"write({wrong!r}) of a pipe is taken"


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
