# real clock
"""Cases of how a loop looks names up (DNS-*): beside its callbacks, in which threads, with which flags; what then."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Callable
from typing import Any

from loopcheck.family import family
from loopcheck.kit import Kit, case


def asked_of_the_system(kit: Kit, lookup: Callable[[], Any], answer: Callable[..., Any]) -> None:
    """Runs `lookup`, with `answer` in the place of socket.getaddrinfo."""
    plain, socket.getaddrinfo = socket.getaddrinfo, answer
    try:
        kit.run(lookup())
    finally:
        socket.getaddrinfo = plain
    kit.run(kit.loop.shutdown_default_executor())


def port_of(kit: Kit) -> int:
    """A port of 127.0.0.1 where somebody listens."""
    port: int = kit.listener().getsockname()[1]
    return port


async def connects(kit: Kit) -> Any:
    sock = kit.own(socket.socket())
    await kit.loop.sock_connect(sock, ("localhost", port_of(kit)))


BY_NAME: dict[str, Callable[[Kit], Any]] = {
    "connection": lambda kit: kit.loop.create_connection(asyncio.Protocol, "localhost", port_of(kit)),
    "server": lambda kit: kit.loop.create_server(asyncio.Protocol, "localhost", 0),
    "endpoint": lambda kit: kit.loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("localhost", 0)),
    "sock_connect": connects,
}


@family("DNS-2", call=BY_NAME)
def test_name_beside_the_loop(kit: Kit, call: Callable[[Kit], Any]) -> None:
    """Whatever is opened by a name, the loop runs its callbacks while the socket module looks the name up"""
    going, plain, ran = threading.Event(), socket.getaddrinfo, list[bool]()

    def slow(*args: Any, **options: Any) -> Any:
        ran.append(going.wait(1.0))
        return plain(*args, **options)

    async def main() -> None:
        kit.loop.call_soon(going.set)
        opened = await call(kit)
        _ = opened and (opened[0].abort() if isinstance(opened, tuple) else opened.close())
        await asyncio.sleep(0.003)

    asked_of_the_system(kit, main, slow)
    kit.check(all(ran), "no callback ran while the name was looked up")


@family("DNS-1", flags={"none": 0, "passive": socket.AI_PASSIVE, "name": socket.AI_CANONNAME})
def test_flags_as_they_were_given(kit: Kit, flags: int) -> None:
    """Where the socket module is asked it gets the flags that were given, and no others (node#25560)"""
    plain, asked = socket.getaddrinfo, list[Any]()

    def answer(*args: Any, **options: Any) -> Any:
        asked.append(args[5] if len(args) > 5 else options.get("flags", 0))
        return plain(*args, **options)

    asked_of_the_system(kit, lambda: kit.loop.getaddrinfo("localhost", 80, flags=flags), answer)
    kit.check(set(asked) <= {flags}, f"flags {asked} instead of {flags}")


@family("DNS-2", lookup=("getaddrinfo", "getnameinfo"))
def test_lookup_in_the_default_executor(kit: Kit, lookup: str) -> None:
    """Lookups are jobs of the loop's default executor, whichever that is (asyncio docs, loop.getnameinfo)"""
    jobs: list[int] = []

    class Counts(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *args: Any, **options: Any) -> Any:
            jobs.append(1)
            return super().submit(*args, **options)

    kit.loop.set_default_executor(Counts(1))
    kit.run(getattr(kit.loop, lookup)(*{"getaddrinfo": ("localhost", 80), "getnameinfo": (("127.0.0.1", 80),)}[lookup]))
    kit.run(kit.loop.shutdown_default_executor())
    kit.equal(len(jobs), 1, "jobs of the executor")


TWO_ADDRESSES: list[Any] = [
    (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "", ("2001:db8::1", 0, 0, 0)),  # that nobody has
    (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "", ("127.0.0.1", 0)),
]


@case("DNS-3")
def test_endpoint_at_the_second_address(kit: Kit) -> None:
    """An endpoint whose first address cannot be bound is bound to the second."""

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return TWO_ADDRESSES

    async def main() -> object:
        create = kit.loop.create_datagram_endpoint
        transport, _ = await create(asyncio.DatagramProtocol, local_addr=("127.0.0.1.", 0))  # a name
        name = transport.get_extra_info("sockname")
        transport.close()
        await asyncio.sleep(0.002)
        return name[0]

    try:
        kit.loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign,assignment]
    except AttributeError:
        kit.skip("the loop's getaddrinfo cannot be replaced")
    try:
        host = kit.run(main())
    except socket.gaierror:
        kit.skip("create_datagram_endpoint does not look names up with the loop's getaddrinfo")
    kit.equal(host, "127.0.0.1", "host that it is bound to")


@case("DNS-2")
def test_cancelled_lookup_does_not_wait(kit: Kit) -> None:
    """A lookup that is cancelled ends at once, not when the resolver has answered."""
    opened, plain = threading.Event(), socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        opened.wait(2.0)
        return plain(*args, **options)

    async def main() -> None:
        lookup = asyncio.ensure_future(kit.loop.getaddrinfo("localhost", 80))
        await asyncio.sleep(0.003)
        lookup.cancel()
        done, _ = await asyncio.wait({lookup}, timeout=0.5)
        opened.set()
        kit.check(done, "it goes on")

    asked_of_the_system(kit, main, slow)
