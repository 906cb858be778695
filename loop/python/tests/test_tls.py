"""start_tls goes on where the protocol is: with what it has read ahead, and with its writing paused."""

import asyncio
import ssl
import sys
from types import SimpleNamespace

import pytest
from refloop import _tls

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python has another protocol for TLS")


class Paused(asyncio.Protocol):
    """Counts how often it is told to go on."""

    resumed = 0

    def resume_writing(self):
        self.resumed += 1


def take_over(loop, protocol, is_paused):
    tls = _tls.SSLProtocol(
        loop,
        protocol,
        ssl.create_default_context(),
        loop.create_future(),
        server_hostname="host",
        call_connection_made=False,
    )
    tls.take_over(SimpleNamespace(_protocol_paused=is_paused))
    return tls


def test_what_was_read_ahead_goes_over(loop):
    """What the stream of the protocol has read belongs to TLS from then on, and to nobody else."""
    protocol = Paused()
    protocol._stream_reader = SimpleNamespace(_buffer=bytearray(b"hello"))
    tls = take_over(loop, protocol, is_paused=False)
    assert tls._incoming.read() == b"hello"
    assert protocol._stream_reader._buffer == b""


@pytest.mark.parametrize("is_paused", [False, True])
def test_paused_writing_is_resumed(loop, turn, is_paused):
    """Who was told to pause is told once to go on, when the handshake is over."""
    protocol = Paused()
    tls = take_over(loop, protocol, is_paused)
    tls.hand_over()
    turn()
    turn()
    assert protocol.resumed == int(is_paused)
