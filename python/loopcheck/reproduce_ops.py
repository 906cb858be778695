"""What each operation of a program is in Python, for its stand-alone reproducer (reproduce.py)."""

from __future__ import annotations

from collections.abc import Callable

from loopcheck import _contract as c
from loopcheck.edges import EDGES
from loopcheck.findings import op_name

FILL_DATAGRAMS = 24
LETTERS = {
    c.KIND_SOON: "c",
    c.KIND_TIMER: "t",
    c.KIND_WATCH: "w",
    c.KIND_WAKER: "p",
    c.KIND_FD: "f",
    c.KIND_STREAM: "s",
    c.KIND_DATAGRAM: "d",
    c.KIND_SERVER: "l",
    c.KIND_REQUEST: "q",
    c.KIND_CANARY: "k",
}
EVENTS = {
    c.EVENT_SOON: "soon",
    c.EVENT_TIMER: "timer",
    c.EVENT_READY: "ready",
    c.EVENT_POSTED: "posted",
    c.EVENT_CLOSED: "closed",
    c.EVENT_MADE: "made",
    c.EVENT_DATA: "data",
    c.EVENT_EOF: "eof",
    c.EVENT_LOST: "lost",
    c.EVENT_PAUSE_WRITING: "pause_writing",
    c.EVENT_RESUME_WRITING: "resume_writing",
    c.EVENT_DATAGRAM: "datagram",
    c.EVENT_REFUSED: "refused",
    c.EVENT_FACTORY: "factory",
    c.EVENT_DONE: "done",
    c.EVENT_GET_BUFFER: "get_buffer",
}


class Op:
    """One operation of a program, as the script needs it."""

    def __init__(self, data: bytes) -> None:
        self.code, on, event, a, b, self.flags = data[:6]
        self.n = int.from_bytes(data[6:8], "little")
        self.arg = int.from_bytes(data[8:16], "little")
        self.a, self.b, self.on = name_of(a), name_of(b), name_of(on)
        self.number = b
        self.handle = on if self.code == c.OP_RAISE else a  # as the trace names it,
        self.recorded = c.OP_WRITE if self.code == c.OP_WRITELINES else self.code  # and what was asked
        self.event = EVENTS.get(event, "")

    @property
    def seconds(self) -> str:
        """Its duration, as a number in a script."""
        return repr(self.arg / 1e9) if self.arg < 1 << 62 else "1e9"

    def __str__(self) -> str:
        return f"{op_name(self.code)} {self.a}"


def name_of(handle: int) -> str:
    """c1 for 0x11, "" for none."""
    return f"{LETTERS[handle >> 4]}{handle & 15}" if handle >> 4 in LETTERS else ""


class Writer:
    """Turns the operations of one program into lines of Python."""

    def __init__(self, ops: list[Op], refused: set[tuple[int, int]]) -> None:
        self.ops = first_creations(ops)
        self.refused = refused
        self.made = {op.a: op for op in reversed(self.ops) if op.code in CREATES}  # as what each handle was made
        self.dropped = {op.a for op in self.ops if op.code == c.OP_DROP}
        self.udp = {name for op in ops if op.code == c.OP_UDP for name in (op.a, op.b)}
        self.peer = {one: other for op in ops if op.code in PAIRS for one, other in ((op.a, op.b), (op.b, op.a))}

    def lines(self) -> list[str]:
        """The body of program(): handles, then one op a line, what runs in callbacks as functions."""
        names = sorted({name for op in self.ops for name in (op.a, op.b, *served(op)) if name})
        lines = [f"{' = '.join(names)} = None"] if names else []
        for number, op in enumerate(self.ops, 1):
            if not op.on:
                lines += self._guarded(op)
                continue
            function = f"in_{op.on}_{number}"
            lines += ["", f"def {function}():"]
            lines += [f"    {line}" for line in (*self._scope(op), *self._guarded(op))]
            lines += [f'run.on("{op.on}", "{op.event}", {function})', ""]
        return lines

    def closing_lines(self) -> list[str]:
        """The end of everything that the program made and did not end, as the kit ends it; of streams see finish()."""
        ended = self.dropped | {op.a for op in self.ops if op.code == c.OP_DESTROY}
        made = [op for name, op in self.made.items() if name not in ended and op.code not in NOT_CLOSED]
        return [line for op in made for line in self.cancel(op)]

    def _scope(self, op: Op) -> list[str]:
        assigned = sorted(filter(None, self._assigned(op)))
        return [f"nonlocal {', '.join(assigned)}"] if assigned else []

    def _assigned(self, op: Op) -> tuple[str, ...]:
        if op.code in PAIRS or op.code == c.OP_RECYCLE:
            return op.a, op.b or self.peer.get(op.a, "")
        if op.code == c.OP_LISTEN:
            return op.a, *served(op)
        return (op.a,) if op.code in CREATES or op.code in (c.OP_REARM, c.OP_SWITCH, c.OP_DROP) else ()

    def _may_be_none(self, op: Op) -> bool:
        """Is there nothing yet, or no more, that it could be asked of?"""
        if op.code not in (c.OP_CANCEL, c.OP_DESTROY, c.OP_REARM) or op.a[0] == "w":  # which have no variable
            return False
        made = self.made.get(op.a)
        is_late = made is not None and (bool(made.on) or self.ops.index(made) > self.ops.index(op))
        return is_late or op.a in self.dropped

    def _guarded(self, op: Op) -> list[str]:
        lines = self.statements(op)
        if self._may_be_none(op):
            lines = [f"if {op.a} is not None:", *(f"    {line}" for line in lines)]
        if (op.code, op.handle) not in self.refused:
            return lines
        head, tail = "except Exception as error:", f'    run.log("{op.a}", f"{op} raised {{type(error).__name__}}")'
        return ["try:", *(f"    {line}" for line in lines), head, tail]

    def raising(self, op: Op) -> list[str]:
        """An Exception, or what is none."""
        error = ERRORS.get(op.n, "ValueError")
        return [f'run.error = {error}("raised in a callback")']

    def statements(self, op: Op) -> list[str]:
        """One op in Python."""
        return WRITERS[op.code](self, op)

    # What is not the same for all kinds.

    def cancel(self, op: Op) -> list[str]:
        kind = op.a[0]
        if kind in "ct" or (kind == "q" and op.code == c.OP_CANCEL):
            return [f"{op.a}.cancel()"]
        if kind == "l":
            return [f"{op.a}.close()"]
        if kind == "s" and op.code == c.OP_CANCEL:
            return [f"{op.a}.task.cancel()"]
        if kind == "p":
            return [f"for posted in {op.a}:", "    posted.cancel()"]
        if kind in "sdq":
            return [f"{op.a}.destroy()"]
        watch = self.made.get(op.a)
        if watch is None:
            return ["pass"]
        return [f"loop.remove_{way}({watch.b})" for way in ways(watch)]

    def rearm(self, op: Op) -> list[str]:
        made = self.made.get(op.a)
        return self.statements(made) if made is not None else ["pass"]

    def recycle(self, op: Op) -> list[str]:
        peer = self.peer.get(op.a, "")
        watches = [watch for watch in self.made.values() if watch.code == c.OP_WATCH and watch.b in (op.a, peer)]
        lines = [f"loop.remove_{way}({watch.b})" for watch in watches for way in ways(watch)]
        return [*lines, f"{op.a}, {peer} = run.recycle({op.a}, {peer})"]

    def timer(self, op: Op) -> list[str]:
        return [f'{op.a} = loop.call_later({op.seconds}, run.fired, "{op.a}", loop.time() + {op.seconds})']

    def edge(self, op: Op) -> list[str]:
        delay = f'float("{EDGES[op.flags]}")'
        return [f'{op.a} = loop.call_later({delay}, run.fired, "{op.a}", loop.time() + {delay})']

    def at(self, op: Op) -> list[str]:
        return [f'{op.a} = loop.call_at(run.start + {op.seconds}, run.fired, "{op.a}", run.start + {op.seconds})']

    def watch(self, op: Op) -> list[str]:
        return [f'loop.add_{way}({op.b}, run.ready, "{op.a}", {op.b}, "{way}")' for way in ways(op)]

    def put(self, op: Op) -> list[str]:
        name, count = ("send_whole", op.n) if op.a in self.udp else ("put", op.n or 1)
        return [f"run.{name}({op.a}, {count})"]

    def end(self, op: Op) -> list[str]:
        verb = "close" if op.code == c.OP_FLUSH else "abort"
        if op.a[0] != "d":
            return [f"{op.a}.transport.{verb}()"]
        return [f"if {op.a}.transport is not None:", f"    {op.a}.transport.{verb}()"]

    def take(self, op: Op) -> list[str]:
        return [f"run.{'receive' if op.a in self.udp else 'read'}({op.a}, {op.n})"]

    def fill(self, op: Op) -> list[str]:
        if op.a in self.udp:
            return [f"for _ in range({FILL_DATAGRAMS}):", f"    run.send_whole({op.a}, 100)"]
        return [f"run.put({op.a}, 1 << 26)"]

    def listen(self, op: Op) -> list[str]:
        names = served(op)
        quoted = "".join(f'"{name}", ' for name in names)
        return [f'{op.a}, ({", ".join(names)},) = run.listen("{op.a}", ({quoted.rstrip(" ")}))']

    def stream(self, op: Op) -> list[str]:
        kind = ", BufferedStream" if op.flags & c.BUFFERED else ""
        return [f'{op.a} = run.stream("{op.a}", {op.b}{kind})']

    def drop(self, op: Op) -> list[str]:
        return [f"{op.a} = None"]

    def post(self, op: Op) -> list[str]:
        return [f'run.post({op.a}, "{op.a}", {op.n / 1e6!r})']


def first_creations(ops: list[Op]) -> list[Op]:
    """Without the ops that make a handle which is made before: they do nothing."""
    known: set[str] = set()
    kept = []
    for op in ops:
        names = {op.a, op.b} if op.code in PAIRS else {op.a} if op.code in CREATES else set()
        if not names & known:
            kept.append(op)
        known |= names if not op.on else set()
    return kept


def served(op: Op) -> list[str]:
    """The streams that a server's clients become."""
    return [name_of(op.number + i) for i in range(op.n or CLIENTS)] if op.code == c.OP_LISTEN else []


def ways(op: Op) -> list[str]:
    """What a watcher is registered as."""
    return [way for bit, way in ((c.IN, "reader"), (c.OUT, "writer")) if op.flags & bit]


def simple(form: str) -> Callable[[Writer, Op], list[str]]:
    """An op that is one line whatever its handles are."""
    return lambda writer, op: [form.format(a=op.a, b=op.b, n=op.n or 1, count=op.n)]


def step(writer: Writer, op: Op) -> list[str]:
    return ["run.step()" if op.flags & c.WAIT else "run.poll()"]


def advance(writer: Writer, op: Op) -> list[str]:
    return [f"time.sleep({min(op.arg, ADVANCE_NS_MAX) / 1e9!r})"]


ADVANCE_NS_MAX = 20_000_000  # as contract/runner_fds.c has it
CLIENTS = 4  # of a server that was asked for no number
ERRORS = {
    c.RAISE_CANCELLED: "asyncio.CancelledError",
    c.RAISE_EXIT: "SystemExit",
    c.RAISE_INTERRUPT: "KeyboardInterrupt",
}
PAIRS = (c.OP_PAIR, c.OP_TCP, c.OP_UDP)
CALLS = (c.OP_RECV, c.OP_SENDALL, c.OP_TASK)
SOCKETS = (c.OP_LISTEN, c.OP_CLIENT, c.OP_BACKLOG, c.OP_CONNECT, c.OP_ACCEPT)
CREATES = (
    *(c.OP_SOON, c.OP_TIMER, c.OP_AT, c.OP_EDGE, c.OP_WATCH, c.OP_WAKER, c.OP_STREAM, c.OP_DATAGRAM, c.OP_CANARY),
    *SOCKETS,
    *CALLS,
)
NOT_CLOSED = (*SOCKETS, *CALLS, c.OP_STREAM, c.OP_DATAGRAM, c.OP_WAKER, c.OP_CANARY)  # by closing_lines()
WRITERS: dict[int, Callable[[Writer, Op], list[str]]] = {
    c.OP_SOON: simple('{a} = loop.call_soon(run.called, "{a}")'),
    c.OP_TIMER: Writer.timer,
    c.OP_AT: Writer.at,
    c.OP_EDGE: Writer.edge,
    c.OP_WATCH: Writer.watch,
    c.OP_WAKER: simple("{a} = []"),
    c.OP_POST: Writer.post,
    c.OP_CANCEL: Writer.cancel,
    c.OP_REARM: Writer.rearm,
    c.OP_DESTROY: Writer.cancel,
    c.OP_STOP: simple("loop.stop()"),
    c.OP_RUN: simple("run.run_for({n})"),
    c.OP_STEP: step,
    c.OP_PAIR: simple('{a}, {b} = run.pair("{a}", "{b}")'),
    c.OP_TCP: simple('{a}, {b} = run.tcp("{a}", "{b}")'),
    c.OP_PUT: Writer.put,
    c.OP_TAKE: Writer.take,
    c.OP_FILL: Writer.fill,
    c.OP_SHUT: simple("{a}.shutdown(socket.SHUT_WR)"),
    c.OP_RECYCLE: Writer.recycle,
    c.OP_ADVANCE: advance,
    c.OP_RAISE: Writer.raising,
    c.OP_STREAM: Writer.stream,
    c.OP_LISTEN: Writer.listen,
    c.OP_CLIENT: simple('{a} = run.client("{a}", {b})'),
    c.OP_BACKLOG: simple('{a} = run.backlog("{a}")'),
    c.OP_CONNECT: simple('{a} = run.connect_to("{a}", {b})'),
    c.OP_ACCEPT: simple('{a} = run.accept_from("{a}", {b})'),
    c.OP_RECV: simple('{a} = run.call("{a}", loop.sock_recv({b}, {n}), {b})'),
    c.OP_SENDALL: simple('{a} = run.call("{a}", loop.sock_sendall({b}, run.ends[{b}].next({n})))'),
    c.OP_TASK: simple('{a} = run.call("{a}", turns({n}))'),
    c.OP_DROP: Writer.drop,
    c.OP_GC: simple("gc.collect()"),
    c.OP_CANARY: simple('{a} = run.canary("{a}")'),
    c.OP_SWITCH: simple("{a} = {a}.replace()"),
    c.OP_WRITELINES: simple("{a}.transport.writelines({a}.bytes.pieces({n}))"),
    c.OP_WRITE: simple("{a}.write({n})"),
    c.OP_WRITE_EOF: simple("{a}.write_eof()"),
    c.OP_PAUSE: simple("{a}.transport.pause_reading()"),
    c.OP_RESUME: simple("{a}.transport.resume_reading()"),
    c.OP_LIMITS: simple("{a}.transport.set_write_buffer_limits(high={count}, low={count} // 4)"),
    c.OP_FLUSH: Writer.end,
    c.OP_ABORT: Writer.end,
    c.OP_HANGUP: simple("run.hang_up({a})"),
    c.OP_RST: simple("run.reset({a})"),
    c.OP_UDP: simple('{a}, {b} = run.udp("{a}", "{b}")'),
    c.OP_DATAGRAM: simple('{a} = run.endpoint("{a}", {b})'),
    c.OP_SEND: simple("{a}.send({count})"),
    c.OP_FAULT: simple("pass  # a fault of the kernel, which this loop's is not told"),
}
