# mypy: ignore-errors
"""What a stand-alone reproducer is told by a loop: reproduce.py puts it into the script, behind class Run of
reproduce_template.py."""

import asyncio
import copy
import socket


class Bytes:
    """What one end sends and receives: at each position stands a byte that is known."""

    def __init__(self, name):
        self.name, self.sent, self.received, self.has_ended = name, 0, 0, False

    def peek(self, count, at=None):
        at = self.sent if at is None else at
        return bytes((at + i) % 251 for i in range(count))

    def next(self, count):
        self.sent += count
        return self.peek(count, self.sent - count)

    def pieces(self, count):
        data = self.next(count)
        return [data[: count // 3], b"", data[count // 3 :]]

    def check(self, data):
        self.received += len(data)
        is_right = bytes(data) == self.peek(len(data), self.received - len(data))
        return f"data {len(data)}" if is_right else "WRONG: other bytes than were sent"


class Stream(asyncio.Protocol):
    """Logs what the loop tells of one stream."""

    def __init__(self, run, name, peer):
        self.run, self.name, self.peer, self.transport, self.bytes = run, name, peer, None, Bytes(name)
        self.told, self.is_destroyed, self.is_replaced, self.has_ended = [], False, False, False
        self.side, self.port = "", 0  # whose port its connection is known by, and that port

    def tell(self, event, what):
        if "lost" in self.told or (event in self.told and event in ("made", "eof")):
            what = f"WRONG: {what}, after {self.told[-1]}"
        if self.is_replaced:
            what = f"WRONG: {what}, told to the protocol that another has replaced"
        self.told.append(event)
        self.run.called(self.name, event, what)

    def write(self, count):
        if not self.has_ended:  # else it would be an error of the program
            self.transport.write(self.bytes.next(count))

    def write_eof(self):
        self.has_ended = True
        self.transport.write_eof()

    def replace(self):
        """Another protocol takes its place."""
        other = copy.copy(self)
        self.is_replaced = True
        self.transport.set_protocol(other)
        self.run.streams[self.run.streams.index(self)] = other
        return other

    def destroy(self):
        """Aborts the connection, now or as soon as it is made."""
        self.is_destroyed = True
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport):
        self.transport = transport
        if self.side:
            self.run.find_peer(self, transport)
        if self.is_destroyed:
            transport.abort()
        else:
            self.tell("made", "connection made")

    def data_received(self, data):
        self.tell("data", self.bytes.check(data))

    def eof_received(self):
        self.tell("eof", "end of file")
        return True  # keeps the transport open

    def connection_lost(self, exc):
        self.tell("lost", f"connection lost: {type(exc).__name__}")

    def pause_writing(self):
        self.run.called(self.name, "pause_writing", "pause_writing")

    def resume_writing(self):
        self.run.called(self.name, "resume_writing", "resume_writing")


class BufferedStream(Stream, asyncio.BufferedProtocol):
    """The same, with a buffer of its own."""

    buffer = None

    def get_buffer(self, sizehint):
        if self.buffer is None:
            self.buffer = memoryview(bytearray(4096))
        self.run.called(self.name, "get_buffer", "")
        return self.buffer

    def buffer_updated(self, nbytes):
        if not self.is_destroyed:
            self.tell("data", self.bytes.check(self.buffer[:nbytes]))


class Server:
    """A server whose clients become these streams, one after another."""

    def __init__(self, run, name, streams):
        self.run, self.name, self.streams = run, name, iter(streams)
        self.server, self.is_closed = None, False
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.task = run.loop.create_task(self.start())

    async def start(self):
        self.server = await self.run.loop.create_server(self.factory, sock=self.sock)
        if self.is_closed:
            self.server.close()

    def factory(self):
        stream = next(self.streams)
        if not self.is_closed:
            self.run.called(self.name, "factory", "factory called")
        stream.side = "peername"
        self.run.streams.append(stream)
        return stream

    def close(self):
        self.is_closed = True
        if self.server is not None:
            self.server.close()


class Call:
    """A task; what it gives is logged when it is done."""

    def __init__(self, run, name, call, sock):
        self.run, self.name, self.sock, self.is_destroyed = run, name, sock, False
        self.task = run.loop.create_task(call)
        self.task.add_done_callback(self.done)

    def cancel(self):
        self.task.cancel()

    def destroy(self):
        self.is_destroyed = True
        self.task.cancel()

    def done(self, task):
        what = outcome(task)
        if self.sock is not None and what == "done":
            what = f"done: {self.run.ends[self.sock].check(task.result())}" if self.sock in self.run.ends else what
        if not self.is_destroyed:
            self.run.called(self.name, "done", what)


def outcome(task):
    if task.cancelled():
        return "cancelled"
    return "done" if task.exception() is None else f"failed: {type(task.exception()).__name__}"


async def turns(count):
    """Lets the others run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


class Endpoint(asyncio.DatagramProtocol):
    """Logs what the loop tells of one endpoint of datagrams."""

    def __init__(self, run, name, peer):
        self.run, self.name, self.peer, self.transport, self.bytes = run, name, peer, None, Bytes(name)
        self.told, self.is_destroyed = [], False

    def tell(self, event, what):
        if "lost" in self.told or (event in self.told and event == "made"):
            what = f"WRONG: {what}, after {self.told[-1]}"
        self.told.append(event)
        self.run.called(self.name, event, what)

    def send(self, count):
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(self.bytes.next(count) if count <= 65507 else bytes(count))

    def destroy(self):
        """Aborts the endpoint, now or as soon as it is made."""
        self.is_destroyed = True
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport):
        self.transport = transport
        if self.is_destroyed:
            transport.abort()
        else:
            self.tell("made", "connection made")

    def datagram_received(self, data, addr):
        self.tell("datagram", f"datagram: {self.bytes.check(data)}")

    def error_received(self, exc):
        self.run.log(f"{self.name} errors", type(exc).__name__)
        self.run.called(self.name, "refused", "")

    def connection_lost(self, exc):
        self.tell("lost", f"connection lost: {type(exc).__name__}")

    def pause_writing(self):
        self.run.called(self.name, "pause_writing", "pause_writing")

    def resume_writing(self):
        self.run.called(self.name, "resume_writing", "resume_writing")
