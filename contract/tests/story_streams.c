/* The part of the notation that is about streams. */
#include "story.h"

/* ---- the ends of a connection ---------------------------------------------------------------- */

void pair(uint16_t f, uint16_t other)
{
    asks(LC_OP_PAIR, f, 0x50u | (other & 15u), 0, 0);
}

void tcp(uint16_t f, uint16_t other)
{
    asks(LC_OP_TCP, f, 0x50u | (other & 15u), 0, 0);
}

void sends(uint16_t f, uint64_t bytes)
{
    asks(LC_OP_PUT, f, bytes, 0, 0);
}

void fills(uint16_t f, uint64_t bytes)
{
    asks(LC_OP_FILL, f, bytes, 0, 0);
}

void takes(uint16_t f, uint64_t bytes)
{
    asks(LC_OP_TAKE, f, bytes, 0, 0);
}

void takes_end(uint16_t f, uint64_t bytes)
{
    asks(LC_OP_TAKE, f, bytes, LC_BYTES_END, 0);
}

void shuts(uint16_t f)
{
    asks(LC_OP_SHUT, f, 0, 0, 0);
}

void hangs_up(uint16_t f)
{
    asks(LC_OP_HANGUP, f, 0, 0, 0);
}

void resets(uint16_t f)
{
    asks(LC_OP_RST, f, 0, 0, 0);
}

void faults(unsigned calls)
{
    asks(LC_OP_FAULT, 0, calls, LC_FAULT_EAGAIN, 0);
}

void drained(void)
{
    tell((struct lc_obs){.what = LC_WHAT_DRAINED});
}

/* ---- what is asked of a stream ----------------------------------------------------------------- */

void stream(uint16_t s, uint16_t f)
{
    asks(LC_OP_STREAM, s, f != 0 ? 0x50u | (f & 15u) : 0, 0, 0);
}

void writes(uint16_t s, uint64_t bytes)
{
    asks(LC_OP_WRITE, s, bytes, 0, 0);
}

void write_eof(uint16_t s)
{
    asks(LC_OP_WRITE_EOF, s, 0, 0, 0);
}

void pauses(uint16_t s)
{
    asks(LC_OP_PAUSE, s, 0, 0, 0);
}

void resumes(uint16_t s)
{
    asks(LC_OP_RESUME, s, 0, 0, 0);
}

void limits(uint16_t s, uint64_t bytes)
{
    asks(LC_OP_LIMITS, s, bytes, 0, 0);
}

void closes(uint16_t s)
{
    asks(LC_OP_FLUSH, s, 0, 0, 0);
}

void aborts(uint16_t s)
{
    asks(LC_OP_ABORT, s, 0, 0, 0);
}

/* ---- what a stream does ------------------------------------------------------------------------ */

static void callback(struct lc_obs obs)
{
    obs.what = LC_WHAT_BEGIN;
    tell(obs);
    tell((struct lc_obs){.what = LC_WHAT_END, .code = obs.code, .handle = obs.handle});
}

void sees(uint16_t s, enum lc_event event)
{
    callback((struct lc_obs){.code = (uint8_t)event, .handle = s});
}

void sees_data(uint16_t s, uint64_t bytes)
{
    callback((struct lc_obs){.code = LC_EVENT_DATA, .handle = s, .arg = bytes});
}

void lost(uint16_t s, int error)
{
    callback((struct lc_obs){.code = LC_EVENT_LOST, .handle = s, .result = error});
}
