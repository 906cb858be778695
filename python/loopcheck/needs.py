"""What a case needs of the machine; where that is missing, the case is skipped and says why. What all need."""

from __future__ import annotations

import os
import resource
import socket

from loopcheck.kit import Kit

FDS_LEAST = 128


def why_unfit() -> str:
    """A sentence where so many cases could not do their work that their verdicts would say nothing; else empty."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < FDS_LEAST:
        return f"a process must be allowed to open {FDS_LEAST} fds, and this one is allowed {hard} (ulimit -n)"
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            socket.create_connection(listener.getsockname()).close()
    except OSError as error:
        return f"this machine cannot connect to itself over 127.0.0.1 ({error})"
    return ""


def has_ipv6() -> bool:
    """Is there a ::1?"""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def ipv6(kit: Kit) -> None:
    """A host that can be reached over IPv6: this one."""
    if not has_ipv6():
        kit.skip("there is no IPv6 here")


def fds(kit: Kit, count: int) -> None:
    """Open fds, with numbers up to this."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= allowed <= count:
        kit.skip(f"the case needs fds up to {count}, and this process may have {allowed}")


def terminal(kit: Kit) -> tuple[int, int]:
    """A terminal; returns both ends."""
    try:
        return os.openpty()
    except OSError as error:
        kit.skip(f"no terminal can be opened here ({error})")
