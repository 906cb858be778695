#include "names.h"

const char lc_kind_letters[LC_KIND_COUNT] = {'-', 'c', 't', 'w', 'p', 'f', 's', 'e', 'l', 'q'};

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
    [LC_EVENT_GET_BUFFER] = "get_buffer",
    [LC_EVENT_STALE] = "stale",
    [LC_EVENT_HELD] = "held",
};

const char *const lc_family_names[LC_FAMILY_COUNT] = {
    [LC_FAMILY_ANY] = "any",           [LC_FAMILY_LOOP] = "loop",         [LC_FAMILY_SERVERS] = "servers",
    [LC_FAMILY_CONNECTS] = "connects", [LC_FAMILY_REQUESTS] = "requests", [LC_FAMILY_EXITS] = "exits",
};

const char *const lc_fault_names[LC_FAULT_COUNT] = {
    [LC_FAULT_NONE] = "none",   [LC_FAULT_SHORT_READ] = "short_read", [LC_FAULT_SHORT_WRITE] = "short_write",
    [LC_FAULT_EINTR] = "eintr", [LC_FAULT_EAGAIN] = "eagain",
};

#define A LC_FIELD_A

const struct lc_op_form lc_op_forms[LC_OP_PROGRAM_END] = {
    [LC_OP_NOP] = {"nop", 0, 0, 0},
    [LC_OP_SOON] = {"soon", A, LC_KIND_SOON, 0},
    [LC_OP_TIMER] = {"timer", A | LC_FIELD_DURATION, LC_KIND_TIMER, 0},
    [LC_OP_AT] = {"at", A | LC_FIELD_DURATION, LC_KIND_TIMER, 0},
    [LC_OP_WATCH] = {"watch", A | LC_FIELD_B | LC_FIELD_BITS, LC_KIND_WATCH, 0},
    [LC_OP_WAKER] = {"waker", A, LC_KIND_WAKER, 0},
    [LC_OP_POST] = {"post", A | LC_FIELD_DELAY_US, LC_KIND_WAKER, 0},
    [LC_OP_CANCEL] = {"cancel", A, LC_KIND_NONE, 0},
    [LC_OP_REARM] = {"rearm", A, LC_KIND_NONE, 0},
    [LC_OP_DESTROY] = {"destroy", A, LC_KIND_NONE, 0},
    [LC_OP_STOP] = {"stop", 0, 0, 0},
    [LC_OP_RUN] = {"run", LC_FIELD_COUNT, 0, 0},
    [LC_OP_STEP] = {"step", LC_FIELD_POLL, 0, 0},
    [LC_OP_PAIR] = {"pair", A | LC_FIELD_B, LC_KIND_FD, 0},
    [LC_OP_PUT] = {"put", A | LC_FIELD_COUNT, LC_KIND_FD, 0},
    [LC_OP_TAKE] = {"take", A | LC_FIELD_COUNT, LC_KIND_FD, 0},
    [LC_OP_FILL] = {"fill", A, LC_KIND_FD, 0},
    [LC_OP_SHUT] = {"shut", A, LC_KIND_FD, 0},
    [LC_OP_RECYCLE] = {"recycle", A, LC_KIND_FD, 0},
    [LC_OP_ADVANCE] = {"advance", LC_FIELD_DURATION, 0, 0},
    [LC_OP_RAISE] = {"raise", LC_FIELD_COUNT, 0, 0},
    [LC_OP_STREAM] = {"stream", A | LC_FIELD_B | LC_FIELD_BUFFERED, LC_KIND_STREAM, 0},
    [LC_OP_WRITE] = {"write", A | LC_FIELD_COUNT, LC_KIND_STREAM, 0},
    [LC_OP_WRITE_EOF] = {"write_eof", A, LC_KIND_STREAM, 0},
    [LC_OP_PAUSE] = {"pause", A, LC_KIND_STREAM, 0},
    [LC_OP_RESUME] = {"resume", A, LC_KIND_STREAM, 0},
    [LC_OP_LIMITS] = {"limits", A | LC_FIELD_COUNT, LC_KIND_STREAM, 0},
    [LC_OP_FLUSH] = {"close", A, LC_KIND_STREAM, 0},
    [LC_OP_ABORT] = {"abort", A, LC_KIND_STREAM, 0},
    [LC_OP_TCP] = {"tcp", A | LC_FIELD_B, LC_KIND_FD, 0},
    [LC_OP_HANGUP] = {"hangup", A, LC_KIND_FD, 0},
    [LC_OP_RST] = {"rst", A, LC_KIND_FD, 0},
    [LC_OP_FAULT] = {"fault", LC_FIELD_FAULT | LC_FIELD_COUNT, 0, 0},
    [LC_OP_LISTEN] = {"listen", A | LC_FIELD_B | LC_FIELD_COUNT, LC_KIND_SERVER, LC_KIND_STREAM},
    [LC_OP_CLIENT] = {"client", A | LC_FIELD_B, LC_KIND_FD, LC_KIND_SERVER},
    [LC_OP_BACKLOG] = {"backlog", A, LC_KIND_FD, 0},
    [LC_OP_CONNECT] = {"connect", A | LC_FIELD_B, LC_KIND_STREAM, 0},
    [LC_OP_RECV] = {"recv", A | LC_FIELD_B | LC_FIELD_COUNT, LC_KIND_REQUEST, 0},
    [LC_OP_ACCEPT] = {"accept", A | LC_FIELD_B, LC_KIND_FD, 0},
    [LC_OP_SENDALL] = {"sendall", A | LC_FIELD_B | LC_FIELD_COUNT, LC_KIND_REQUEST, 0},
    [LC_OP_WRITELINES] = {"writelines", A | LC_FIELD_COUNT, LC_KIND_STREAM, 0},
    [LC_OP_SWITCH] = {"set_protocol", A, LC_KIND_STREAM, 0},
    [LC_OP_TASK] = {"task", A | LC_FIELD_COUNT, LC_KIND_REQUEST, 0},
    [LC_OP_DROP] = {"drop", A, LC_KIND_NONE, 0},
    [LC_OP_GC] = {"gc", 0, 0, 0},
};
