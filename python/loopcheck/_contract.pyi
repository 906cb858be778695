"""Types of the extension module (_contract.c). The constants are those of the headers of contract/."""

from collections.abc import Callable
from typing import Any, TypedDict, final

from typing_extensions import Buffer

class Stats(TypedDict):
    ops: int
    executed: int
    ignored: int
    unfired: int
    callbacks: int

@final
class Sink:
    def begin(
        self, handle: int, event: int, bits: int = 0, error: int = 0, data: Buffer = b"", fd: int = 0, /
    ) -> int: ...
    def end(self, handle: int, event: int, /) -> None: ...

class Trace:
    def __init__(self, buffer: Buffer, /) -> None: ...
    def add(self, what: int, code: int = 0, handle: int = 0, bits: int = 0, arg: int = 0, result: int = 0) -> None: ...
    def reset(self) -> None: ...
    def mark(self) -> bytes: ...
    def rewind(self, mark: bytes, /) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Driver:
    def __init__(self, path: str, /) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> int: ...
    @property
    def promises(self) -> int: ...
    @property
    def tick_ns(self) -> int: ...
    @property
    def is_exact(self) -> bool: ...

def judge(buffer: Buffer, /) -> dict[str, Any]: ...
def format_trace(buffer: Buffer, /) -> str: ...
def runs(buffer: Buffer, /) -> list[tuple[int, bytes]]: ...
def judge_run(records: Buffer, /) -> dict[str, Any]: ...
def format_run(records: Buffer, /) -> str: ...
def compare(records: Buffer, control: Buffer, /) -> list[str]: ...
def settle(program: bytes, /) -> bytes: ...
def run(program: bytes, driver: Any, trace: Trace, number: int = 0, /) -> Stats: ...
def parse(text: str, /) -> bytes: ...
def format(program: bytes, /) -> str: ...
def canonical(program: bytes, /) -> bytes: ...
def generate(seed: int, capabilities: int, delay_ns_max: int, tick_ns: int, family: int = 0, /) -> bytes: ...
def shrink(program: bytes, fails: Callable[[bytes], bool], tries_max: int = 200, /) -> bytes: ...

BUFFERED: int
CAP_BUFFERED: int
CAP_CANCEL: int
CAP_COALESCE: int
CAP_CONNECT: int
CAP_DATAGRAM: int
CAP_EDGE: int
CAP_EXIT: int
CAP_FLOW: int
CAP_FLUSH: int
CAP_GC: int
CAP_MADE: int
CAP_MULTI: int
CAP_ONE_PER_STEP: int
CAP_RAISE: int
CAP_REQUEST: int
CAP_SERVER: int
CAP_STOP: int
CAP_STREAM: int
CAP_SWITCH: int
CAP_TASK: int
CAP_TURNS: int
CAP_WRITELINES: int
CAP_WRITE_EOF: int
EDGE_HUGE: int
EDGE_INF: int
EDGE_MINUS: int
EDGE_MINUS_INF: int
EDGE_MINUS_ZERO: int
EDGE_NAN: int
EDGE_TINY: int
ERR: int
EVENT_CLOSED: int
EVENT_DATA: int
EVENT_DATAGRAM: int
EVENT_DONE: int
EVENT_EOF: int
EVENT_ERROR: int
EVENT_FACTORY: int
EVENT_GET_BUFFER: int
EVENT_HELD: int
EVENT_LOST: int
EVENT_MADE: int
EVENT_PAUSE_WRITING: int
EVENT_POSTED: int
EVENT_READY: int
EVENT_REFUSED: int
EVENT_RESCUE: int
EVENT_RESUME_WRITING: int
EVENT_SOON: int
EVENT_STALE: int
EVENT_TIMER: int
FAMILY_ANY: int
FAMILY_CONNECTS: int
FAMILY_DATAGRAMS: int
FAMILY_EXITS: int
FAMILY_LOOP: int
FAMILY_REQUESTS: int
FAMILY_SERVERS: int
HUP: int
IN: int
KIND_CANARY: int
KIND_DATAGRAM: int
KIND_END: int
KIND_FD: int
KIND_REQUEST: int
KIND_SERVER: int
KIND_SOON: int
KIND_STREAM: int
KIND_TIMER: int
KIND_WAKER: int
KIND_WATCH: int
LEFT: int
OP_ABORT: int
OP_ACCEPT: int
OP_ADVANCE: int
OP_AT: int
OP_BACKLOG: int
OP_BYTES: int
OP_CANARY: int
OP_CANCEL: int
OP_CLIENT: int
OP_CLOSE: int
OP_CONNECT: int
OP_DATAGRAM: int
OP_DESTROY: int
OP_DROP: int
OP_EDGE: int
OP_FAULT: int
OP_FILL: int
OP_FLUSH: int
OP_GC: int
OP_HANGUP: int
OP_LIMITS: int
OP_LISTEN: int
OP_NOP: int
OP_NOW: int
OP_OPEN: int
OP_PAIR: int
OP_PAUSE: int
OP_POST: int
OP_PROGRAM_END: int
OP_PUT: int
OP_RAISE: int
OP_REARM: int
OP_RECV: int
OP_RECYCLE: int
OP_RESUME: int
OP_RST: int
OP_RUN: int
OP_SEND: int
OP_SENDALL: int
OP_SHUT: int
OP_SOON: int
OP_STEP: int
OP_STOP: int
OP_STREAM: int
OP_SWITCH: int
OP_TAKE: int
OP_TASK: int
OP_TCP: int
OP_TIMER: int
OP_UDP: int
OP_WAKER: int
OP_WATCH: int
OP_WRITE: int
OP_WRITELINES: int
OP_WRITE_EOF: int
OUT: int
PROGRAM_OPS_MAX: int
PROMISE_FIFO: int
PROMISE_ORDER: int
PROMISE_TIES: int
PROMISE_TURN: int
RAISE_CANCELLED: int
RAISE_EXCEPTION: int
RAISE_EXIT: int
RAISE_INTERRUPT: int
WAIT: int
WHAT_BEGIN: int
WHAT_CLOSED: int
WHAT_DRAINED: int
WHAT_END: int
WHAT_ERROR: int
WHAT_FD: int
WHAT_FDS: int
WHAT_HELD: int
WHAT_NOTE: int
WHAT_OP: int
WHAT_OPEN: int
WHAT_POST: int
WHAT_RAN: int
WHAT_RESCUE: int
WHAT_RUN: int
WHAT_STEP: int
WHAT_STEPPED: int
WHAT_TERMS: int
