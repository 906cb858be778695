#include "story.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct lc_obs story[STORY_RECORDS_MAX];
static size_t story_count;
static uint64_t story_time_ns;
static uint16_t story_thread;
struct lc_judgement verdict;

void tell(struct lc_obs obs)
{
    assert(story_count < STORY_RECORDS_MAX);
    obs.seq = (uint32_t)story_count + 1;
    obs.time_ns = story_time_ns;
    obs.thread = story_thread;
    story[story_count++] = obs;
}

size_t told(struct lc_obs records[STORY_RECORDS_MAX])
{
    memcpy(records, story, story_count * sizeof *story);
    return story_count;
}

/* ---- the loop -------------------------------------------------------------------------------- */

void at(uint64_t time_ns)
{
    story_time_ns = time_ns;
}

void on_thread(uint16_t thread)
{
    story_thread = thread;
}

void opens_again(uint32_t capabilities, uint32_t promises)
{
    at(0);
    on_thread(0);
    tell((struct lc_obs){.what = LC_WHAT_OPEN, .arg = capabilities | (uint64_t)promises << 32});
}

void opens(uint32_t capabilities, uint32_t promises)
{
    story_count = 0;
    opens_again(capabilities, promises);
}

void terms(uint64_t tick_ns, bool is_exact)
{
    tell((struct lc_obs){.what = LC_WHAT_TERMS, .arg = tick_ns, .bits = is_exact});
}

void fds(uint64_t count)
{
    tell((struct lc_obs){.what = LC_WHAT_FDS, .arg = count});
}

void step(void)
{
    tell((struct lc_obs){.what = LC_WHAT_STEP, .bits = LC_WAIT});
}

void stepped(int result)
{
    tell((struct lc_obs){.what = LC_WHAT_STEPPED, .result = result});
}

void steps_pass(int count)
{
    for (int i = 0; i < count; i++) {
        step();
        stepped(0);
    }
}

void run(void)
{
    tell((struct lc_obs){.what = LC_WHAT_RUN});
}

void ran(int result)
{
    tell((struct lc_obs){.what = LC_WHAT_RAN, .result = result});
}

void loop_closes(int result)
{
    tell((struct lc_obs){.what = LC_WHAT_CLOSED, .result = result});
}

void handler_is_called(void)
{
    tell((struct lc_obs){.what = LC_WHAT_ERROR, .code = LC_EVENT_ERROR});
}

void rescue(void)
{
    tell((struct lc_obs){.what = LC_WHAT_RESCUE, .code = LC_EVENT_RESCUE});
}

/* ---- what is asked for ------------------------------------------------------------------------ */

void asks(enum lc_op_code code, uint16_t handle, uint64_t arg, uint8_t bits, int result)
{
    tell((struct lc_obs){
        .what = LC_WHAT_OP, .code = (uint8_t)code, .handle = handle, .arg = arg, .bits = bits, .result = result});
}

void soon(uint16_t c)
{
    asks(LC_OP_SOON, c, 0, 0, 0);
}

void timer(uint16_t t, uint64_t deadline_ns)
{
    asks(LC_OP_TIMER, t, deadline_ns, 0, 0);
}

void watch(uint16_t w, uint16_t f, uint8_t bits)
{
    asks(LC_OP_WATCH, w, 0x50u | (f & 15u), bits, 0);
}

void waker(uint16_t p)
{
    asks(LC_OP_WAKER, p, 0, 0, 0);
}

void cancel(uint16_t h)
{
    asks(LC_OP_CANCEL, h, 0, 0, 0);
}

void rearm(uint16_t h, uint64_t deadline_ns)
{
    asks(LC_OP_REARM, h, deadline_ns, 0, 0);
}

void destroy(uint16_t h)
{
    asks(LC_OP_DESTROY, h, 0, 0, 0);
}

void stop(void)
{
    asks(LC_OP_STOP, 0, 0, 0, 0);
}

void raises(void)
{
    asks(LC_OP_RAISE, 0, 0, 0, 0);
}

void raises_in(uint16_t h, enum lc_event event, enum lc_raise raise)
{
    asks(LC_OP_RAISE, h, event, (uint8_t)raise, 0);
}

void recycle(uint16_t f)
{
    asks(LC_OP_RECYCLE, f, 0, 0, 0);
}

void post(uint16_t p)
{
    tell((struct lc_obs){.what = LC_WHAT_POST, .code = LC_OP_POST, .handle = p});
    asks(LC_OP_POST, p, 0, 0, 0);
}

void fd_is(uint16_t f, uint8_t bits)
{
    tell((struct lc_obs){.what = LC_WHAT_FD, .handle = f, .arg = 10u + (f & 15u), .bits = bits});
}

/* ---- what the loop does ----------------------------------------------------------------------- */

void ends(uint16_t h)
{
    tell((struct lc_obs){.what = LC_WHAT_END, .code = (uint8_t)LC_WIDE_KIND(h), .handle = h});
}

void begins(uint16_t h)
{
    tell((struct lc_obs){.what = LC_WHAT_BEGIN, .code = (uint8_t)LC_WIDE_KIND(h), .handle = h});
}

void called(uint16_t h)
{
    begins(h);
    ends(h);
}

void ready(uint16_t w, uint8_t reported, uint8_t actual)
{
    tell((struct lc_obs){.what = LC_WHAT_BEGIN, .code = LC_EVENT_READY, .handle = w, .bits = reported, .arg = actual});
    ends(w);
}

void closed(uint16_t h)
{
    tell((struct lc_obs){.what = LC_WHAT_BEGIN, .code = LC_EVENT_CLOSED, .handle = h});
    tell((struct lc_obs){.what = LC_WHAT_END, .code = LC_EVENT_CLOSED, .handle = h});
}

/* ---- the verdict ------------------------------------------------------------------------------ */

void judge(void)
{
    lc_monitor_judge(story, story_count, &verdict);
}

bool breaks(const char *rules)
{
    char found[LC_VIOLATIONS_MAX * 13] = "";
    judge();
    for (size_t i = 0; i < verdict.count; i++) {
        strcat(found, i > 0 ? " " : "");
        strcat(found, verdict.violations[i].rule);
    }
    if (strcmp(found, rules) == 0)
        return true;
    lc_trace_print(story, story_count, stdout);
    printf("breaks \"%s\", not \"%s\"\n", found, rules);
    return false;
}
