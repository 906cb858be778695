# real clock
"""Cases of servers (SERVER-1): a server accepts while it is open, and frees its port when it is closed."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import tempfile
from typing import Any

from loopcheck import needs
from loopcheck.kit import Kit, case

CLIENTS = 150  # that wait to be accepted together


def refused(address: tuple[str, int]) -> bool:
    """Does nobody listen there?"""
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


async def receive(kit: Kit, client: socket.socket, size: int) -> bytes:
    """So many bytes, which may come in parts; fewer at the end of file."""
    data = b""
    while len(data) < size and (more := await kit.loop.sock_recv(client, size - len(data))):
        data += more
    return data


@case("SERVER-1")
def test_closed_server_frees_its_port(kit: Kit) -> None:
    """After close() connects are refused, the port can be bound again, and nothing serves."""

    async def main() -> tuple[str, int]:
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address: tuple[str, int] = server.sockets[0].getsockname()
        kit.check(server.is_serving(), "is_serving() is false")
        kit.check(not refused(address), "an open server refused a client")
        server.close()
        await asyncio.sleep(0.01)
        kit.check(not server.is_serving(), "is_serving() is true after close()")
        return address

    address = kit.run(main())
    kit.check(refused(address), "a closed server still takes connections")
    socket.create_server(address).close()


@case("SERVER-1")
def test_many_clients(kit: Kit) -> None:
    """Many clients that connect at once each get their own protocol and their own bytes back."""
    needs.fds(kit, 2 * CLIENTS + 64)
    logs = [kit.protocol(data=lambda log, data: log.transport.write(data)) for _ in range(CLIENTS)]
    unused = list(logs)

    async def main() -> list[bytes]:
        server = await kit.loop.create_server(lambda: unused.pop(), "127.0.0.1", 0, backlog=CLIENTS)
        clients = [kit.client(server.sockets[0].getsockname()) for _ in range(CLIENTS)]
        for i, client in enumerate(clients):
            kit.put(client, b"%03d" % i)
        answers = [await receive(kit, client, 3) for client in clients]
        for client in clients:
            client.close()
        for log in logs:
            await log.until_event("lost")
        server.close()
        return answers

    kit.equal(kit.run(main()), [b"%03d" % i for i in range(CLIENTS)], "answers")


@case("SERVER-1")
def test_connections_outlive_their_server(kit: Kit) -> None:
    """Closing a server leaves established connections alone, and wait_closed returns when they are gone."""
    log = kit.protocol(data=lambda log, data: log.transport.write(data))

    async def main() -> bytes:
        server = await kit.loop.create_server(lambda: log, "127.0.0.1", 0)
        client = kit.client(server.sockets[0].getsockname())
        await log.until_event("made")
        server.close()
        await asyncio.sleep(0.005)
        kit.put(client, b"still here")
        answer = await receive(kit, client, 10)
        client.close()
        await log.until_event("lost")
        await server.wait_closed()
        return answer

    kit.equal(kit.run(main()), b"still here", "answer")


@case("SERVER-1")
def test_server_from_a_socket(kit: Kit) -> None:
    """create_server(sock=, start_serving=False) accepts nobody before start_serving()."""
    log = kit.protocol()
    listener = socket.create_server(("127.0.0.1", 0))

    async def main() -> None:
        server = await kit.loop.create_server(lambda: log, sock=listener, start_serving=False)
        kit.check(not server.is_serving(), "is_serving() is true before start_serving()")
        client = kit.client(listener.getsockname())
        await asyncio.sleep(0.01)
        kit.equal(log.events, [], "events before start_serving()")
        await server.start_serving()
        await log.until_event("made")
        client.close()
        await log.until_event("lost")
        server.close()

    kit.run(main())


@case("SERVER-1")
def test_dropped_server_keeps_serving(kit: Kit) -> None:
    """A server whose object was dropped goes on accepting (uvloop#81)."""
    log = kit.protocol()

    async def main() -> Any:
        server = await kit.loop.create_server(lambda: log, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        del server
        gc.collect()
        await asyncio.sleep(0)
        client = kit.client(address)
        await log.until_event("made")
        client.close()
        await log.until_event("lost")

    kit.run(main())


@case("SERVER-1")
def test_serve_forever(kit: Kit) -> None:
    """Cancelling serve_forever closes the server; on a closed one it raises RuntimeError (zuvloop#31)."""

    async def main() -> tuple[str, int]:
        server = await kit.loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address: tuple[str, int] = server.sockets[0].getsockname()
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0.005)
        kit.check(not serving.done(), "serve_forever returned")
        serving.cancel()
        await asyncio.wait({serving})
        kit.check(serving.cancelled(), "serve_forever was not cancelled")
        try:
            await server.serve_forever()
        except RuntimeError:
            return address
        kit.fail("serve_forever on a closed server did not raise RuntimeError")

    kit.check(refused(kit.run(main())), "a server whose serve_forever was cancelled takes connections")


@case("SERVER-1")
def test_address_in_use(kit: Kit) -> None:
    """A second server on the same address is refused with OSError, and the first goes on."""
    log = kit.protocol()

    async def main() -> None:
        server = await kit.loop.create_server(lambda: log, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        try:
            await kit.loop.create_server(asyncio.Protocol, *address)
        except OSError:
            pass
        else:
            kit.fail("two servers share an address")
        client = kit.client(address)
        await log.until_event("made")
        client.close()
        await log.until_event("lost")
        server.close()

    kit.run(main())


def unix_exchange(kit: Kit, path: str) -> None:
    """A server and a client on a unix address exchange bytes."""
    log = kit.protocol(data=lambda log, data: log.transport.write(data.upper()))

    async def main() -> bytes:
        server = await kit.loop.create_unix_server(lambda: log, path)
        client = kit.protocol()
        await kit.loop.create_unix_connection(lambda: client, path)
        client.transport.write(b"hello")
        await client.until(lambda: len(client.received) == 5)
        client.transport.close()
        await log.until_event("lost")
        await client.until_event("lost")
        server.close()
        return bytes(client.received)

    kit.equal(kit.run(main()), b"HELLO", "answer")


@case("SERVER-1")
def test_unix_server(kit: Kit) -> None:
    """A server and a client on a path exchange bytes."""
    with tempfile.TemporaryDirectory() as directory:
        unix_exchange(kit, f"{directory}/socket")


@case("SERVER-1")
def test_abstract_unix_server(kit: Kit) -> None:
    """A server and a client on an abstract address of Linux exchange bytes (uvloop#528)."""
    unix_exchange(kit, f"\0loopcheck-server-{os.getpid()}")


@case("SERVER-1")
def test_clients_one_after_another(kit: Kit) -> None:
    """A server goes on accepting: each of five clients that come one after the other is answered."""

    async def main() -> list[bytes]:
        server = await kit.loop.create_server(
            lambda: kit.protocol(data=lambda log, data: log.transport.write(data)), "127.0.0.1", 0
        )
        answers = []
        for _ in range(5):
            client = kit.client(server.sockets[0].getsockname())
            kit.put(client, b"hello")
            answers.append(await receive(kit, client, 5))
            client.close()
            await asyncio.sleep(0.002)
        server.close()
        return answers

    kit.equal(kit.run(main()), [b"hello"] * 5, "answers")


@case("UNIX-1")
def test_unix_server_over_a_stale_socket(kit: Kit) -> None:
    """create_unix_server takes the place of a socket file that an earlier server left."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "s")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)

        async def main() -> None:
            server = await kit.loop.create_unix_server(kit.protocol, path)
            await kit.loop.sock_connect(kit.own(socket.socket(socket.AF_UNIX)), path)
            server.close()
            await asyncio.sleep(0.01)

        kit.run(main())
