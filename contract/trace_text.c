/* A trace as text: one record a line, for people. */
#include <inttypes.h>
#include <stdio.h>

#include "names.h"
#include "trace.h"

static const char *op_name(uint8_t code)
{
    if (code < LC_OP_PROGRAM_END && lc_op_forms[code].name != NULL)
        return lc_op_forms[code].name;
    return code == LC_OP_OPEN ? "open" : code == LC_OP_CLOSE ? "close" : "?";
}

static void handle_format(uint16_t handle, char *text, size_t size)
{
    unsigned kind = LC_WIDE_KIND(handle);
    if (handle == 0)
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%c%u", kind < LC_KIND_COUNT ? lc_kind_letters[kind] : '?',
                 (unsigned)LC_WIDE_INDEX(handle));
}

static void bits_format(unsigned bits, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%s%s", bits & LC_IN ? "in " : "", bits & LC_OUT ? "out " : "",
             bits & LC_HUP ? "hup " : "", bits & LC_ERR ? "err " : "", bits == 0 ? "nothing " : "");
}

static int op_format(const struct lc_obs *obs, const char *handle, char *text, size_t size)
{
    if (obs->code == LC_OP_TAKE)
        return snprintf(text, size, "take %s: %" PRIu64 " bytes%s%s -> %d", handle, obs->arg,
                        obs->bits & LC_BYTES_WRONG ? ", WRONG ONES" : "",
                        obs->bits & LC_BYTES_END ? ", then the end of file" : "", obs->result);
    if (obs->code == LC_OP_EDGE)
        return snprintf(text, size, "edge %s %s -> %d", handle,
                        obs->bits < LC_EDGE_COUNT ? lc_edge_names[obs->bits] : "?", obs->result);
    if (obs->code == LC_OP_NOW)
        return snprintf(text, size, "now() is %" PRIu64 " ns", obs->arg);
    if (obs->code == LC_OP_RAISE)
        return snprintf(text, size, "raise %u in %s", (unsigned)obs->bits, handle);
    return snprintf(text, size, "%s %s arg %" PRIu64 " -> %d", op_name(obs->code), handle, obs->arg, obs->result);
}

static int callback_format(const struct lc_obs *obs, const char *handle, char *text, size_t size)
{
    char reported[24], actual[24];
    const char *event = obs->code < LC_EVENT_COUNT ? lc_event_names[obs->code] : "?";

    bits_format(obs->bits, reported, sizeof reported);
    bits_format((unsigned)(obs->arg & 15), actual, sizeof actual);
    if (obs->code == LC_EVENT_READY)
        return snprintf(text, size, "  %s.%s {reported %sfd is %s", handle, event, reported, actual);
    if (obs->code == LC_EVENT_DATA)
        return snprintf(text, size, "  %s.data {%" PRIu64 " bytes%s", handle, obs->arg,
                        obs->bits & LC_BYTES_WRONG ? ", WRONG ONES" : "");
    if (obs->code == LC_EVENT_DATAGRAM)
        return snprintf(text, size, "  %s.datagram {number %d, %" PRIu64 " bytes%s%s", handle, obs->result, obs->arg,
                        obs->bits & LC_BYTES_WRONG ? ", WRONG ONES" : "",
                        obs->bits & LC_BYTES_FOREIGN ? ", of another SENDER" : "");
    if (obs->code == LC_EVENT_LOST || obs->code == LC_EVENT_REFUSED || obs->code == LC_EVENT_DONE)
        return snprintf(text, size, "  %s.%s {error %" PRId64, handle, event, -(int64_t)obs->result);
    return snprintf(text, size, "  %s.%s {", handle, event);
}

static int detail_format(const struct lc_obs *obs, const char *handle, char *text, size_t size)
{
    char reported[24];

    bits_format(obs->bits, reported, sizeof reported);
    switch (obs->what) {
    case LC_WHAT_OPEN:
        return snprintf(text, size, "open program %u", (unsigned)obs->handle);
    case LC_WHAT_TERMS:
        return snprintf(text, size, "tick %" PRIu64 " ns%s", obs->arg, obs->bits & LC_TERMS_EXACT ? ", exact" : "");
    case LC_WHAT_OP:
        return op_format(obs, handle, text, size);
    case LC_WHAT_POST:
        return snprintf(text, size, "post %s begins", handle);
    case LC_WHAT_BEGIN:
        return callback_format(obs, handle, text, size);
    case LC_WHAT_END:
        return snprintf(text, size, "  } %s%s", handle, obs->result ? " raises" : "");
    case LC_WHAT_STEP:
        return snprintf(text, size, "step%s", obs->bits & LC_WAIT ? "" : " poll");
    case LC_WHAT_STEPPED:
        return snprintf(text, size, "stepped%s -> %d", obs->result == LC_LEFT ? ", left by an exit" : "", obs->result);
    case LC_WHAT_RUN:
        return snprintf(text, size, "run");
    case LC_WHAT_RAN:
        return snprintf(text, size, "ran%s -> %d", obs->result == LC_LEFT ? ", left by an exit" : "", obs->result);
    case LC_WHAT_FD:
        return snprintf(text, size, "%s is fd %" PRIu64 ", ready for %s", handle, obs->arg, reported);
    case LC_WHAT_FDS:
        return snprintf(text, size, "%" PRIu64 " fds open", obs->arg);
    case LC_WHAT_CLOSED:
        return snprintf(text, size, "closed -> %d", obs->result);
    case LC_WHAT_ERROR:
        return snprintf(text, size, "exception handler called");
    case LC_WHAT_RESCUE:
        return snprintf(text, size, "RESCUE: the loop slept through what was due");
    case LC_WHAT_DRAINED:
        return snprintf(text, size, "all that was sent has arrived, or never will");
    case LC_WHAT_HELD:
        return snprintf(text, size, "%s is still held by the closed loop", handle);
    case LC_WHAT_CANARY:
        return snprintf(text, size, "%s is nobody's, and was%s%s%s", handle,
                        obs->bits & LC_CANARY_CLOSED ? " CLOSED" : "", obs->bits & LC_CANARY_READ ? " READ" : "",
                        obs->bits & LC_CANARY_WRITTEN ? " WRITTEN TO" : "");
    case LC_WHAT_NOTE:
        return snprintf(text, size, "note %u", (unsigned)obs->code);
    default:
        return snprintf(text, size, "record of unknown kind %u", (unsigned)obs->what);
    }
}

int lc_trace_format(const struct lc_obs *obs, char *text, size_t size)
{
    char handle[12], detail[120];

    handle_format(obs->handle, handle, sizeof handle);
    detail_format(obs, handle, detail, sizeof detail);
    return snprintf(text, size, "%5u %10.6f ms  thread %u  %s", obs->seq, (double)(obs->time_ns % 1000000000000u) / 1e6,
                    (unsigned)obs->thread, detail);
}

void lc_trace_print(const struct lc_obs *merged, size_t count, FILE *out)
{
    char line[200];
    for (size_t i = 0; i < count; i++) {
        struct lc_obs obs = merged[i];
        obs.time_ns -= merged[0].time_ns; /* a trace is read by differences */
        lc_trace_format(&obs, line, sizeof line);
        fprintf(out, "%s\n", line);
    }
}
