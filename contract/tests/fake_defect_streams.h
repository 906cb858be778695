/* The ways in which the fake loop can break a rule with streams, servers, connects, calls, tasks and datagrams. */
#ifndef FAKE_DEFECT_STREAMS_H
#define FAKE_DEFECT_STREAMS_H

#include "fake_defect.h"

/* Goes on where enum fake_defect ends. */
enum fake_defect_streams {
    FAKE_STREAM_MADE_NEVER = FAKE_DEFECTS_OF_LOOP,
    FAKE_STREAM_MADE_TWICE,
    FAKE_STREAM_MADE_LATE,  /* behind the first data */
    FAKE_STREAM_DATA_EMPTY, /* before the end of file */
    FAKE_STREAM_DATA_AFTER_EOF,
    FAKE_STREAM_DATA_AFTER_LOST,
    FAKE_STREAM_EOF_TWICE,
    FAKE_STREAM_LOST_TWICE,
    FAKE_STREAM_READ_SWALLOWS, /* the last byte of several */
    FAKE_STREAM_READ_SWAPS,    /* the halves */
    FAKE_STREAM_READ_TWICE,
    FAKE_STREAM_READ_FOREIGN,
    FAKE_STREAM_READ_DROPS,     /* all of it */
    FAKE_STREAM_WRITE_SWALLOWS, /* the last byte of what has to wait */
    FAKE_STREAM_WRITE_SWAPS,    /* what has to wait goes before what waits already */
    FAKE_STREAM_WRITE_TWICE,    /* what was sent in part is sent anew */
    FAKE_STREAM_WRITE_STUCK,    /* what has to wait waits for ever */
    FAKE_STREAM_CLOSE_DROPS,
    FAKE_STREAM_ABORT_SENDS,
    FAKE_STREAM_WRITE_EOF_DROPS,
    FAKE_STREAM_PAUSE_TWICE,
    FAKE_STREAM_RESUME_TWICE,
    FAKE_STREAM_READS_PAUSED,
    FAKE_STREAM_EOF_PAUSED,
    FAKE_STREAM_READS_ONCE,
    FAKE_STREAM_READS_EDGE, /* one byte of many, and then waits for more to arrive */
    FAKE_STREAM_READS_LATE, /* by time, not by turns */
    FAKE_STREAM_RESUME_DEAF,
    FAKE_STREAM_EOF_NEVER,
    FAKE_STREAM_ERROR_UNSEEN,
    FAKE_STREAM_EINTR_ENDS, /* reading */
    FAKE_STREAM_WRITE_ERROR_UNSEEN,
    FAKE_STREAM_PAUSE_NEVER,
    FAKE_STREAM_PAUSE_EARLY,
    FAKE_STREAM_RESUME_NEVER,
    FAKE_STREAM_CLOSE_SILENT, /* no LOST */
    FAKE_STREAM_ABORT_SILENT,
    FAKE_STREAM_READS_CLOSED,
    FAKE_STREAM_LOST_WITH_ERROR,
    FAKE_STREAM_LOST_WITHOUT_ERROR,
    FAKE_STREAM_LOST_BY_EOF,
    FAKE_STREAM_ENDS_BY_EOF, /* sends an end of its own when it sees the other's */
    FAKE_STREAM_EOF_FROM_SHORT_READ,
    FAKE_STREAM_EOF_EARLY,
    FAKE_STREAM_WRITE_EOF_NOTHING,
    FAKE_STREAM_CLOSE_ENDS_NOTHING, /* before the stream is destroyed */
    FAKE_STREAM_FD_LEAKED,
    FAKE_STREAM_FD_CLOSED_TWICE, /* when it is lost, and when it is destroyed */
    FAKE_STREAM_FD_READ_LATE,    /* when it is destroyed */
    FAKE_STREAM_FD_SHUT_LATE,    /* likewise */
    FAKE_STREAM_ON_THREAD,
    FAKE_EXIT_SWALLOWED,
    FAKE_EXIT_GOES_ON,     /* the batch runs to its end first */
    FAKE_EXIT_DROPS_BATCH, /* what comes behind it never runs */
    FAKE_EXIT_UNASKED,     /* a CancelledError leaves the run too */
    FAKE_FATAL_GOES_ON,    /* DATA that raises is only told */
    FAKE_FATAL_UNTOLD,     /* LOST, without an error */
    FAKE_FATAL_SILENT,     /* no LOST */
    FAKE_SERVER_DEAF,
    FAKE_SERVER_SERVES_ONE,
    FAKE_SERVER_STAYS_OPEN,
    FAKE_SERVER_MAKES_TWO, /* streams for one client */
    FAKE_CONNECT_SILENT,
    FAKE_CONNECT_TWICE,
    FAKE_CONNECT_DONE_FIRST, /* before MADE */
    FAKE_CONNECT_FAILS,
    FAKE_CONNECT_TO_NOBODY,
    FAKE_CONNECT_CANCELS_ALL,
    FAKE_CONNECT_CANCEL_SILENT,
    FAKE_RECV_SILENT,
    FAKE_RECV_TWICE,
    FAKE_RECV_FOREIGN,
    FAKE_RECV_TOO_MUCH,
    FAKE_RECV_EMPTY, /* ends though there is nothing */
    FAKE_RECV_CANCELS_ALL,
    FAKE_SEND_SILENT,
    FAKE_SEND_SHORT, /* ends when some were sent */
    FAKE_SEND_TWICE, /* what was sent in part is sent anew */
    FAKE_TASK_SILENT,
    FAKE_TASK_TWICE,
    FAKE_TASK_DEAF,    /* goes on though it was cancelled */
    FAKE_TASK_CANCELS, /* though nobody asked */
    FAKE_WRITELINES_SKIPS,
    FAKE_SWITCH_NOTHING,
    FAKE_BUFFER_FOR_LOST, /* asks for one when the connection is lost */
    FAKE_CLOSE_HOLDS,
    FAKE_DATAGRAM_MADE_NEVER,
    FAKE_DATAGRAM_MADE_TWICE,
    FAKE_DATAGRAM_LOST_TWICE,
    FAKE_DATAGRAM_LOST_NEVER,
    FAKE_DATAGRAM_AFTER_CLOSE,
    FAKE_DATAGRAM_DEAF,   /* after the first one that it was given */
    FAKE_DATAGRAM_DROPS,  /* every second one that comes */
    FAKE_DATAGRAM_TWICE,  /* tells of one */
    FAKE_DATAGRAM_SWAPS,  /* two that have come */
    FAKE_DATAGRAM_MERGES, /* two that have come */
    FAKE_DATAGRAM_CUTS,   /* to three quarters */
    FAKE_DATAGRAM_ALTERS,
    FAKE_DATAGRAM_DROPS_EMPTY,
    FAKE_DATAGRAM_OF_STRANGER,
    FAKE_DATAGRAM_SEND_DROPS,
    FAKE_DATAGRAM_SEND_TWICE,
    FAKE_DATAGRAM_CLOSE_DROPS,
    FAKE_DATAGRAM_REFUSAL_SILENT,
    FAKE_DATAGRAM_REFUSAL_ENDS,
    FAKE_DATAGRAM_REFUSAL_UNASKED,
    FAKE_DATAGRAM_TOO_LARGE_SILENT,
    FAKE_DATAGRAM_RAISE_ENDS,
    FAKE_DATAGRAM_RESUME_NEVER,
    FAKE_DEFECTS
};

#endif
