#include "names.h"

const char lc_kind_letters[LC_KIND_COUNT] = {'-', 'c', 't', 'w', 'p', 'f', 's', 'e', 'l', 'q', 'd', 'k'};

const char *const lc_event_names[LC_EVENT_COUNT] = {
    [LC_EVENT_ANY] = "any",
    [LC_EVENT_SOON] = "soon",
    [LC_EVENT_TIMER] = "timer",
    [LC_EVENT_READY] = "ready",
    [LC_EVENT_POSTED] = "posted",
    [LC_EVENT_CLOSED] = "closed",
    [LC_EVENT_ERROR] = "error",
    [LC_EVENT_RESCUE] = "rescue",
    [LC_EVENT_MADE] = "made",
    [LC_EVENT_DATA] = "data",
    [LC_EVENT_EOF] = "eof",
    [LC_EVENT_LOST] = "lost",
    [LC_EVENT_PAUSE_WRITING] = "pause_writing",
    [LC_EVENT_RESUME_WRITING] = "resume_writing",
    [LC_EVENT_FACTORY] = "factory",
    [LC_EVENT_DONE] = "done",
    [LC_EVENT_DATAGRAM] = "datagram",
    [LC_EVENT_REFUSED] = "refused",
    [LC_EVENT_GET_BUFFER] = "get_buffer",
    [LC_EVENT_STALE] = "stale",
    [LC_EVENT_HELD] = "held",
};

const char *const lc_family_names[LC_FAMILY_COUNT] = {
    [LC_FAMILY_ANY] = "any",
    [LC_FAMILY_LOOP] = "loop",
    [LC_FAMILY_SERVERS] = "servers",
    [LC_FAMILY_CONNECTS] = "connects",
    [LC_FAMILY_REQUESTS] = "requests",
    [LC_FAMILY_EXITS] = "exits",
    [LC_FAMILY_DATAGRAMS] = "datagrams",
};

const char *const lc_fault_names[LC_FAULT_COUNT] = {
    [LC_FAULT_NONE] = "none",   [LC_FAULT_SHORT_READ] = "short_read", [LC_FAULT_SHORT_WRITE] = "short_write",
    [LC_FAULT_EINTR] = "eintr", [LC_FAULT_EAGAIN] = "eagain",
};

const char *const lc_edge_names[LC_EDGE_COUNT] = {
    [LC_EDGE_NONE] = "none",      [LC_EDGE_NAN] = "nan",   [LC_EDGE_INF] = "inf",   [LC_EDGE_HUGE] = "huge",
    [LC_EDGE_MINUS_INF] = "-inf", [LC_EDGE_MINUS] = "-1s", [LC_EDGE_TINY] = "tiny", [LC_EDGE_MINUS_ZERO] = "-0",
};

#define A LC_FIELD_A

/* By name: clang takes offence at a field that is left out at the end of plain values. */
const struct lc_op_form lc_op_forms[LC_OP_PROGRAM_END] = {
    [LC_OP_NOP] = {.name = "nop"},
    [LC_OP_SOON] = {.name = "soon", .fields = A, .kind_a = LC_KIND_SOON},
    [LC_OP_TIMER] = {.name = "timer", .fields = A | LC_FIELD_DURATION, .kind_a = LC_KIND_TIMER},
    [LC_OP_AT] = {.name = "at", .fields = A | LC_FIELD_DURATION, .kind_a = LC_KIND_TIMER},
    [LC_OP_WATCH] = {.name = "watch", .fields = A | LC_FIELD_B | LC_FIELD_BITS, .kind_a = LC_KIND_WATCH},
    [LC_OP_WAKER] = {.name = "waker", .fields = A, .kind_a = LC_KIND_WAKER},
    [LC_OP_POST] = {.name = "post", .fields = A | LC_FIELD_DELAY_US, .kind_a = LC_KIND_WAKER},
    [LC_OP_CANCEL] = {.name = "cancel", .fields = A},
    [LC_OP_REARM] = {.name = "rearm", .fields = A},
    [LC_OP_DESTROY] = {.name = "destroy", .fields = A},
    [LC_OP_STOP] = {.name = "stop"},
    [LC_OP_RUN] = {.name = "run", .fields = LC_FIELD_COUNT},
    [LC_OP_STEP] = {.name = "step", .fields = LC_FIELD_POLL},
    [LC_OP_PAIR] = {.name = "pair", .fields = A | LC_FIELD_B, .kind_a = LC_KIND_FD},
    [LC_OP_PUT] = {.name = "put", .fields = A | LC_FIELD_COUNT, .kind_a = LC_KIND_FD},
    [LC_OP_TAKE] = {.name = "take", .fields = A | LC_FIELD_COUNT, .kind_a = LC_KIND_FD},
    [LC_OP_FILL] = {.name = "fill", .fields = A, .kind_a = LC_KIND_FD},
    [LC_OP_SHUT] = {.name = "shut", .fields = A, .kind_a = LC_KIND_FD},
    [LC_OP_RECYCLE] = {.name = "recycle", .fields = A, .kind_a = LC_KIND_FD},
    [LC_OP_ADVANCE] = {.name = "advance", .fields = LC_FIELD_DURATION},
    [LC_OP_RAISE] = {.name = "raise", .fields = LC_FIELD_COUNT},
    [LC_OP_STREAM] = {.name = "stream", .fields = A | LC_FIELD_B | LC_FIELD_BUFFERED, .kind_a = LC_KIND_STREAM},
    [LC_OP_WRITE] = {.name = "write", .fields = A | LC_FIELD_COUNT, .kind_a = LC_KIND_STREAM},
    [LC_OP_WRITE_EOF] = {.name = "write_eof", .fields = A, .kind_a = LC_KIND_STREAM},
    [LC_OP_PAUSE] = {.name = "pause", .fields = A, .kind_a = LC_KIND_STREAM},
    [LC_OP_RESUME] = {.name = "resume", .fields = A, .kind_a = LC_KIND_STREAM},
    [LC_OP_LIMITS] = {.name = "limits",
                      .fields = A | LC_FIELD_COUNT,
                      .kind_a = LC_KIND_STREAM,
                      .kind_also = LC_KIND_DATAGRAM},
    [LC_OP_FLUSH] = {.name = "close", .fields = A, .kind_a = LC_KIND_STREAM, .kind_also = LC_KIND_DATAGRAM},
    [LC_OP_ABORT] = {.name = "abort", .fields = A, .kind_a = LC_KIND_STREAM, .kind_also = LC_KIND_DATAGRAM},
    [LC_OP_TCP] = {.name = "tcp", .fields = A | LC_FIELD_B, .kind_a = LC_KIND_FD},
    [LC_OP_HANGUP] = {.name = "hangup", .fields = A, .kind_a = LC_KIND_FD},
    [LC_OP_RST] = {.name = "rst", .fields = A, .kind_a = LC_KIND_FD},
    [LC_OP_FAULT] = {.name = "fault", .fields = LC_FIELD_FAULT | LC_FIELD_COUNT},
    [LC_OP_LISTEN] = {.name = "listen",
                      .fields = A | LC_FIELD_B | LC_FIELD_COUNT,
                      .kind_a = LC_KIND_SERVER,
                      .kind_b = LC_KIND_STREAM},
    [LC_OP_CLIENT] = {.name = "client", .fields = A | LC_FIELD_B, .kind_a = LC_KIND_FD, .kind_b = LC_KIND_SERVER},
    [LC_OP_BACKLOG] = {.name = "backlog", .fields = A, .kind_a = LC_KIND_FD},
    [LC_OP_CONNECT] = {.name = "connect", .fields = A | LC_FIELD_B, .kind_a = LC_KIND_STREAM},
    [LC_OP_RECV] = {.name = "recv", .fields = A | LC_FIELD_B | LC_FIELD_COUNT, .kind_a = LC_KIND_REQUEST},
    [LC_OP_UDP] = {.name = "udp", .fields = A | LC_FIELD_B, .kind_a = LC_KIND_FD},
    [LC_OP_DATAGRAM] = {.name = "datagram", .fields = A | LC_FIELD_B, .kind_a = LC_KIND_DATAGRAM},
    [LC_OP_SEND] = {.name = "send", .fields = A | LC_FIELD_COUNT, .kind_a = LC_KIND_DATAGRAM},
    [LC_OP_ACCEPT] = {.name = "accept", .fields = A | LC_FIELD_B, .kind_a = LC_KIND_FD},
    [LC_OP_SENDALL] = {.name = "sendall", .fields = A | LC_FIELD_B | LC_FIELD_COUNT, .kind_a = LC_KIND_REQUEST},
    [LC_OP_WRITELINES] = {.name = "writelines", .fields = A | LC_FIELD_COUNT, .kind_a = LC_KIND_STREAM},
    [LC_OP_SWITCH] = {.name = "set_protocol", .fields = A, .kind_a = LC_KIND_STREAM},
    [LC_OP_TASK] = {.name = "task", .fields = A | LC_FIELD_COUNT, .kind_a = LC_KIND_REQUEST},
    [LC_OP_DROP] = {.name = "drop", .fields = A},
    [LC_OP_GC] = {.name = "gc"},
    [LC_OP_EDGE] = {.name = "edge", .fields = A | LC_FIELD_EDGE, .kind_a = LC_KIND_TIMER},
    [LC_OP_CANARY] = {.name = "canary", .fields = A, .kind_a = LC_KIND_CANARY},
};
