# real clock
"""Cases of the sock_* calls (SOCK-*, FD-9, FD-10): what they carry, and what is left when they are cancelled."""

from __future__ import annotations

import asyncio
import os
import socket

from loopcheck.kit import Kit, case


async def cancel(task: asyncio.Task[object]) -> None:
    """Cancels a task and waits for its end."""
    task.cancel()
    await asyncio.wait({task})


@case("SOCK-2")
def test_sock_accept_of_a_late_client(kit: Kit) -> None:
    """sock_accept completes when the client comes 100 ms later (T1: TokioLoop hung)."""
    listener = kit.listener()
    clients: list[socket.socket] = []

    async def main() -> tuple[socket.socket, object]:
        kit.later(0.1, lambda: clients.append(kit.client(listener)))
        return await kit.loop.sock_accept(listener)

    accepted, address = kit.run(main())
    kit.own(accepted)
    kit.equal(address, clients[0].getsockname(), "address of the accepted client")


@case("SOCK-2")
def test_sock_accept_again_and_again(kit: Kit) -> None:
    """Six clients, some before and some after the call, are each accepted once."""
    listener = kit.listener()

    async def main() -> set[object]:
        clients = [kit.client(listener) for _ in range(3)]
        kit.later(0.01, lambda: clients.extend(kit.client(listener) for _ in range(3)))
        accepted = [kit.own((await kit.loop.sock_accept(listener))[0]) for _ in range(6)]
        peers = {sock.getpeername() for sock in accepted}
        return peers ^ {client.getsockname() for client in clients}

    kit.equal(kit.run(main()), set(), "clients that were not accepted, or twice")


@case("SOCK-1")
def test_sock_accept_of_an_aborted_client(kit: Kit) -> None:
    """A client that connected and reset the connection does not wedge the listener (T3)."""
    listener = kit.listener()
    gone = kit.client(listener)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    gone.close()

    async def main() -> object:
        client = kit.client(listener)
        while True:
            accepted, address = await kit.loop.sock_accept(listener)
            kit.own(accepted)
            if address == client.getsockname():
                return address

    kit.check(kit.run(main()), "the second client was not accepted")


@case("SOCK-2")
def test_sock_recv_early_and_late(kit: Kit) -> None:
    """sock_recv gives what is there, what comes later, and b"" at the end of file."""
    left, right = kit.socketpair()

    async def main() -> list[bytes]:
        kit.put(right, b"early")
        got = [await kit.loop.sock_recv(left, 100)]
        kit.later(0.01, kit.put, right, b"late")
        got.append(await kit.loop.sock_recv(left, 100))
        kit.later(0.01, right.close)
        got.append(await kit.loop.sock_recv(left, 100))
        return got

    kit.equal(kit.run(main()), [b"early", b"late", b""], "what sock_recv gave")


@case("SOCK-2")
def test_sock_connect(kit: Kit) -> None:
    """sock_connect connects, and the connection carries bytes both ways."""
    listener = kit.listener()
    sock = kit.own(socket.socket())

    async def main() -> tuple[bytes, bytes]:
        await kit.loop.sock_connect(sock, listener.getsockname())
        accepted, _ = await kit.loop.sock_accept(listener)
        kit.own(accepted)
        await kit.loop.sock_sendall(sock, b"ping")
        await kit.loop.sock_sendall(accepted, b"pong")
        return await kit.loop.sock_recv(accepted, 10), await kit.loop.sock_recv(sock, 10)

    kit.equal(kit.run(main()), (b"ping", b"pong"), "bytes")


@case("SOCK-1")
def test_sock_connect_refused(kit: Kit) -> None:
    """sock_connect to a port where nobody listens raises ConnectionRefusedError, and the loop goes on."""
    bound = kit.own(socket.socket())  # and not listening: the port is nobody else's meanwhile
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()
    for _ in range(2):
        sock = kit.own(socket.socket())
        kit.raises(ConnectionRefusedError, lambda s=sock: kit.run(kit.loop.sock_connect(s, address)))
        sock.close()
    kit.turns(3)


@case("SOCK-2")
def test_sock_calls_on_a_unix_socket(kit: Kit) -> None:
    """sock_connect takes the path of a unix socket (cpython bpo-27929)."""
    path = f"\0loopcheck-{os.getpid()}"
    listener = kit.own(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen()
    sock = kit.own(socket.socket(socket.AF_UNIX))

    async def main() -> bytes:
        await kit.loop.sock_connect(sock, path)
        accepted = kit.own((await kit.loop.sock_accept(listener))[0])
        await kit.loop.sock_sendall(sock, b"hello")
        return await kit.loop.sock_recv(accepted, 10)

    kit.equal(kit.run(main()), b"hello", "bytes")


@case("SOCK-2")
def test_sock_sendall_of_a_megabyte(kit: Kit) -> None:
    """sock_sendall of 1 MiB arrives complete and in order at a slow sock_recv."""
    left, right = kit.socketpair()
    data = bytes(range(256)) * 4096

    async def take() -> bytes:
        got = bytearray()
        while len(got) < len(data):
            got += await kit.loop.sock_recv(right, 10_000)
        return bytes(got)

    async def main() -> bytes:
        sender = asyncio.ensure_future(kit.loop.sock_sendall(left, data))
        got = await take()
        await sender
        return got

    kit.check(kit.run(main()) == data, "the bytes that arrived are not those that were sent")


@case("SOCK-2")
def test_sock_recv_into(kit: Kit) -> None:
    """sock_recv_into fills the buffer from its start and returns the count."""
    left, right = kit.socketpair()
    buffer = bytearray(b"........")

    async def main() -> int:
        kit.later(0.005, kit.put, right, b"abc")
        return await kit.loop.sock_recv_into(left, buffer)

    kit.equal(kit.run(main()), 3, "count")
    kit.equal(bytes(buffer), b"abc.....", "buffer")


@case("SOCK-2")
def test_sock_datagrams(kit: Kit) -> None:
    """sock_sendto and sock_recvfrom carry datagrams whole, with the sender's address (uvloop#561)."""
    if not hasattr(asyncio.AbstractEventLoop, "sock_sendto"):
        kit.skip("this Python has no sock_sendto")
    one, two = (kit.own(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
    for sock in (one, two):
        sock.bind(("127.0.0.1", 0))

    async def main() -> list[tuple[bytes, object]]:
        for data in (b"one", b"two"):
            await kit.loop.sock_sendto(one, data, two.getsockname())
        return [await kit.loop.sock_recvfrom(two, 100) for _ in range(2)]

    sender = one.getsockname()
    kit.equal(kit.run(main()), [(b"one", sender), (b"two", sender)], "datagrams")


@case("FD-10")
def test_cancelled_recv_leaves_sendall(kit: Kit) -> None:
    """Cancelling sock_recv leaves a sock_sendall on the same socket at work (python/asyncio#366)."""
    left, right = kit.socketpair()
    filled = kit.fill(left)

    async def main() -> int:
        sender = asyncio.ensure_future(kit.loop.sock_sendall(left, b"the end"))
        receiver = asyncio.ensure_future(kit.loop.sock_recv(left, 10))
        await asyncio.sleep(0.01)
        await cancel(receiver)
        got = 0
        while got < filled + 7:
            got += len(await kit.loop.sock_recv(right, 1 << 20))
        await sender
        return got

    kit.equal(kit.run(main()), filled + 7, "bytes that arrived")


@case("FD-10")
def test_cancelled_sendall_leaves_recv(kit: Kit) -> None:
    """Cancelling sock_sendall leaves a sock_recv on the same socket at work."""
    left, right = kit.socketpair()
    kit.fill(left)

    async def main() -> bytes:
        sender = asyncio.ensure_future(kit.loop.sock_sendall(left, b"never"))
        receiver = asyncio.ensure_future(kit.loop.sock_recv(left, 10))
        await asyncio.sleep(0.01)
        await cancel(sender)
        kit.put(right, b"hello")
        return await receiver

    kit.equal(kit.run(main()), b"hello", "what sock_recv gave")


@case("FD-10")
def test_retry_right_after_cancel(kit: Kit) -> None:
    """A sock_recv made right after another was cancelled is not robbed of its watcher (cpython gh-74250)."""
    left, right = kit.socketpair()

    async def main() -> bytes:
        first = asyncio.ensure_future(kit.loop.sock_recv(left, 10))
        await asyncio.sleep(0.005)
        first.cancel()
        kit.later(0.01, kit.put, right, b"hello")
        return await kit.loop.sock_recv(left, 10)

    kit.equal(kit.run(main()), b"hello", "what the second sock_recv gave")


@case("FD-10")
def test_cancelled_recv_takes_no_bytes(kit: Kit) -> None:
    """Data that comes after a cancelled sock_recv is left for the next reader."""
    left, right = kit.socketpair()

    async def main() -> None:
        first = asyncio.ensure_future(kit.loop.sock_recv(left, 10))
        await asyncio.sleep(0.005)
        await cancel(first)
        kit.put(right, b"precious")
        await asyncio.sleep(0.01)

    kit.run(main())
    kit.check(not kit.remove_reader(left), "the cancelled sock_recv left its watcher")
    kit.equal(left.recv(100), b"precious", "what was left to read")


@case("FD-10")
def test_recv_cancelled_as_the_data_comes(kit: Kit) -> None:
    """A sock_recv cancelled in the turn in which its data comes leaves the data, or has it as result."""
    left, right = kit.socketpair()

    async def main() -> bytes:
        first = asyncio.ensure_future(kit.loop.sock_recv(left, 100))
        await asyncio.sleep(0.005)
        kit.put(right, b"precious")
        first.cancel()
        await asyncio.wait({first})
        if not first.cancelled():
            return first.result()
        return await kit.loop.sock_recv(left, 100)

    kit.equal(kit.run(main()), b"precious", "what arrived")


@case("FD-10")
def test_cancelled_accept_lets_go_of_the_listener(kit: Kit) -> None:
    """After a cancelled sock_accept the listener's fd number can be used anew (cpython gh-85489)."""
    listener = kit.listener()
    number = listener.fileno()

    async def main() -> tuple[socket.socket, object]:
        accept = asyncio.ensure_future(kit.loop.sock_accept(listener))
        await asyncio.sleep(0.005)
        await cancel(accept)
        kit.check(not kit.loop.remove_reader(listener.fileno()), "the cancelled sock_accept left its watcher")
        listener.close()
        fresh = kit.listener()
        kit.equal(fresh.fileno(), number, "fd number of the next socket")
        kit.later(0.01, kit.client, fresh)
        return await kit.loop.sock_accept(fresh)

    kit.own(kit.run(main())[0])


@case("FD-10")
def test_cancelled_connect_lets_go_of_the_socket(kit: Kit) -> None:
    """After a cancelled sock_connect the fd number serves another connection (cpython gh-131728, uvloop#653)."""
    full = kit.own(socket.create_server(("127.0.0.1", 0), backlog=0))
    kit.client(full)  # the backlog is full: the next connect hangs
    listener = kit.listener()
    sock = kit.own(socket.socket())
    number = sock.fileno()

    async def main() -> None:
        connect = asyncio.ensure_future(kit.loop.sock_connect(sock, full.getsockname()))
        await asyncio.sleep(0.01)
        await cancel(connect)
        sock.close()
        fresh = kit.own(socket.socket())
        kit.equal(fresh.fileno(), number, "fd number of the next socket")
        await kit.loop.sock_connect(fresh, listener.getsockname())
        await kit.loop.sock_sendall(fresh, b"hello")

    kit.run(main())
    accepted = kit.own(listener.accept()[0])
    kit.equal(accepted.recv(10), b"hello", "bytes through the reused number")


@case("FD-9")
def test_future_as_callback(kit: Kit) -> None:
    """A watcher removed by the waiter it completes is not called a second time (rsloop@70a4f95)."""
    left, right = kit.socketpair()

    async def main() -> None:
        future = kit.loop.create_future()
        kit.reader(left, lambda: future.set_result(None) if not future.done() else None)
        kit.put(right)
        await future
        left.recv(10)
        kit.remove_reader(left)
        await asyncio.sleep(0.005)

    kit.run(main())


@case("SOCK-2")
def test_sock_accept_gives_a_non_blocking_socket(kit: Kit) -> None:
    """The socket that sock_accept returns is non-blocking, so that the next sock_recv cannot stop the loop."""
    listener = kit.listener()
    kit.client(listener)
    accepted, _ = kit.run(kit.loop.sock_accept(listener))
    timeout = accepted.gettimeout()
    kit.own(accepted)
    kit.equal(timeout, 0.0, "timeout of the accepted socket")


@case("SOCK-2")
def test_every_accepted_client_is_kept(kit: Kit) -> None:
    """Of thirty clients each is accepted once and answered: none is accepted and dropped."""
    listener = kit.listener()

    async def main() -> list[bytes]:
        clients = [kit.client(listener) for _ in range(30)]
        for _ in clients:
            accepted = kit.own((await kit.loop.sock_accept(listener))[0])
            await kit.loop.sock_sendall(accepted, b"hello")
        return [await kit.loop.sock_recv(client, 10) for client in clients]

    kit.equal(kit.run(main()), [b"hello"] * 30, "answers")
