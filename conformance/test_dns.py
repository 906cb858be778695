# real clock
"""Cases of name lookups and of connecting to names (DNS-*). Nothing is asked of a network: all names are local."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from loopcheck import needs
from loopcheck.family import family
from loopcheck.kit import Kit, case

STREAM = socket.SOCK_STREAM
NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
LOOKUPS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "v4": ("127.0.0.1", 80, {"type": STREAM}),
    "v4_any_type": ("127.0.0.1", 80, {}),
    "v4_bytes": (b"127.0.0.1", 80, {"type": STREAM}),
    "v4_short": ("127.1", 80, {"type": STREAM}),
    "v4_as_v6": ("127.0.0.1", 80, {"type": STREAM, "family": socket.AF_INET6}),
    "v4_mapped": ("::ffff:127.0.0.1", 80, {"type": STREAM}),
    "v6": ("::1", 80, {"type": STREAM}),
    "v6_long": ("0:0:0:0:0:0:0:1", 80, {"type": STREAM, "family": socket.AF_INET6}),
    "v6_scope": ("fe80::1%lo", 80, {"type": STREAM}),
    "v6_scope_number": ("fe80::1%1", 80, {"type": STREAM}),
    "v6_bad_scope": ("fe80::1%nonesuch", 80, {"type": STREAM}),
    "datagram": ("127.0.0.1", 53, {"type": socket.SOCK_DGRAM}),
    "port_text": ("127.0.0.1", "80", {"type": STREAM}),
    "port_bytes": ("127.0.0.1", b"80", {"type": STREAM}),
    "port_none": ("127.0.0.1", None, {"type": STREAM}),
    "port_name": ("127.0.0.1", "nonesuch-service", {"type": STREAM}),
    "port_empty": ("127.0.0.1", "", {"type": STREAM}),
    "no_host": (None, 80, {"type": STREAM}),
    "no_host_passive": (None, 80, {"type": STREAM, "flags": socket.AI_PASSIVE}),
    "nothing": (None, None, {}),
    "host_empty": ("", 80, {"type": STREAM}),
    "host_and_port_empty": ("", 0, {}),
    "localhost": ("localhost", 80, {"type": STREAM}),
    "localhost_v4": ("localhost", 80, {"type": STREAM, "family": socket.AF_INET}),
    "name_as_number": ("localhost", 80, {"flags": socket.AI_NUMERICHOST}),
    "bad_family": ("127.0.0.1", 80, {"family": socket.AF_UNIX}),
    "bad_type": ("127.0.0.1", 80, {"type": 99}),
    "protocol": ("127.0.0.1", 80, {"proto": socket.IPPROTO_TCP}),
    "too_long_label": ("a" * 70 + ".invalid", 80, {"type": STREAM, "flags": socket.AI_NUMERICHOST}),
    "host_is_number": (1234, 80, {"type": STREAM}),
    "huge_port": ("127.0.0.1", 2**31, {"type": STREAM}),
}
NAMES: dict[str, tuple[Any, int]] = {
    "v4": (("127.0.0.1", 80), NUMERIC),
    "v6": (("::1", 80), NUMERIC),
    "v6_whole": (("::1", 80, 0, 0), NUMERIC),
    "v6_scope": (("fe80::1", 80, 0, 1), NUMERIC),
    "datagram": (("127.0.0.1", 80), NUMERIC | socket.NI_DGRAM),
    "stream_service": (("127.0.0.1", 514), socket.NI_NUMERICHOST),
    "datagram_service": (("127.0.0.1", 514), socket.NI_NUMERICHOST | socket.NI_DGRAM),
    "name_wanted": (("127.0.0.1", 80), socket.NI_NUMERICSERV),
    "huge_port": (("127.0.0.1", 2**17), NUMERIC),
    "name": (("localhost", 80), NUMERIC),
    "no_name": (("no such host", 80), NUMERIC),
}


def outcome(call: Callable[[], object]) -> object:
    """What the call returns, or the class of what it raises, for lookups with their error number."""
    try:
        return call()
    except socket.gaierror as error:
        return ("gaierror", error.errno)
    except NotImplementedError:  # a loop without lookups lacks a feature, and answers nothing wrong
        raise
    except Exception as error:
        return type(error).__name__


@family("DNS-1", lookup=LOOKUPS)
def test_getaddrinfo(kit: Kit, lookup: tuple[Any, Any, dict[str, Any]]) -> None:
    """getaddrinfo of the loop gives what socket.getaddrinfo gives, or raises what it raises (uvloop#539)"""
    host, port, options = lookup
    expected = outcome(lambda: socket.getaddrinfo(host, port, **options))
    seen = outcome(lambda: kit.run(kit.loop.getaddrinfo(host, port, **options)))
    kit.equal(seen, expected, f"getaddrinfo({host!r}, {port!r}, {options})")


@family("DNS-1", name=NAMES)
def test_getnameinfo(kit: Kit, name: tuple[Any, int]) -> None:
    """getnameinfo of the loop gives what socket.getnameinfo gives, or raises what it raises (zuvloop#20)"""
    address, flags = name
    expected = outcome(lambda: socket.getnameinfo(address, flags))
    seen = outcome(lambda: kit.run(kit.loop.getnameinfo(address, flags)))
    kit.equal(seen, expected, f"getnameinfo({address!r}, {flags})")


@case("DNS-2")
def test_many_lookups_at_once(kit: Kit) -> None:
    """Sixty lookups at once, of names and of numbers, give each its own answer."""

    async def main() -> list[int]:
        lookup = kit.loop.getaddrinfo
        hosts = ("localhost", "127.0.0.1", "::1")
        lookups = [lookup(hosts[i % 3], 1000 + i, type=STREAM) for i in range(60)]
        return [found[0][4][1] for found in await asyncio.gather(*lookups)]

    kit.equal(kit.run(main()), list(range(1000, 1060)), "ports of the answers")


@case("DNS-2")
def test_cancelled_lookup(kit: Kit) -> None:
    """A lookup that is cancelled gives CancelledError and harms neither the loop nor the next lookup."""

    async def main() -> bool:
        tasks = [asyncio.ensure_future(kit.loop.getaddrinfo("localhost", 80 + i)) for i in range(10)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await kit.loop.getaddrinfo("localhost", 80)
        return all(task.cancelled() or not task.exception() for task in tasks)

    kit.check(kit.run(main()), "a cancelled lookup raised something else")


@family("DNS-2", lookup=("getaddrinfo", "getnameinfo"))
def test_lookup_beside_the_loop(kit: Kit, lookup: str) -> None:
    """The loop runs its callbacks while a lookup waits for its answer, where the socket module is what is asked"""
    going = threading.Event()
    ran: list[bool] = []
    plain = getattr(socket, lookup)
    given = ("localhost", 80) if lookup == "getaddrinfo" else (("127.0.0.1", 80),)

    def slow(*args: Any, **options: Any) -> Any:
        ran.append(going.wait(1.0))
        return plain(*args, **options)

    async def main() -> object:
        kit.loop.call_soon(going.set)
        return await getattr(kit.loop, lookup)(*given)

    setattr(socket, lookup, slow)
    try:
        kit.check(kit.run(main()), "no answer")
    finally:
        setattr(socket, lookup, plain)
    kit.check(all(ran), "no callback ran while a lookup waited")
    kit.run(kit.loop.shutdown_default_executor())


@case("DNS-2")
def test_loop_closed_with_lookups(kit: Kit) -> None:
    """A loop may be stopped and closed while lookups are under way (zuvloop@4e5d4ed)."""
    kit.turns(1)
    loop = kit.new_loop()

    async def start() -> list[asyncio.Task[object]]:
        tasks: list[asyncio.Task[object]] = []
        tasks.extend(asyncio.ensure_future(loop.getaddrinfo("localhost", 80 + i)) for i in range(20))
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        return tasks

    loop.run_until_complete(start())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def closed_port(kit: Kit) -> int:
    """A port of 127.0.0.1 where nobody listens, nor can: it is bound."""
    sock = kit.own(socket.socket())
    sock.bind(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    return port


@case("DNS-3")
def test_connect_to_a_name(kit: Kit) -> None:
    """create_connection to a name tries its addresses until one answers, here only 127.0.0.1."""
    listener = kit.listener()
    log = kit.protocol()

    async def main() -> tuple[str, int]:
        await kit.loop.create_connection(lambda: log, "localhost", listener.getsockname()[1])
        peer: tuple[str, int] = log.transport.get_extra_info("peername")
        log.transport.close()
        await log.until_event("lost")
        return peer

    kit.equal(kit.run(main()), listener.getsockname(), "peername")


@case("DNS-3")
def test_refused_at_every_address(kit: Kit) -> None:
    """A port that is closed at every address raises one OSError, and leaves no fd."""
    port = closed_port(kit)
    for _ in range(3):
        kit.raises(OSError, lambda: kit.run(kit.loop.create_connection(asyncio.Protocol, "localhost", port)))
    one = kit.raises(OSError, lambda: kit.run(kit.loop.create_connection(asyncio.Protocol, "127.0.0.1", port)))
    kit.equal(getattr(one, "errno", None), errno.ECONNREFUSED, "errno of a single address")


@case("DNS-3")
def test_unknown_host_and_service(kit: Kit) -> None:
    """A host or a service that cannot be looked up makes create_connection and create_server raise gaierror."""
    connect, serve, numbers = kit.loop.create_connection, kit.loop.create_server, socket.AI_NUMERICHOST
    kit.raises(socket.gaierror, lambda: kit.run(connect(asyncio.Protocol, "name.invalid", 80, flags=numbers)))
    kit.raises(socket.gaierror, lambda: kit.run(connect(asyncio.Protocol, "127.0.0.1", "nonesuch-service")))
    kit.raises(socket.gaierror, lambda: kit.run(serve(asyncio.Protocol, "name.invalid", 0, flags=numbers)))


@case("DNS-3")
def test_local_address(kit: Kit) -> None:
    """local_addr binds the client, and one of another family is passed over (cpython gh-86508)."""
    if sys.version_info < (3, 11):
        kit.skip("this Python binds addresses of another family")
    listener = kit.listener()
    log = kit.protocol()

    async def main() -> str:
        port = listener.getsockname()[1]
        await kit.loop.create_connection(lambda: log, "localhost", port, local_addr=("127.0.0.1", 0))
        host: str = log.transport.get_extra_info("sockname")[0]
        log.transport.abort()
        await log.until_event("lost")
        return host

    kit.equal(kit.run(main()), "127.0.0.1", "own address")


def family_of(address: tuple[Any, ...]) -> int:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def with_addresses(kit: Kit, *addresses: tuple[Any, ...]) -> None:
    """Makes every lookup of the loop give these addresses; skips the case where the loop looks names up elsewhere."""
    is_asked: list[bool] = []
    found: list[tuple[Any, ...]] = []

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> list[Any]:
        is_asked.append(True)
        return [(family_of(address), STREAM, socket.IPPROTO_TCP, "", address) for address in found]

    async def probe() -> None:
        with contextlib.suppress(OSError):
            await kit.loop.create_connection(asyncio.Protocol, "127.0.0.1.", closed_port(kit))

    try:
        kit.loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
    except AttributeError:
        kit.skip("the loop's getaddrinfo cannot be replaced")
    kit.run(probe())
    if not is_asked:
        kit.skip("create_connection does not look names up with the loop's getaddrinfo")
    found += addresses


@family("DNS-3", families=("v4_v4", "v4_v6", "v6_v4"))
def test_addresses_in_their_order(kit: Kit, families: str) -> None:
    """Of several addresses the first that answers is taken, in the order of the lookup (talyn BUG-072, node#31566)"""
    _ = families == "v4_v4" or needs.ipv6(kit)
    first, second = (
        kit.own(socket.create_server(("::1", 0), family=socket.AF_INET6)) if name == "v6" else kit.listener()
        for name in families.split("_")
    )
    nobody = ("127.0.0.1", closed_port(kit))
    with_addresses(kit, nobody, first.getsockname(), second.getsockname())
    log = kit.protocol()

    async def main() -> tuple[str, int]:
        await kit.loop.create_connection(lambda: log, "stub.invalid.", 1)
        peer: tuple[str, int] = log.transport.get_extra_info("peername")
        log.transport.abort()
        await log.until_event("lost")
        return peer

    kit.equal(kit.run(main()), first.getsockname(), "peername")


@family("DNS-3", first={"hangs": 0.02, "refuses": 60})
def test_happy_eyeballs(kit: Kit, first: float) -> None:
    """With happy_eyeballs_delay the second address follows one that hangs, at once one that refuses (zuvloop#28)"""
    full = kit.own(socket.create_server(("127.0.0.1", 0), backlog=0))
    kit.client(full)  # the backlog is full: the next connect hangs
    good = kit.listener()
    bad = full.getsockname() if first < 1 else ("127.0.0.1", closed_port(kit))
    with_addresses(kit, bad, good.getsockname())
    log = kit.protocol()

    async def main() -> tuple[str, int]:
        await kit.loop.create_connection(lambda: log, "stub.invalid.", 1, happy_eyeballs_delay=first)
        peer: tuple[str, int] = log.transport.get_extra_info("peername")
        log.transport.abort()
        await log.until_event("lost")
        return peer

    kit.equal(kit.run(main()), good.getsockname(), "peername")


@family("DNS-3", options={"delay": {"happy_eyeballs_delay": 1.0}, "count": {"interleave": 1}})
def test_families_take_turns(kit: Kit, options: dict[str, Any]) -> None:
    """With happy_eyeballs_delay or interleave the second address to be tried is one of the other family (RFC 8305)"""
    needs.ipv6(kit)
    sixth = kit.own(socket.create_server(("::1", 0), family=socket.AF_INET6))
    fourth, nobody = kit.listener(), ("127.0.0.1", closed_port(kit))
    with_addresses(kit, nobody, fourth.getsockname(), sixth.getsockname())
    log = kit.protocol()

    async def main() -> object:
        await kit.loop.create_connection(lambda: log, "stub.invalid.", 1, **options)
        peer = log.transport.get_extra_info("peername")
        log.transport.abort()
        await log.until_event("lost")
        return peer

    kit.equal(kit.run(main()), sixth.getsockname(), "peername")


@case("DNS-3")
def test_happy_eyeballs_all_refuse(kit: Kit) -> None:
    """With happy_eyeballs_delay and no address that answers create_connection raises OSError."""
    with_addresses(kit, *[("127.0.0.1", closed_port(kit)) for _ in range(3)])
    connect = kit.loop.create_connection
    for _ in range(3):
        kit.raises(OSError, lambda: kit.run(connect(asyncio.Protocol, "stub.invalid.", 1, happy_eyeballs_delay=0.01)))


@case("CONN-1")
def test_happy_eyeballs_is_cancelled(kit: Kit) -> None:
    """A create_connection that is cancelled while several addresses are tried leaves no task and no fd."""
    full = kit.own(socket.create_server(("127.0.0.1", 0), backlog=0))
    kit.client(full)  # the backlog is full: the next connects hang
    with_addresses(kit, *[full.getsockname()] * 3)

    async def main() -> tuple[int, int]:
        connect = kit.loop.create_connection(asyncio.Protocol, "stub.invalid.", 1, happy_eyeballs_delay=0.001)
        before = len(asyncio.all_tasks()), len(os.listdir("/dev/fd"))
        task = asyncio.ensure_future(connect)
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0.003)
        kit.check(task.cancelled(), f"it ended with {task}")
        return len(asyncio.all_tasks()) - before[0], len(os.listdir("/dev/fd")) - before[1]

    kit.equal(kit.run(main()), (0, 0), "tasks and fds left")


ASKED: dict[str, dict[str, Any]] = {
    "numbers": {"flags": socket.AI_NUMERICHOST},
    "family": {"family": socket.AF_INET6},
    "protocol": {"proto": socket.IPPROTO_ICMP},
}


@family("DNS-3", asked=ASKED)
def test_what_is_asked_of_the_lookup(kit: Kit, asked: dict[str, Any]) -> None:
    """create_connection asks for addresses of the family and by the flags that it was given"""
    host = "127.0.0.1" if "family" in asked else "localhost"
    port = kit.listener().getsockname()[1]
    kit.raises(socket.gaierror, lambda: kit.run(kit.loop.create_connection(asyncio.Protocol, host, port, **asked)))
    kit.turns(1)


@family("DNS-3", asked=ASKED)
def test_what_an_endpoint_asks_of_the_lookup(kit: Kit, asked: dict[str, Any]) -> None:
    """create_datagram_endpoint asks for addresses of the family, the protocol and by the flags that it was given"""
    address = "127.0.0.1" if "family" in asked else "localhost", 9
    create, protocol = kit.loop.create_datagram_endpoint, asyncio.DatagramProtocol
    kit.raises(socket.gaierror, lambda: kit.run(create(protocol, remote_addr=address, **asked)))
    kit.turns(1)


@case("DNS-1")
def test_lookups_in_debug_mode(kit: Kit) -> None:
    """In debug mode lookups obey the same options and give the same answers."""
    kit.loop.set_debug(True)
    options = {"family": socket.AF_INET, "type": STREAM, "flags": socket.AI_NUMERICHOST}
    answer = kit.run(kit.loop.getaddrinfo("127.0.0.1", 80, **options))
    kit.equal(answer, socket.getaddrinfo("127.0.0.1", 80, **options), "the answer")
    kit.raises(socket.gaierror, lambda: kit.run(kit.loop.getaddrinfo("localhost", 80, **options)))
    kit.run(kit.loop.shutdown_default_executor())


@family("DNS-3", option=("happy_eyeballs_delay", "interleave", "all_errors"))
def test_options_of_connecting(kit: Kit, option: str) -> None:
    """The options of create_connection for several addresses are known, and harmless for one (uvloop#406)"""
    if option == "all_errors" and sys.version_info < (3, 12):
        kit.skip("this Python has no all_errors")
    listener = kit.listener()
    value = {"happy_eyeballs_delay": 0.1, "interleave": 1, "all_errors": True}[option]

    async def main() -> None:
        connect = kit.loop.create_connection
        transport, _ = await connect(asyncio.Protocol, *listener.getsockname(), **{option: value})
        transport.abort()
        await asyncio.sleep(0.005)

    kit.run(main())


@case("DNS-3")
def test_server_at_several_hosts(kit: Kit) -> None:
    """create_server with a list of hosts listens at each, with one socket for each."""

    async def main() -> list[str]:
        server = await kit.loop.create_server(asyncio.Protocol, ["127.0.0.1", "127.0.0.2"], 0)
        hosts = sorted(sock.getsockname()[0] for sock in server.sockets)
        for sock in server.sockets:
            kit.client(sock.getsockname()).close()
        await asyncio.sleep(0.01)
        server.close()
        return hosts

    kit.equal(kit.run(main()), ["127.0.0.1", "127.0.0.2"], "hosts of the sockets")


@case("DNS-2")
def test_each_failure_is_its_own(kit: Kit) -> None:
    """A lookup that fails again raises an error of its own, and one that succeeds gives a list of its own."""

    async def fail() -> BaseException:
        try:
            await kit.loop.getaddrinfo("127.0.0.1", "no-such-service")
        except socket.gaierror as error:
            return error
        kit.fail("a service that does not exist was found")

    async def main() -> tuple[bool, bool]:
        first, second = await fail(), await fail()
        lists = [await kit.loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM) for _ in range(2)]
        lists[0].clear()
        return first is second, bool(lists[1])

    kit.equal(kit.run(main()), (False, True), "is it the same error, and is the second list whole")


@case("DNS-1")
def test_canonical_name(kit: Kit) -> None:
    """getaddrinfo tells the canonical name when it is asked for."""
    options = {"type": STREAM, "flags": socket.AI_CANONNAME | socket.AI_NUMERICHOST}
    answer = kit.run(kit.loop.getaddrinfo("127.0.0.1", 80, **options))
    kit.equal(answer, socket.getaddrinfo("127.0.0.1", 80, **options), "the answer")
    kit.run(kit.loop.shutdown_default_executor())


@family("DNS-3", own={"number": "127.0.0.2", "name": "own.invalid."}, at=("first", "second"))
def test_local_address_of_each_attempt(kit: Kit, own: str, at: str) -> None:
    """local_addr, which may be a name, binds the client at whichever address it connects (uvloop#30, zuvloop#183)"""
    nobody, listener = ("127.0.0.1", closed_port(kit)), kit.listener()
    found = {
        "stub.invalid.": [nobody] * (at == "second") + [listener.getsockname()],
        "own.invalid.": [("127.0.0.2", 0)],
    }
    log = kit.protocol()
    with_addresses(kit)

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> list[Any]:
        return [(socket.AF_INET, STREAM, socket.IPPROTO_TCP, "", address) for address in found[host]]

    async def main() -> object:
        await kit.loop.create_connection(lambda: log, "stub.invalid.", 1, local_addr=(own, 0))
        name = log.transport.get_extra_info("sockname")
        log.transport.abort()
        await log.until_event("lost")
        return name[0]

    kit.loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
    kit.equal(kit.run(main()), "127.0.0.2", "own address")
