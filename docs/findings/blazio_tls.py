"""blazio: TLS: timeouts and options that are ignored; ends.

    python blazio_tls.py MODULE:FACTORY [CHECK...]

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
import threading


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


def raises(expected, call):
    """Did the call raise one of the expected exceptions?"""
    try:
        call()
    except expected:
        return True
    return False


def check_handshake_timeout(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.create_default_context()
    connecting = loop.create_connection(
        Log, *listener.getsockname(), ssl=context, server_hostname="localhost", ssl_handshake_timeout=0.1
    )
    try:
        loop.run_until_complete(asyncio.wait_for(connecting, 2))
    except asyncio.TimeoutError:
        return "ssl_handshake_timeout=0.1 has no effect: 2 s pass"
    except ConnectionError:
        return None


def check_hostname_without_tls(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    connecting = loop.create_connection(Log, *listener.getsockname(), server_hostname="localhost")
    if not raises(ValueError, lambda: loop.run_until_complete(connecting)):
        return "server_hostname= without ssl= is taken: the connection is not encrypted, and nobody is told"


def check_timeout_of_zero(new_loop):
    loop = new_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    connecting = loop.create_connection(
        Log, *listener.getsockname(), ssl=ssl.create_default_context(), server_hostname="x", ssl_handshake_timeout=0
    )
    try:
        loop.run_until_complete(asyncio.wait_for(connecting, 0.5))
    except ValueError:
        return None
    except Exception as error:
        return f"ssl_handshake_timeout=0 ends in {error!r} instead of ValueError"


def check_ssl_true_for_a_server(new_loop):
    loop = new_loop()
    if not raises(TypeError, lambda: loop.run_until_complete(loop.create_server(Log, "127.0.0.1", 0, ssl=True))):
        return "create_server(ssl=True) is taken"


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


def contexts():
    """Of a client that trusts CERTIFICATE, and of a server that has it."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(CERTIFICATE)
        file.flush()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(file.name)
    return ssl.create_default_context(cadata=CERTIFICATE[CERTIFICATE.index("-----BEGIN CERT") :]), server


def check_close_sends_all(new_loop):
    loop, ends = new_loop(), []
    for _ in range(20):
        got, end = send_and_close(loop)
        if got != SIZE or end != "close_notify":
            ends.append(f"{got} of {SIZE} bytes and {end}")
    if ends:
        return f"after write() and close() the peer sees, in {len(ends)} of 20 connections: {ends[0]}"


SIZE = 4 << 18


def send_and_close(loop):
    """Writes more than the socket takes, then closes: how many bytes the peer gets, and which end it sees."""
    client, server = contexts()
    listener, go, seen = socket.create_server(("127.0.0.1", 0)), threading.Event(), [0, "no end"]

    def read():
        with listener.accept()[0] as sock, server.wrap_socket(sock, True, suppress_ragged_eofs=False) as peer:
            go.wait()
            try:
                while data := peer.recv(65536):
                    seen[0] += len(data)
                seen[1] = "close_notify"
            except OSError as error:
                seen[1] = type(error).__name__

    thread = threading.Thread(target=read)
    thread.start()
    log = Log()
    connecting = loop.create_connection(lambda: log, *listener.getsockname(), ssl=client, server_hostname="localhost")
    loop.run_until_complete(connecting)
    log.transport.write(bytes(SIZE))
    log.transport.close()
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    go.set()
    for _ in range(300):
        if "lost" not in log.events:
            loop.run_until_complete(asyncio.sleep(0.01))
    thread.join(1)
    return seen


def check_close_while_paused(new_loop):
    if sys.version_info < (3, 11):
        return None  # the TLS of asyncio 3.10 waits as well
    loop, log = new_loop(), Log()
    client, server = contexts()
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with listener.accept()[0] as sock, server.wrap_socket(sock, True) as peer:
            while peer.recv(100):
                pass
            peer.unwrap()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    connecting = loop.create_connection(lambda: log, *listener.getsockname(), ssl=client, server_hostname="localhost")
    loop.run_until_complete(connecting)
    loop.run_until_complete(asyncio.sleep(0.05))
    log.transport.pause_reading()
    log.transport.close()
    for _ in range(200):
        if "lost" not in log.events:
            loop.run_until_complete(asyncio.sleep(0.01))
    if "lost" not in log.events:
        return "close() while reading is paused: connection_lost() does not come, though the peer has answered"


def check_tls_in_tls(new_loop):
    loop, log, inside = new_loop(), Log(), Log()
    client, server = contexts()

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours, theirs = socket.create_connection(listener.getsockname()), listener.accept()[0]
        left, _ = await loop.create_connection(lambda: log, sock=ours)
        right, _ = await loop.create_connection(lambda: inside, sock=theirs)
        for _ in range(2):
            accept = loop.start_tls(right, inside, server, server_side=True)
            connect = loop.start_tls(left, log, client, server_hostname="localhost")
            left, right = await asyncio.gather(connect, accept)
        left.write(b"hello")
        await asyncio.sleep(0.1)

    if sys.version_info < (3, 11):
        return None  # asyncio has no TLS in TLS
    try:
        loop.run_until_complete(main())
    except Exception as error:
        return f"start_tls() of a transport that is TLS already raises {error!r}"
    if inside.data != b"hello":
        return f"b'hello' through TLS in TLS arrives as {inside.data!r}"


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
