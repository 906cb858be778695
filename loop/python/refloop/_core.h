/* refloop._core: asyncio's handles, and the part of asyncio's loop that schedules, waits and watches, on the C loop.
 *
 * Memory: a handle's Python object contains the C handle. While the C loop knows it, the loop owns one reference to the
 * object (is_queued); so whatever is in the C loop's list of handles is alive. Only posts come from other threads;
 * everything else needs the loop's thread, as in asyncio, and the GIL besides. */
#ifndef RLPY_CORE_H
#define RLPY_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_time.h"
#include "handle.h"

struct rlpy_loop;

/* The names that C code looks up in Python objects. */
#define RLPY_NAMES(name)                                                                                               \
    name(_callback_failed) name(_check_callback) name(_check_thread) name(_run) name(_run_in_debug) name(_stack)       \
        name(context) name(fileno)

struct rlpy_state {
    PyTypeObject *loop_type;
    PyTypeObject *soon_type;
    PyTypeObject *timer_type;
    PyTypeObject *watch_type;
    PyObject *no_args; /* the empty tuple */
    bool must_check;   /* REFLOOP_CHECK is set: every turn ends with a check of the C structures */
#define RLPY_FIELD(word) PyObject *name_##word;
    RLPY_NAMES(RLPY_FIELD)
#undef RLPY_FIELD
};

/* The slots of asyncio.Handle, where Python's class puts them; compared with the class when the module is loaded. */
struct rlpy_handle {
    PyObject_HEAD;
    PyObject *args;      /* a tuple; None once called or cancelled */
    PyObject *callback;  /* None once called or cancelled */
    PyObject *cancelled; /* True or False */
    PyObject *context;
    PyObject *loop;             /* a struct rlpy_loop */
    PyObject *repr;             /* None, or what to show of a handle that was cancelled in debug mode */
    PyObject *source_traceback; /* None, or where it was made, in debug mode */
#if PY_VERSION_HEX < 0x030c0000
    PyObject *weakrefs; /* newer versions keep it in front of the object */
#endif
};

/* Of call_soon and call_soon_threadsafe. */
struct rlpy_soon {
    struct rlpy_handle base;
    union {
        rl_soon soon;             /* valid while is_queued */
        struct rl_wake_node post; /* in the loop's mailbox while is_posted */
    };
    bool is_queued; /* the C loop knows soon, and owns a reference */
    bool is_posted; /* the mailbox owns a reference; never both */
};

/* Of call_later and call_at. */
struct rlpy_timer {
    struct rlpy_handle base;
    PyObject *scheduled; /* asyncio.TimerHandle's own slots: True while it waits for its time */
    PyObject *when;      /* as it was given to call_at */
    rl_timer timer;      /* valid while is_queued */
    bool is_queued;
};

/* Of add_reader and add_writer. */
struct rlpy_watch {
    struct rlpy_handle base;
    PyObject *file; /* what was given as the file */
    rl_watch watch; /* valid while is_queued */
    bool is_queued;
};

/* Where a Python loop waits: epoll, without the GIL, and anew in a forked child. */
struct rlpy_kernel {
    struct rl_epoll epoll;
    struct rl_backend inner; /* the table of epoll */
    struct rlpy_loop *loop;  /* contains this */
    unsigned forks_seen;     /* number of forks of the process when epoll was opened */
    unsigned polls_count;    /* waits since the GIL was last released */
    bool must_tell;          /* epoll was opened anew and the loop does not know it */
};

struct rlpy_loop {
    PyObject_HEAD;
    struct rlpy_state *state;
    rl_loop *loop;                   /* NULL once closed */
    struct rlpy_kernel kernel;       /* the backend of loop */
    struct rl_wake inbox;            /* handles of call_soon_threadsafe that the loop did not yet take */
    rl_waker alive;                  /* never posted: an asyncio loop sleeps until stop, even with nothing to do */
    _Atomic unsigned long thread_id; /* of the thread that runs the loop; 0 = it does not run */
    bool is_debug;
    bool is_closed; /* refuses work */
};

/* A call of call_soon or its kin, taken apart: the leading arguments by name, the rest, and context. */
struct rlpy_call {
    PyObject *lead[2];
    PyObject *const *args;
    Py_ssize_t args_count;
    PyObject *context; /* NULL or None: a copy of the current one */
};

extern struct PyModuleDef rlpy_module;
extern PyType_Spec rlpy_loop_spec, rlpy_soon_spec, rlpy_timer_spec, rlpy_watch_spec;
/* _kernel.c. 0 or -errno. */
int rlpy_kernel_open(struct rlpy_kernel *kernel, struct rl_backend *backend);

/* _handle.c. */
/* A new handle; its own part is zero. NULL with an exception. */
struct rlpy_handle *rlpy_handle_new(struct rlpy_loop *loop, PyTypeObject *type, const struct rlpy_call *call,
                                    PyObject *callback);
/* Hand a new handle to the C loop, which takes a reference of its own. */
void rlpy_soon_queue(struct rlpy_loop *loop, struct rlpy_soon *handle);
void rlpy_timer_queue(struct rlpy_loop *loop, struct rlpy_timer *handle, uint64_t deadline_ns);
/* 0, or -1 with an exception, and then it is not queued. */
int rlpy_watch_queue(struct rlpy_loop *loop, struct rlpy_watch *handle, int fd, unsigned interest);
/* Takes the handle out of the C loop, if it is there, and gives back the loop's reference. */
void rlpy_handle_unqueue(const struct rlpy_state *state, struct rlpy_handle *handle);
void rlpy_watch_cancel(struct rlpy_watch *handle);

/* _loop.c. -1 with RuntimeError if it is closed. */
int rlpy_loop_check_open(const struct rlpy_loop *loop);
/* Ends the sleep of the loop, now or its next one, unless this is the thread that runs it, and so does not sleep. */
void rlpy_loop_wake(struct rlpy_loop *loop);

/* _schedule.c. */
/* Takes a call apart as Python would bind (name, ..., *args, context=None). -1 with TypeError. */
int rlpy_call_take(struct rlpy_call *call, const struct rlpy_state *state, const char *const *names,
                   Py_ssize_t names_count, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
/* Moves what other threads posted to the queue. */
void rlpy_loop_take_posts(struct rlpy_loop *loop);
PyObject *rlpy_loop_call_soon(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *rlpy_loop_call_soon_threadsafe(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *rlpy_loop_call_later(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *rlpy_loop_call_at(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *rlpy_loop_time(PyObject *self, PyObject *unused);

/* _watch.c: methods of the loop. */
PyObject *rlpy_loop_add_reader(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *rlpy_loop_add_writer(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *rlpy_loop_remove_reader(PyObject *self, PyObject *file);
PyObject *rlpy_loop_remove_writer(PyObject *self, PyObject *file);
PyObject *rlpy_loop_watched(PyObject *self, PyObject *unused);

#endif
