/* Every way in which the fake loop can break a rule; fake_defect_streams.h has those of streams and of calls. */
#ifndef FAKE_DEFECT_H
#define FAKE_DEFECT_H

/* What the loop does wrong. */
enum fake_defect {
    FAKE_CORRECT,
    FAKE_LIES,       /* cannot do SWITCH, whatever it says; it breaks no rule, */
    FAKE_OPEN_FAILS, /* nor does this */
    FAKE_SOON_LIFO,
    FAKE_SOON_TWICE,
    FAKE_SOON_LOST, /* every second one of a batch */
    FAKE_SOON_AT_ONCE,
    FAKE_SOON_IN_SAME_TURN,
    FAKE_SOON_AFTER_CANCEL,
    FAKE_TIMER_EARLY,
    FAKE_TIMER_BY_ARMING,
    FAKE_TIMER_TIES_REVERSED,
    FAKE_TIMER_TWICE,
    FAKE_TIMER_AFTER_CANCEL,
    FAKE_TIMER_PAST_LOST, /* one that was due when it was armed */
    FAKE_WATCH_NOT_READY,
    FAKE_WATCH_EDGE,
    FAKE_WATCH_AFTER_CANCEL,
    FAKE_WATCH_NEW_OWNER, /* called after a cancel if its fd number was opened again */
    FAKE_WATCH_DRAINS,
    FAKE_WATCH_REPORTS_ALL,
    FAKE_POST_LOST, /* the second of two */
    FAKE_POST_DOUBLED,
    FAKE_POST_SLEPT_THROUGH,
    FAKE_POST_CALLS_BACK, /* on the thread that posts */
    FAKE_CALL_AFTER_DESTROY,
    FAKE_CLOSED_TWICE,
    FAKE_CLOSED_NEVER,
    FAKE_STEP_FAILS_AFTER_STOP,
    FAKE_RUN_RETURNS_EARLY,
    FAKE_STOP_TURN_LATE, /* run makes one turn more */
    FAKE_FD_LEAKED,
    FAKE_CLOSE_FAILS,
    FAKE_HANDLER_NOT_CALLED,
    FAKE_HANDLER_TWICE,
    FAKE_BATCH_DROPPED, /* what comes behind a callback that raised waits for the next turn */
    FAKE_DEFECTS_OF_LOOP
};

#endif
