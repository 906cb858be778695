"""What asyncio's loop does with sockets and files, with what it gets wrong put right. Each has a case in loopcheck."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ._transport import DatagramTransport, ReadPipeTransport, SocketTransport


class Sockets(asyncio.SelectorEventLoop):
    """The sock_* calls, sendfile, servers, and the transports of a loop."""

    if TYPE_CHECKING:  # what asyncio's stubs leave out
        _ensure_fd_no_transport: Any

    def _make_socket_transport(self, sock: Any, protocol: Any, waiter: Any = None, **options: Any) -> SocketTransport:
        self._ensure_fd_no_transport(sock)
        return SocketTransport(self, sock, protocol, waiter, **options)

    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> DatagramTransport:
        self._ensure_fd_no_transport(sock)
        return DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> ReadPipeTransport:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _sock_accept(self, fut: asyncio.Future[Any], sock: Any) -> None:
        if (
            not fut.done()
        ):  # a call cancelled in the turn of its event would take a client and drop it (gh-153761) [SOCK-3]
            super()._sock_accept(fut, sock)  # type: ignore[misc]

    async def _accept_connection2(
        self,
        factory: Any,
        client: Any,
        extra: Any,
        sslcontext: Any = None,
        server: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        # The client of a server that was closed since it was accepted: asyncio leaves it open (gh-109564) [SERVER-1].
        if server is not None and server._sockets is None:
            client.close()
            return
        await super()._accept_connection2(factory, client, extra, sslcontext, server, *rest, **options)  # type: ignore[misc]

    async def sendfile(self, transport: Any, *arguments: Any, **options: Any) -> Any:
        # In a task of its own: nobody else may write meanwhile [SENDFILE-1], and the end of the transport can end it.
        held = getattr(transport, "_ssl_protocol", None) or transport
        if getattr(held, "_sending", None) is not None:
            raise RuntimeError("sendfile is in progress")
        outcome: Any
        held._sending = asyncio.Task(super().sendfile(transport, *arguments, **options), loop=self)
        try:
            (outcome,) = await asyncio.gather(held._sending, return_exceptions=True)
        finally:
            held._sending = None
        if isinstance(outcome, asyncio.CancelledError):  # nobody cancelled this call [SENDFILE-2]
            raise ConnectionError("the transport was closed while it sent a file")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    # asyncio's fallbacks take offset 0 for "where the file stands" (gh-150107) [SENDFILE-1].

    async def _sock_sendfile_fallback(self, sock: Any, file: Any, offset: int, count: int | None) -> Any:
        rewind(file, offset)
        return await super()._sock_sendfile_fallback(sock, file, offset, count)  # type: ignore[misc]

    async def _sendfile_fallback(self, transp: Any, file: Any, offset: int, count: int | None) -> Any:
        rewind(file, offset)
        try:
            return await super()._sendfile_fallback(transp, file, offset, count)  # type: ignore[misc]
        except BaseException as error:
            # asyncio says nothing of a pause in which it gives the transport back; resume_writing() comes [SENDFILE-2].
            # (One of 3.10 whose connection over TLS is lost cannot say whether it is paused.)
            if getattr(transp, "_protocol_paused", False) and not is_lost(transp):
                transp.get_protocol().pause_writing()
            # Before 3.11 the end asks a lost connection over TLS for what it no longer has.
            if isinstance(error, AttributeError) and isinstance(error.__context__, ConnectionError):
                raise error.__context__ from None
            raise

    async def create_server(self, *args: Any, **options: Any) -> Any:
        server = await super().create_server(*args, **options)
        if not server.sockets:  # before 3.13 a lack of fds passes for an address family that is not there [SERVER-2]
            server.close()
            raise OSError("could not bind on any address")
        return server


def is_lost(transport: Any) -> bool:
    """Was connection_lost called, or is it about to be?"""
    tls = getattr(transport, "_ssl_protocol", None)
    return tls._transport is None if tls is not None else bool(getattr(transport, "_conn_lost", 0))


def rewind(file: Any, offset: int) -> None:
    """Goes to the begin if that is where sending begins; asyncio itself goes to any other offset."""
    if not offset and hasattr(file, "seek"):
        file.seek(0)
