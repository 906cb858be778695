"""What each operation of a program is in a reproducer for libuv: a call of reproduce_libuv.c."""

from __future__ import annotations

from loopcheck import _contract as c
from loopcheck.reproduce_c_ops import Library, call
from loopcheck.reproduce_ops import Op

EVENTS = {0: "0", c.IN: "UV_READABLE", c.OUT: "UV_WRITABLE", c.IN | c.OUT: "UV_READABLE | UV_WRITABLE"}

# In ms, of what a number of ms without a sign can be; the driver refuses the others, and libuv never hears of them.
EDGES = {c.EDGE_INF: "UINT64_MAX", c.EDGE_HUGE: "UINT64_MAX", c.EDGE_MINUS_ZERO: "0", c.EDGE_TINY: "1"}


def edge(op: Op) -> str:
    return f"edge(&{op.a}, {EDGES[op.flags]});"


def watch(op: Op) -> str:
    return f"watch(&{op.a}, &{op.b}, {EVENTS[op.flags & (c.IN | c.OUT)]});"


LIBRARY = Library(
    name="libuv",
    template="reproduce_libuv.c",
    flags=("-luv", "-pthread"),
    header="uv.h",
    ops={
        c.OP_SOON: call("soon", "a"),
        c.OP_TIMER: call("timer", "a", "ms"),
        c.OP_AT: call("timer_at", "a", "ms"),
        c.OP_EDGE: edge,
        c.OP_WATCH: watch,
        c.OP_WAKER: call("waker", "a"),
        c.OP_POST: call("post", "a", "us"),
        c.OP_CANCEL: call("cancel", "a"),
        c.OP_REARM: call("rearm", "a"),
        c.OP_DESTROY: call("destroy", "a"),
        c.OP_STREAM: call("stream", "a", "b"),
        c.OP_WRITE: call("write_bytes", "a", "at least 1"),
        c.OP_WRITELINES: call("write_lines", "a", "at least 1"),
        c.OP_WRITE_EOF: call("write_eof", "a"),
        c.OP_PAUSE: call("pause_reading", "a"),
        c.OP_RESUME: call("resume_reading", "a"),
        c.OP_CONNECT: call("connect_to", "a", "b"),
        c.OP_DATAGRAM: call("endpoint", "a", "b"),
        c.OP_SEND: call("send_datagram", "a", "n"),
    },
)
