"""asyncio: what its own transports do wrong.

    python asyncio_transports.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import array
import asyncio
import contextlib
import importlib
import io
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time


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


def wait_for_end(loop, protocol):
    for _ in range(50):
        if "lost" in protocol.events:
            return
        run_for(loop, 0.005)


def check_end_of_file_twice(new_loop):
    class Stays(Log):
        def eof_received(self):
            super().eof_received()
            return True

    loop, protocol = new_loop(), Stays()
    transport, peer = connect(loop, protocol)
    peer.shutdown(socket.SHUT_WR)
    run_for(loop, 0.05)
    transport.pause_reading()
    transport.resume_reading()
    run_for(loop, 0.05)
    if protocol.events.count("eof") != 1:
        return f"eof_received() is called {protocol.events.count('eof')} times when reading is paused and resumed"


def check_abort_in_resume_writing(new_loop):
    class Aborts(Log):
        def resume_writing(self):
            self.transport.abort()

    loop, protocol = new_loop(), Aborts()
    errors = listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    peer.setblocking(False)
    transport.write(bytes(10_000_000))
    for _ in range(500):
        with contextlib.suppress(BlockingIOError):
            while peer.recv(1 << 20):
                pass
        run_for(loop, 0.001)
    if errors or protocol.events.count("lost") != 1:
        return f"abort() in resume_writing(): {protocol.events}, {[context.get('exception') for context in errors]}"


def check_abort_after_a_flushed_close(new_loop):
    loop, protocol = new_loop(), Log()
    errors = listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    transport.write(bytes(10_000_000))
    transport.close()
    reader = threading.Thread(target=lambda: [0 for _ in iter(lambda: peer.recv(1 << 20), b"")])
    reader.start()
    wait_for_end(loop, protocol)
    try:
        transport.abort()
    except AttributeError as error:
        return f"abort() once a close() that had to flush is over raises {error!r}"
    run_for(loop, 0.01)
    if errors or protocol.events.count("lost") != 1:
        return f"abort() once a close() that had to flush is over: {protocol.events}, {errors}"


def check_eof_written_to_who_has_gone(new_loop):
    class Stays(Log):
        def eof_received(self):
            super().eof_received()
            return True

    loop, protocol = new_loop(), Stays()
    errors = listen_to_errors(loop)
    transport, peer = connect(loop, protocol)
    transport.set_write_buffer_limits(1 << 30)
    sent = 0
    while not transport.get_write_buffer_size():
        transport.write(bytes(1 << 20))
        sent += 1 << 20
    rest = transport.get_write_buffer_size()
    transport.write_eof()
    peer.settimeout(10)
    while sent > rest:  # reads all that was sent, so that the peer closes without a reset
        sent -= len(peer.recv(min(sent - rest, 1 << 20)))
    peer.close()
    run_for(loop, 0.05)
    if errors:
        return f"the end that write_eof() asked for fails: {[context.get('exception') for context in errors]}"


def check_abort_in_get_buffer(new_loop):
    class Aborts(Log, asyncio.BufferedProtocol):
        def get_buffer(self, hint):
            self.events.append("get_buffer")
            self.transport.abort()
            return bytearray(100)

        def buffer_updated(self, count):
            self.events.append("data")

    loop, protocol = new_loop(), Aborts()
    _, peer = connect(loop, protocol)
    peer.close()
    wait_for_end(loop, protocol)
    if "get_buffer" in protocol.events and protocol.events[-2:] != ["get_buffer", "lost"]:
        return f"abort() in get_buffer(), at the end of file: {protocol.events}"


def check_unnamed_unix_datagrams(new_loop):
    loop = new_loop()
    listen_to_errors(loop)
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    peer.settimeout(0.2)
    made = loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours)
    transport, _ = loop.run_until_complete(made)
    try:
        transport.sendto(b"x")
        run_for(loop, 0.01)
        peer.recv(9)
    except (TypeError, OSError) as error:
        return f"sendto() of an endpoint on one end of socket.socketpair(): {error!r}"


def check_sendto_after_connection_lost(new_loop):
    loop = new_loop()
    listen_to_errors(loop)
    made = loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    transport, _ = loop.run_until_complete(made)
    transport.close()
    run_for(loop, 0.05)
    try:
        transport.sendto(b"late", ("127.0.0.1", 9))
    except Exception as error:
        return f"sendto() after connection_lost() raises {error!r}"


def check_flow_of_datagrams(new_loop):
    class Paused(asyncio.DatagramProtocol):
        flow = ()

        def pause_writing(self):
            self.flow += ("pause",)

        def resume_writing(self):
            self.flow += ("resume",)

    loop = new_loop()
    name = os.path.join(tempfile.mkdtemp(), "socket")
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(name)
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.connect(name)
    transport, protocol = loop.run_until_complete(loop.create_datagram_endpoint(Paused, sock=ours))
    peer.setblocking(False)
    for _ in range(5000):  # each leaves a few bytes in the count, where that is wrong
        transport.sendto(bytes(10))
    for _ in range(1500):
        loop.run_until_complete(asyncio.sleep(0))
        with contextlib.suppress(BlockingIOError):
            while True:
                peer.recv(2000)
    if protocol.flow != ("pause", "resume"):
        return f"all datagrams were sent, and writing was told to {' and '.join(protocol.flow) or 'nothing'}"


def check_writelines_pauses(new_loop):
    class Paused(Log):
        is_paused = False

        def pause_writing(self):
            self.is_paused = True

    loop, protocol = new_loop(), Paused()
    transport, peer = connect(loop, protocol)
    transport.writelines([bytes(1_000_000)] * 20)
    if not protocol.is_paused:
        return "writelines() of 20 MB does not call pause_writing()"


def check_writelines_after_connection_lost(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    transport.abort()
    run_for(loop, 0.05)
    try:
        transport.writelines([b"late"])
    except Exception as error:
        return f"writelines() after connection_lost() raises {error!r}"


def check_empty_writelines(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    transport.writelines([b"", b""])
    before = time.process_time()
    run_for(loop, 0.3)
    spent = time.process_time() - before
    transport.close()
    wait_for_end(loop, protocol)
    if "lost" not in protocol.events or spent > 0.2:
        return f"after writelines() of empty pieces the loop is busy for {spent:.2f} of 0.3 s; {protocol.events}"


def check_writelines_with_a_bad_piece(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    peer.settimeout(1)
    with contextlib.suppress(TypeError):
        transport.writelines([b"first", object()])
    transport.write(b"end")
    run_for(loop, 0.05)
    transport.close()
    wait_for_end(loop, protocol)
    if "lost" not in protocol.events:
        return f"after a writelines() that raised, write() sends nothing and close() never ends; {protocol.events}"


def check_fallback_of_sendfile(new_loop):
    loop = new_loop()
    transport, peer = connect(loop, Log())
    file = io.BytesIO(bytes(range(100)))
    file.seek(50)
    try:
        loop.run_until_complete(loop.sendfile(transport, file, 0))
    except NotImplementedError:
        return None
    data = peer.recv(200)
    if len(data) != 100:
        return f"sendfile() of 100 bytes in memory that stands at 50, from offset 0: {len(data)} bytes are sent"


def check_abort_while_a_file_is_sent(new_loop):
    loop = new_loop()
    errors = listen_to_errors(loop)
    transport, _peer = connect(loop, Log())

    async def main(file):
        sending = asyncio.ensure_future(loop.sendfile(transport, file))
        await asyncio.sleep(0.02)
        transport.abort()
        await asyncio.wait({sending}, timeout=1)
        return sending.done()

    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 24)
        if not loop.run_until_complete(main(file)):
            seen = repr(errors[0]["exception"]) if errors else "nothing"
            return f"a sendfile() whose transport is aborted does not end; the exception handler was told {seen}"


def check_write_while_a_file_is_sent(new_loop):
    got = bytearray()

    def read():
        while data := peer.recv(1 << 20):
            got.extend(data)

    async def main():
        sending = asyncio.ensure_future(loop.sendfile(transport, io.BytesIO(bytes(8 << 20))))
        await asyncio.sleep(0.01)
        with contextlib.suppress(RuntimeError):  # it is refused by the native one
            transport.write(b"!")
        threading.Thread(target=read, daemon=True).start()
        await sending
        transport.close()

    loop = new_loop()
    transport, peer = connect(loop, Log())
    try:
        loop.run_until_complete(main())
    except NotImplementedError:
        return None
    run_for(loop, 0.1)
    if got.find(b"!") not in (-1, 8 << 20):
        return f"what is written during sendfile() comes after {got.find(b'!')} of the {8 << 20} bytes of the file"


def check_pause_in_connection_made(new_loop):
    class Pauses(Log):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    loop, protocol = new_loop(), Pauses()
    transport, peer = connect(loop, protocol)
    peer.send(b"x")
    run_for(loop, 0.1)
    if protocol.data:
        return "data_received() is called though connection_made() paused reading"


def check_array_of_integers(new_loop):
    loop, protocol = new_loop(), Log()
    transport, peer = connect(loop, protocol)
    data = array.array("I", range(1_000_000))
    try:
        transport.write(memoryview(data))
    except TypeError:
        return None
    transport.close()
    got = bytearray()
    reader = threading.Thread(target=lambda: got.extend(b"".join(iter(lambda: peer.recv(1 << 20), b""))))
    reader.start()
    for _ in range(500):
        if "lost" not in protocol.events:
            run_for(loop, 0.01)
    reader.join()
    if bytes(got) != data.tobytes():
        return f"write() of a memoryview of 4-byte integers: {len(got)} of {len(data) * 4} bytes arrive, or other ones"


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
