# mypy: ignore-errors
"""The text around the operations of a stand-alone reproducer; reproduce.py fills in what stands between $ signs
and leaves out the methods that a program does not need. It is a script of its own, without this package."""

import asyncio
import gc
import importlib
import importlib.util
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from loopcheck.reproduce_protocols import Bytes, Call, Endpoint, Server, Stream, outcome

LOOPS = ["$LOOP$", "$CONTROL$"]
HAS_ORDER = False  # is the order between callbacks compared as well?


def program(run, loop):
    pass


class Run:
    """Runs the program on one loop and prints what every handle saw, as "handle: what"."""

    def __init__(self, loop):
        self.loop, self.start = loop, loop.time()
        self.is_running = self.ends_with_first = False
        self.callbacks_left = 0
        self.attached, self.error = [], None  # what runs in callbacks; what the present one is to raise
        self.late = []  # posts of the next step
        self.ends, self.peers = {}, {}
        self.streams = []
        self.ports = {}  # of sockets, or of connections: the port of the side that connected
        self.servers = []
        self.endpoints = []
        self.spare = []  # sockets that hold fd numbers
        self.canaries = []
        loop.set_exception_handler(lambda loop, context: self.log("loop", "its exception handler was called"))

    def log(self, name, what):
        print(f"{name}: {what}", flush=True)

    def called(self, name, event="", what="called"):
        """What every callback does: logs, runs what the program attached to it, ends the step."""
        self.log(name, what)
        is_own = self.is_running or event == "refused"  # which may come inside the program's own call
        if not is_own or threading.current_thread() is not threading.main_thread():
            self.log(name, "WRONG: called outside of the loop's own run")
        for entry in [entry for entry in self.attached if entry[0] == name and entry[1] in ("", event)]:
            self.attached.remove(entry)
            entry[2]()
        self.callbacks_left -= 1
        if self.ends_with_first or self.callbacks_left == 0:
            self.ends_with_first = False
            self.loop.stop()
        error, self.error = self.error, None
        if error is not None:
            raise error

    def on(self, name, event, function):
        """The function runs inside the next such callback of this handle."""
        self.attached.append((name, event, function))

    def run_forever(self):
        threads = [threading.Timer(*late) for late in self.late]
        self.late = []
        for thread in threads:
            thread.start()
        self.is_running = True
        try:
            self.loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            self.log("order", "an exit left the run")
        self.is_running = self.ends_with_first = False
        for thread in threads:
            thread.join()

    def step(self):
        """Runs the loop until its first callback, or for half a second."""
        self.ends_with_first = True
        rescue = self.loop.call_later(0.5, self.oversleep)
        self.run_forever()
        rescue.cancel()

    def oversleep(self):
        self.log("loop", "a step had no callback")
        self.loop.stop()

    def poll(self):
        """One turn that does not wait."""
        self.loop.call_soon(self.loop.stop)
        self.run_forever()

    def run_for(self, callbacks):
        """Runs the loop for so many callbacks, or for half a second."""
        self.callbacks_left = callbacks
        rescue = self.loop.call_later(0.5, self.loop.stop)
        self.run_forever()
        self.callbacks_left = 0
        rescue.cancel()
        self.log("order", "run returned")

    def fired(self, name, deadline):
        is_early = self.loop.time() < deadline - 0.002
        self.called(name, "", "WRONG: called early" if is_early else "called")

    def ready(self, name, sock, way):
        poller = select.poll()
        poller.register(sock, select.POLLIN if way == "reader" else select.POLLOUT)
        self.called(name, "", way if poller.poll(0) else f"WRONG: {way} was called, but the socket is not ready")

    def post(self, posted, name, delay):
        """call_soon_threadsafe on another thread: now, or so many seconds into the next step."""

        def work():
            posted.append(self.loop.call_soon_threadsafe(self.called, name))

        if delay:
            self.late.append((delay, work))
            return
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def pair(self, *names):
        return self.know(names, socket.socketpair())

    def tcp(self, *names):
        with socket.create_server(("127.0.0.1", 0)) as server:
            first = socket.create_connection(server.getsockname())
            return self.know(names, (first, server.accept()[0]))

    def udp(self, *names):
        """Two UDP sockets that are connected to each other."""
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in names]
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.bind(("127.0.0.1", 0))
        for sock, peer in zip(socks, socks[::-1], strict=True):
            sock.connect(peer.getsockname())
        return self.know(names, socks)

    def know(self, names, socks):
        for name, sock, peer in zip(names, socks, socks[::-1], strict=True):
            sock.setblocking(False)
            self.ends[sock], self.peers[sock] = Bytes(name), peer
        return socks

    def backlog(self, name):
        """A socket that listens, and accepts only when it is told to."""
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self.ends[sock], self.ports[sock] = Bytes(name), sock.getsockname()[1]
        return sock

    def accept_from(self, name, listener):
        select.select([listener], [], [], 0.5)
        sock, address = listener.accept()
        for stream in self.streams:
            if stream.port == address[1]:
                stream.peer = sock
        return self.connected(name, sock, address[1])

    def client(self, name, server):
        sock = socket.create_connection(("127.0.0.1", server.port))
        return self.connected(name, sock, sock.getsockname()[1])

    def connected(self, name, sock, port):
        sock.setblocking(False)
        self.ends[sock], self.ports[sock], self.peers[sock] = Bytes(name), port, None
        return sock

    def find_peer(self, stream, transport):
        """Finds the other end of a stream's connection, if the program has it already."""
        stream.port = transport.get_extra_info(stream.side)[1]
        stream.peer = next((sock for sock in self.ends if self.ports.get(sock) == stream.port), None)

    def connect_to(self, name, listener):
        """A transport that the loop connects to where this socket listens, or has listened."""
        stream = Stream(self, name, None)
        stream.side = "sockname"
        self.streams.append(stream)
        connect = self.loop.create_connection(lambda: stream, "127.0.0.1", self.ports[listener])
        stream.task = self.loop.create_task(connect)
        stream.task.add_done_callback(lambda task: self.called(name, "done", outcome(task)))
        return stream

    def listen(self, name, names):
        """A server, and the streams that its clients become."""
        streams = [Stream(self, one, None) for one in names]
        self.servers.append(Server(self, name, streams))
        return self.servers[-1], streams

    def call(self, name, call, sock=None):
        """A task that ends by itself."""
        return Call(self, name, call, sock)

    def recycle(self, one, other):
        """Closes both and opens a new pair, of which the first has the old fd number."""
        number, names = one.fileno(), (self.ends.pop(one).name, self.ends.pop(other).name)
        one.close()
        other.close()
        socks = socket.socketpair()
        while number not in (socks[0].fileno(), socks[1].fileno()):
            self.spare.append(socks)
            socks = socket.socketpair()
        return self.know(names, socks if socks[0].fileno() == number else socks[::-1])

    def canary(self, name):
        """Sockets that are nobody's, under the lowest free fd numbers, which may have been the loop's."""
        socks = socket.socketpair()
        for sock in socks:
            sock.setblocking(False)
            sock.send(b"mine")
        self.canaries.append((name, socks, [os.fstat(sock.fileno()).st_ino for sock in socks]))
        return socks

    def look_at_canaries(self):
        """The loop has closed none of them, and left their bytes alone."""
        for name, socks, files in self.canaries:
            if [number_of_file(sock) for sock in socks] != files:
                self.log(name, "WRONG: the loop has closed a file that was never its own")
            elif [sock.recv(100) for sock in socks] != [b"mine", b"mine"]:
                self.log(name, "WRONG: the loop has used a file that was never its own")
            for sock, file in zip(socks, files, strict=True):
                if number_of_file(sock) == file:
                    sock.close()
                else:
                    sock.detach()

    def put(self, sock, count):
        """Sends so many bytes, or as many as there is room for."""
        try:
            while count > 0:
                count -= (sent := sock.send(self.ends[sock].peek(min(count, 65536))))
                self.ends[sock].sent += sent
        except OSError:
            pass  # no room, or the other side is gone

    def read(self, sock, count):
        """Reads so many bytes, or all there are when count is 0."""
        left = count or 1 << 30
        try:
            while left > 0 and (data := sock.recv(min(left, 65536))):
                left -= len(data)
                self.log(self.ends[sock].name, self.ends[sock].check(data))
            if left > 0 and not self.ends[sock].has_ended:
                self.ends[sock].has_ended = True
                self.log(self.ends[sock].name, "end of file")
        except OSError:
            pass  # nothing yet, or the connection is reset

    def send_whole(self, sock, count):
        """Sends a datagram of so many bytes."""
        if sock not in self.ends:
            return  # hung up, or the loop's by now
        try:
            sock.send(self.ends[sock].peek(count))
            self.ends[sock].sent += count
        except OSError:
            pass  # the one before was refused, or this one is too large

    def receive(self, sock, count):
        """Receives so many datagrams, or all there are when count is 0."""
        left = (count or 1 << 30) if sock in self.ends else 0
        while left > 0:
            try:
                data = sock.recv(65536)
            except ConnectionRefusedError:
                continue  # of one that was sent
            except OSError:
                break
            left -= 1
            self.log(self.ends[sock].name, f"datagram: {self.ends[sock].check(data)}")

    def endpoint(self, name, sock):
        """A datagram transport over the socket, which is the loop's from now on."""
        endpoint = Endpoint(self, name, self.peers[sock])
        self.endpoints.append(endpoint)
        del self.ends[sock]
        endpoint.task = self.loop.create_task(self.loop.create_datagram_endpoint(lambda: endpoint, sock=sock))
        return endpoint

    def receive_all(self):
        """Receives what the endpoints have sent."""
        for endpoint in self.endpoints:
            if endpoint.peer in self.ends:
                self.receive(endpoint.peer, 0)

    def abort_endpoints(self):
        for endpoint in self.endpoints:
            endpoint.destroy()

    def hang_up(self, sock):
        self.ends.pop(sock, None)
        sock.close()

    def reset(self, sock):
        """Closes the socket so that its peer finds the connection reset."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up(sock)

    def stream(self, name, sock, kind=None):
        """A transport over the socket, which is the loop's from now on."""
        stream = (kind or Stream)(self, name, self.peers[sock])
        self.streams.append(stream)
        del self.ends[sock]
        stream.task = self.loop.create_task(self.connect(stream, sock))
        return stream

    async def connect(self, stream, sock):
        """Some loops have no create_unix_connection, but take any connected socket."""
        if sock.family == socket.AF_UNIX:
            try:
                return await self.loop.create_unix_connection(lambda: stream, sock=sock)
            except (NotImplementedError, TypeError):
                pass
        return await self.loop.create_connection(lambda: stream, sock=sock)

    def take_all(self):
        """Reads what the streams have sent."""
        for stream in self.streams:
            if stream.peer in self.ends:
                self.read(stream.peer, 0)

    def abort_all(self):
        for stream in self.streams:
            stream.destroy()

    def finish(self):
        """Lets the loop do what is left to do, and closes it."""
        for _ in range(20):
            self.poll()
            self.take_all()
            self.receive_all()
            time.sleep(0.002)
        self.log = lambda name, what: "WRONG" in what and print(f"{name}: {what}", flush=True)
        for server in self.servers:
            server.close()
        self.abort_all()
        self.abort_endpoints()
        for _ in range(5):
            self.poll()
        self.loop.close()
        self.look_at_canaries()
        gc.collect()  # asyncio itself leaves to it whom a server lets in while it is closed


def number_of_file(sock):
    try:
        return os.fstat(sock.fileno()).st_ino
    except OSError:
        return 0


def make_loop(spec):
    source, _, factory = spec.rpartition(":")
    if not source.endswith(".py"):
        return getattr(importlib.import_module(source), factory)()
    found = importlib.util.spec_from_file_location("loop_under_test", source)
    module = importlib.util.module_from_spec(found)
    sys.modules["loop_under_test"] = module
    found.loader.exec_module(module)
    return getattr(module, factory)()


def open_fds():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def run_here(spec):
    make_loop(spec).close()  # what a loop opens only once is no leak
    fds = open_fds()
    loop = make_loop(spec)
    asyncio.set_event_loop(loop)
    run = Run(loop)
    program(run, loop)
    run.finish()
    for sock in run.ends:
        sock.close()
    for sock in [sock for pair in run.spare for sock in pair]:
        sock.close()
    if open_fds() > fds:
        print(f"loop: WRONG: {open_fds() - fds} file descriptors were left open", flush=True)


def story(output):
    """What each handle saw; pieces of data that follow each other are one."""
    seen = {}
    for line in output.splitlines():
        name, _, what = line.partition(": ")
        if name == "order" and not HAS_ORDER:
            continue
        events = seen.setdefault(name, [])
        if what.startswith("data ") and events and events[-1].startswith("data "):
            what = f"data {int(events.pop()[5:]) + int(what[5:])}"
        is_once = what in ("reader", "writer") or name.endswith(" errors")  # how often is the loop's own business
        if what and not (is_once and what in events):
            events.append(what)
        if HAS_ORDER and name[0] in "ct":  # soons and timers
            seen.setdefault("order", []).append(name)
    return seen


def run_apart(spec):
    """Runs this file on one loop in a process of its own; what each handle saw."""
    command = [sys.executable, __file__, "--run", spec]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired as error:
        return story((error.stdout or b"").decode()) | {"WRONG": ["it hangs"]}
    seen = story(done.stdout)
    if done.returncode:
        seen["WRONG"] = [f"it ended with status {done.returncode}", *done.stderr.strip().splitlines()[-1:]]
    return seen


def main():
    if sys.argv[1:2] == ["--run"]:
        run_here(sys.argv[2])
        return 0
    loops = sys.argv[1:] or LOOPS
    stories = [run_apart(spec) for spec in loops]
    for spec, seen in zip(loops, stories, strict=True):
        print(f"{spec}")
        for name in sorted(seen):
            print(f"    {name}: {', '.join(seen[name])}")
    is_wrong = "WRONG" in str(stories[0]) or stories[0] != stories[-1]
    print("the defect shows" if is_wrong else "nothing is wrong")
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
