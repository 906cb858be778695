"""What cases of TLS need: a key and certificate for "localhost", contexts made from them, and a plain blocking peer.

The key protects nothing: it is made for these cases alone, so that they need no package and no tool to make one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopcheck.kit import Kit
    from loopcheck.protocols import Log

NAME = "localhost"  # what the certificate is for
VERSIONS = {"1_2": ssl.TLSVersion.TLSv1_2, "1_3": ssl.TLSVersion.TLSv1_3}
PEER_S = 3.0  # how long a blocking peer waits for the loop before it gives up

# An EC key of the curve P-256 and its own certificate, for a hundred years.
PEM = """\
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUa/m4HAA246l+vxTDOFTXaoUw7dUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTE2MTcxNVoYDzIxMjYxMDI4
MTYxNzE1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASiP3xWmy+jy2eKCaBX6GHlZnWl7CBqtDne3+6oxCvaQBpliqd5gfgu
lW7h9fImeQNscbLGltRUM+0ORUO6mIh/o2kwZzAdBgNVHQ4EFgQUdlBjk5Dq0Vzn
fgDaDh7c7Aro2PUwHwYDVR0jBBgwFoAUdlBjk5Dq0VznfgDaDh7c7Aro2PUwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIgYKxNBrmstvS6tjtxl9p4771sJ/eAiEtUuJD4V1W9h40CIQCYFITAn5sn
gWFZMRM7UHXQYvCsEK1szgDqAwqWclQaNA==
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfkbpVxtE5bKeEoqb
gxuyQxwmwUK2JFzHA1kHCCTrCq2hRANCAASiP3xWmy+jy2eKCaBX6GHlZnWl7CBq
tDne3+6oxCvaQBpliqd5gfgulW7h9fImeQNscbLGltRUM+0ORUO6mIh/
-----END PRIVATE KEY-----
"""


@dataclass(frozen=True)
class Tls:
    """The context of a server, and that of a client which trusts it and no other."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def contexts(version: str = "") -> Tls:
    """Fresh contexts; `version` is one of VERSIONS, or empty for the newest that both know."""
    handle, path = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(PEM.encode("ascii"))
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(path)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(path)
    finally:
        os.unlink(path)
    if version:
        client.minimum_version = client.maximum_version = VERSIONS[version]
    return Tls(server, client)


Talk = Callable[[ssl.SSLSocket], None]


def server_peer(kit: Kit, tls: Tls, talk: Talk) -> tuple[str, int]:
    """A blocking server in a thread: it accepts one client, shakes hands and calls `talk`. Returns its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listener.getsockname()
    listener.settimeout(PEER_S)

    def serve() -> None:
        with listener, contextlib.suppress(OSError):
            accepted, _ = listener.accept()
            accepted.settimeout(PEER_S)
            with tls.server.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False) as wrapped:
                talk(wrapped)

    kit.thread(serve)
    return address


def client_peer(kit: Kit, tls: Tls, address: tuple[str, int], talk: Talk) -> None:
    """A blocking client in a thread: it connects to `address`, shakes hands and calls `talk`."""

    def run() -> None:
        with contextlib.suppress(OSError), socket.create_connection(address, PEER_S) as plain:
            with tls.client.wrap_socket(plain, server_hostname=NAME, suppress_ragged_eofs=False) as wrapped:
                talk(wrapped)

    kit.thread(run)


async def join(kit: Kit, tls: Tls, inside: Log, log: Log) -> None:
    """Connects `log` to `inside`, both on the kit's loop. Nothing goes on listening."""
    server = await kit.loop.create_server(lambda: inside, "127.0.0.1", 0, ssl=tls.server)
    address = server.sockets[0].getsockname()
    await kit.loop.create_connection(lambda: log, *address, ssl=tls.client, server_hostname=NAME)
    await inside.until(lambda: inside.transport is not None)
    server.close()


async def part(*logs: Log) -> None:
    """Aborts the connections and waits until they are lost."""
    for log in logs:
        log.transport.abort()
    for log in logs:
        await log.until_event("lost")


async def gets(log: Log, size: int) -> bytes:
    """What the protocol has received once it is `size` bytes."""
    await log.until(lambda: len(log.received) >= size)
    return bytes(log.received)
