/* Canaries: files that are nobody's, under numbers that were free. A loop that uses a number which it has closed, or
 * closes it once more, meets one. */
#include "bytes.h"
#include "runner_state.h"

enum { CANARY_BYTES = 4 }; /* that each end holds unread: as many as the smallest socket of a simulated kernel */

bool lc_runner_do_canary(struct runner *r, const struct lc_op *op)
{
    const struct lc_kernel *k = r->kernel;
    struct handle *h = &r->handles[op->a];
    struct canary canary = {.handle = op->a};
    bool is_full = true;
    if (h->state != FREE || r->canary_count == CANARIES_MAX || k->pair(k->self, canary.fds, false) < 0)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        canary.identities[i] = k->identity(k->self, canary.fds[i]);
        is_full &= k->write(k->self, canary.fds[i], lc_bytes_at(op->a, i * CANARY_BYTES), CANARY_BYTES) == CANARY_BYTES;
    }
    if (!is_full) {
        k->close(k->self, canary.fds[0], false);
        k->close(k->self, canary.fds[1], false);
        return false;
    }
    h->state = ARMED;
    r->canaries[r->canary_count++] = canary;
    lc_runner_record_op(r, LC_OP_CANARY, op->a, 0, 0, 0);
    return true;
}

static bool is_there(const struct runner *r, const struct canary *c, unsigned i)
{
    return r->kernel->identity(r->kernel->self, c->fds[i]) == c->identities[i];
}

/* What can be told without taking the bytes. */
static unsigned harm_of(const struct runner *r, const struct canary *c)
{
    const struct lc_kernel *k = r->kernel;
    if (!is_there(r, c, 0) || !is_there(r, c, 1))
        return LC_CANARY_CLOSED;
    return k->ready(k->self, c->fds[0]) & k->ready(k->self, c->fds[1]) & LC_IN ? 0 : LC_CANARY_READ;
}

/* The bytes of one end have to be those that the other was given, and no end of file behind them. */
static unsigned harm_of_bytes(const struct runner *r, const struct canary *c, unsigned i)
{
    const struct lc_kernel *k = r->kernel;
    uint8_t bytes[2 * CANARY_BYTES];
    size_t size = 0;
    int64_t got = 1;
    while (size < sizeof bytes && (got = k->read(k->self, c->fds[i], bytes + size, sizeof bytes - size)) > 0)
        size += (size_t)got;
    if (size > CANARY_BYTES || got == 0)
        return LC_CANARY_WRITTEN;
    return lc_bytes_right(c->handle, (1 - i) * CANARY_BYTES, bytes, size) < size ? LC_CANARY_READ : 0;
}

static void note_harm(struct runner *r, struct canary *c, unsigned harm)
{
    if ((harm & ~c->harm) == 0)
        return;
    c->harm |= harm;
    lc_runner_record(
        r, (struct lc_obs){.what = LC_WHAT_CANARY, .handle = LC_HANDLE_WIDE(c->handle), .bits = (uint8_t)c->harm});
}

void lc_runner_look_at_canaries(struct runner *r)
{
    for (size_t i = 0; i < r->canary_count; i++)
        note_harm(r, &r->canaries[i], harm_of(r, &r->canaries[i]));
}

void lc_runner_close_canaries(struct runner *r)
{
    lc_runner_look_at_canaries(r);
    for (size_t i = 0; i < r->canary_count; i++) {
        struct canary *c = &r->canaries[i];
        if (c->harm == 0)
            note_harm(r, c, harm_of_bytes(r, c, 0) | harm_of_bytes(r, c, 1));
        for (unsigned end = 0; end < 2; end++)
            if (is_there(r, c, end)) /* the number may be another file's by now */
                r->kernel->close(r->kernel->self, c->fds[end], false);
    }
    r->canary_count = 0;
}
