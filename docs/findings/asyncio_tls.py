"""asyncio: what its TLS does wrong: reading that is paused at once, a mark of 0, and one large write.

    python asyncio_tls.py MODULE:FACTORY [CHECK...]

Each check runs in a process of its own, since a loop may hang or crash. Exit status 0: all are right; 1: some are not.
"""

import asyncio
import importlib
import multiprocessing
import os
import socket
import ssl
import sys
import tempfile

CERTIFICATE = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgweD32/iTvdAXsDAZ
n1BDjCrPSvyDu1l8yGJEeaHYafehRANCAASVsVKtSsjAP5ZKy4jGpLtgUgT1n4Qu
wUspehfj02WTOZQHecEgwilnCcfYZjWAkLhTb/waLuQAlaqA1Csp/34v
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUMtNURmrR1H7IzjsTqhoJ+T9vh4gwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA1MDQxNloYDzIxMjYxMDI5
MDUwNDE2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASVsVKtSsjAP5ZKy4jGpLtgUgT1n4QuwUspehfj02WTOZQHecEgwiln
CcfYZjWAkLhTb/waLuQAlaqA1Csp/34vo2kwZzAdBgNVHQ4EFgQUsutpSSywSTwr
IjfW0CFBXCxIAwswHwYDVR0jBBgwFoAUsutpSSywSTwrIjfW0CFBXCxIAwswDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhAJvr5137exOCCHSTZzbM3u9glmHzjyiE/8JgUnyR1S+mAiBmtDv38WmV
VTLescXSPavOmtfk98SI5LdB+kEEigaKlw==
-----END CERTIFICATE-----
"""  # of localhost, made for this file


def contexts(version):
    """Of a server and of a client that trusts it, for this version alone."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(CERTIFICATE)
        file.flush()
        server.load_cert_chain(file.name)
    client.load_verify_locations(cadata=CERTIFICATE[CERTIFICATE.index("-----BEGIN CERT") :])
    client.minimum_version = client.maximum_version = version
    return server, client


class Paused(asyncio.Protocol):
    """Reads nothing for now."""

    def connection_made(self, transport):
        transport.pause_reading()


def shake(sock, wrap):
    """Shakes hands on a blocking socket: what is wrong, or None."""
    sock.settimeout(1)
    try:
        wrap(sock).close()
    except OSError as error:
        return f"the handshake of the peer of a protocol that pauses reading in connection_made() ends in {error!r}"


def beside(loop, work):
    """What a call in a thread returns, while the loop runs."""
    return loop.run_until_complete(loop.run_in_executor(None, work))


def check_paused_client(new_loop):
    loop, listener = new_loop(), socket.create_server(("127.0.0.1", 0))
    server, client = contexts(ssl.TLSVersion.TLSv1_3)  # where the client has the last word
    address = listener.getsockname()
    connection = loop.create_connection(Paused, *address, ssl=client, server_hostname="localhost")
    opening = asyncio.ensure_future(connection, loop=loop)
    wrong = beside(loop, lambda: shake(listener.accept()[0], lambda sock: server.wrap_socket(sock, server_side=True)))
    opening.cancel()
    return wrong


def check_paused_server(new_loop):
    loop = new_loop()
    server, client = contexts(ssl.TLSVersion.TLSv1_2)  # where the server has the last word
    serving = loop.run_until_complete(loop.create_server(Paused, "127.0.0.1", 0, ssl=server))
    address = serving.sockets[0].getsockname()
    return beside(
        loop,
        lambda: shake(
            socket.create_connection(address), lambda sock: client.wrap_socket(sock, server_hostname="localhost")
        ),
    )


async def read(reader, writer):
    while await reader.read(65536):
        pass


def check_drain_with_a_mark_of_zero(new_loop):
    loop = new_loop()
    server, client = contexts(ssl.TLSVersion.TLSv1_3)

    async def main():
        serving = await asyncio.start_server(read, "127.0.0.1", 0, ssl=server)
        address = serving.sockets[0].getsockname()
        _, writer = await asyncio.open_connection(*address, ssl=client, server_hostname="localhost")
        writer.transport.set_write_buffer_limits(high=0)
        for number in range(10):
            writer.write(b"hello")
            try:
                await asyncio.wait_for(writer.drain(), 1)
            except asyncio.TimeoutError:
                size = writer.transport.get_write_buffer_size()
                return f"drain() number {number} waits for ever, though {size} bytes wait"

    return loop.run_until_complete(main())


class Told(asyncio.Protocol):
    """Hears whether it has to pause."""

    is_paused = False

    def pause_writing(self):
        self.is_paused = True


def check_one_large_write(new_loop):
    loop = new_loop()
    server, client = contexts(ssl.TLSVersion.TLSv1_3)

    async def main():
        told, listener = Told(), socket.create_server(("127.0.0.1", 0))
        shaking = loop.run_in_executor(None, lambda: server.wrap_socket(listener.accept()[0], server_side=True))
        address = listener.getsockname()
        transport, _ = await loop.create_connection(lambda: told, *address, ssl=client, server_hostname="localhost")
        silent = await shaking  # it reads nothing
        transport.write(bytes(32 << 20))
        await asyncio.sleep(0.1)
        size = transport.get_write_buffer_size()
        silent.close()
        if not told.is_paused:
            return f"of 32 MiB for a peer that reads nothing {size} bytes are said to wait, and nobody is told to pause"

    return loop.run_until_complete(main())


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
