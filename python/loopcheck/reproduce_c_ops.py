"""What each operation of a program is in a reproducer in C, as far as no library has to do with it (reproduce_c.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loopcheck import _contract as c
from loopcheck.reproduce_ops import ADVANCE_NS_MAX, Op

Writer = Callable[[Op], str]


def call(function: str, *fields: str) -> Writer:
    """A line that calls the function with these fields of the op: a and b are handles, the rest is C."""
    return lambda op: f"{function}({', '.join(value_of(op, field) for field in fields)});"


def value_of(op: Op, name: str) -> str:
    """What stands in C for one field of an op."""
    values = {
        "a": f"&{op.a}",
        "b": f"&{op.b}",
        "n": str(op.n),
        "at least 1": str(op.n or 1),
        "all or n": str(op.n) if op.n else "UINT64_MAX",
        "ms": f"{min(-(-op.arg // 1_000_000), 1 << 62)}",
        "ns": f"{min(op.arg, ADVANCE_NS_MAX)}",
        "us": str(op.n),
    }
    return values[name]


SOCKET_OPS: dict[int, Writer] = {
    c.OP_PAIR: call("pair", "a", "b"),
    c.OP_TCP: call("tcp", "a", "b"),
    c.OP_UDP: call("udp", "a", "b"),
    c.OP_TAKE: call("take", "a", "all or n"),
    c.OP_FILL: call("fill", "a"),
    c.OP_SHUT: call("shut", "a"),
    c.OP_RECYCLE: call("recycle", "a"),
    c.OP_HANGUP: call("hang_up", "a"),
    c.OP_RST: call("reset", "a"),
    c.OP_BACKLOG: call("backlog", "a"),
    c.OP_ACCEPT: call("accept_from", "a", "b"),
    c.OP_CLIENT: call("client", "a", "b"),
    c.OP_ADVANCE: call("pass", "ns"),
    c.OP_RUN: call("run", "at least 1"),
    c.OP_STOP: call("stop"),
}


@dataclass(frozen=True)
class Library:
    """A library for which reproducers can be written."""

    name: str  # of its driver (struct lc_driver)
    template: str  # its file beside this one, which includes the others
    flags: tuple[str, ...]  # to link with it
    header: str
    ops: dict[int, Writer] = field(default_factory=dict)  # beside SOCKET_OPS

    def line(self, op: Op) -> str:
        """An op in C. Raises KeyError when there is none."""
        return (self.ops.get(op.code) or SOCKET_OPS[op.code])(op)

    def can_write(self, op: Op) -> bool:
        if op.code in (c.OP_PUT, c.OP_LISTEN, c.OP_STEP):
            return True
        try:
            return bool(self.line(op))
        except KeyError:
            return False
