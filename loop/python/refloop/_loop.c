/* The Loop type: turns, open and close, and the state that asyncio's Python code keeps on its loops. */
#include "_core.h"

#include <errno.h>
#include <stdatomic.h>

static struct rlpy_loop *as_loop(PyObject *object)
{
    return (struct rlpy_loop *)object;
}

int rlpy_loop_check_open(const struct rlpy_loop *loop)
{
    if (!loop->is_closed)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return -1;
}

void rlpy_loop_wake(struct rlpy_loop *loop)
{
    /* An eventfd of ours cannot fail but for being full, which is as good. */
    if (atomic_load(&loop->thread_id) != PyThread_get_thread_ident())
        (void)loop->kernel.inner.wake(loop->kernel.inner.self);
}

/* Turns. */

/* Examines the C loop. -1 with AssertionError. */
static int check(const struct rlpy_loop *self)
{
    int broken = self->loop == NULL ? 0 : rl_loop_check(self->loop);
    if (broken == 0)
        return 0;
    PyErr_Format(PyExc_AssertionError, "the C loop is damaged: rl_loop_check says %d", broken);
    return -1;
}

/* -1 with an exception: of a callback, of a signal's handler, or of the kernel. A signal ends a sleep and thereby the
 * turn; its handler runs before the next one. */
static int turn(struct rlpy_loop *self)
{
    if (PyErr_CheckSignals() < 0 || rlpy_loop_check_open(self) < 0)
        return -1;
    rlpy_loop_take_posts(self);
    int result = rl_loop_turn(self->loop, !self->loop->is_stop_wanted);
    if (PyErr_Occurred())
        return -1;
    if (result == -EBUSY) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return -1;
    }
    if (result < 0) {
        errno = -result;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return self->state->must_check ? check(self) : 0;
}

static PyObject *loop_run_once(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (turn(as_loop(object)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *loop_run_turns(PyObject *object, PyObject *unused)
{
    struct rlpy_loop *self = as_loop(object);
    (void)unused;
    do {
        if (turn(self) < 0)
            return NULL;
    } while (!self->loop->is_stop_wanted);
    Py_RETURN_NONE;
}

static PyObject *loop_begin_run(PyObject *object, PyObject *unused)
{
    struct rlpy_loop *self = as_loop(object);
    unsigned long nobody = 0;
    (void)unused;
    if (atomic_compare_exchange_strong(&self->thread_id, &nobody, PyThread_get_thread_ident()))
        Py_RETURN_NONE;
    PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
    return NULL;
}

static PyObject *loop_end_run(PyObject *object, PyObject *unused)
{
    struct rlpy_loop *self = as_loop(object);
    (void)unused;
    atomic_store(&self->thread_id, 0);
    if (self->loop != NULL)
        self->loop->is_stop_wanted = false;
    Py_RETURN_NONE;
}

static bool is_running(struct rlpy_loop *self)
{
    return atomic_load(&self->thread_id) != 0 || (self->loop != NULL && rl_loop_is_in_turn(self->loop));
}

static PyObject *loop_check(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (check(as_loop(object)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Small questions that asyncio asks often. */

static PyObject *loop_is_running(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(is_running(as_loop(object)));
}

static PyObject *loop_is_closed(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(as_loop(object)->is_closed);
}

static PyObject *loop_get_debug(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(as_loop(object)->is_debug);
}

static PyObject *loop_check_closed(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (rlpy_loop_check_open(as_loop(object)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *loop_write_to_self(PyObject *object, PyObject *unused)
{
    struct rlpy_loop *self = as_loop(object);
    (void)unused;
    if (self->loop != NULL)
        rlpy_loop_wake(self);
    Py_RETURN_NONE;
}

/* Opened and closed. */

static void noop(rl_waker *waker, void *arg)
{
    (void)waker;
    (void)arg;
}

static struct rlpy_state *state_of(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030b0000
    PyObject *module = PyType_GetModuleByDef(type, &rlpy_module);
#else
    PyObject *module = _PyType_GetModuleByDef(type, &rlpy_module);
#endif
    return module == NULL ? NULL : PyModule_GetState(module);
}

/* Takes any arguments: they are for __init__. */
static PyObject *loop_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    struct rlpy_state *state = state_of(type);
    (void)args;
    (void)keywords;
    struct rlpy_loop *self = state == NULL ? NULL : (struct rlpy_loop *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->kernel.loop = self;
    rl_wake_init(&self->inbox);
    struct rl_backend backend;
    int error = rlpy_kernel_open(&self->kernel, &backend);
    if (error == 0) {
        error = rl_loop_open_on(&self->loop, &backend);
        if (error < 0)
            backend.close(backend.self);
    }
    if (error < 0) {
        self->is_closed = true; /* asyncio's __del__ would warn of it, and close what __init__ did not make */
        Py_DECREF(self);
        errno = -error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    rl_waker_init(self->loop, &self->alive, noop, NULL);
    return (PyObject *)self;
}

static struct rlpy_handle *handle_at(const struct rl_node *node)
{
    return RL_CONTAINER_OF(node, struct rl_handle, in_loop)->arg;
}

/* Runs no callback. What it lets go of may run any Python code, which finds the loop closed. */
static void close_core(struct rlpy_loop *self)
{
    rl_loop *loop = self->loop;
    self->is_closed = true;
    if (loop == NULL)
        return;
    rlpy_loop_take_posts(self);
    self->loop = NULL;
    rl_handle_drop(&self->alive.handle);
    struct rl_node *node;
    while ((node = rl_list_first(&loop->handles)) != NULL)
        rlpy_handle_unqueue(self->state, handle_at(node));
    (void)rl_loop_close(loop); /* not in a turn: the caller made sure */
}

static PyObject *loop_close_core(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (is_running(as_loop(object))) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
        return NULL;
    }
    close_core(as_loop(object));
    Py_RETURN_NONE;
}

static int loop_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct rlpy_loop *self = as_loop(object);
    Py_VISIT(Py_TYPE(object));
    if (self->loop == NULL)
        return 0;
    const struct rl_node *head = &self->loop->handles.head;
    for (const struct rl_node *node = head->next; node != head; node = node->next)
        Py_VISIT(handle_at(node)); /* alive's is NULL */
    const struct rl_wake_node *post = atomic_load_explicit(&self->inbox.newest, memory_order_acquire);
    for (; post != NULL; post = post->next)
        Py_VISIT(RL_CONTAINER_OF(post, struct rlpy_soon, post));
    return 0;
}

static int loop_clear(PyObject *object)
{
    close_core(as_loop(object));
    return 0;
}

static void loop_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    (void)loop_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

/* The attributes that asyncio's Python code reads and sets. */

static PyObject *get_thread_id(PyObject *object, void *unused)
{
    (void)unused;
    unsigned long thread_id = atomic_load(&as_loop(object)->thread_id);
    return thread_id == 0 ? Py_NewRef(Py_None) : PyLong_FromUnsignedLong(thread_id);
}

static PyObject *get_flag(PyObject *object, void *which)
{
    const struct rlpy_loop *self = as_loop(object);
    const char *name = which;
    bool is_stopping = self->loop != NULL && self->loop->is_stop_wanted;
    return PyBool_FromLong(name[1] == 'd' ? self->is_debug : name[1] == 'c' ? self->is_closed : is_stopping);
}

static int set_flag(PyObject *object, PyObject *value, void *which)
{
    struct rlpy_loop *self = as_loop(object);
    const char *name = which;
    int truth = value == NULL ? 0 : PyObject_IsTrue(value);
    if (truth < 0)
        return -1;
    if (name[1] == 'd')
        self->is_debug = truth != 0;
    else if (name[1] == 'c')
        self->is_closed = truth != 0 || self->loop == NULL;
    else if (self->loop != NULL)
        self->loop->is_stop_wanted = truth != 0;
    return 0;
}

/* begin_run and end_run change it; asyncio's __init__ sets it to None, which it is. */
static int ignore(PyObject *object, PyObject *value, void *unused)
{
    (void)object;
    (void)value;
    (void)unused;
    return 0;
}

static PyGetSetDef loop_attributes[] = {
    {"_thread_id", get_thread_id, ignore, "the thread that runs the loop, or None", NULL},
    {"_debug", get_flag, set_flag, NULL, "_debug"},
    {"_closed", get_flag, set_flag, NULL, "_closed"},
    {"_stopping", get_flag, set_flag, NULL, "_stopping"},
    {NULL, NULL, NULL, NULL, NULL},
};

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef loop_methods[] = {
    {"call_soon", METHOD(rlpy_loop_call_soon), METH_FASTCALL | METH_KEYWORDS,
     "call_soon(callback, *args, context=None)\n\nCalls it in the next turn, in the order of the calls [SOON-1]."},
    {"call_soon_threadsafe", METHOD(rlpy_loop_call_soon_threadsafe), METH_FASTCALL | METH_KEYWORDS,
     "call_soon_threadsafe(callback, *args, context=None)\n\nAs call_soon, from any thread [WAKE-1]."},
    {"call_later", METHOD(rlpy_loop_call_later), METH_FASTCALL | METH_KEYWORDS,
     "call_later(delay, callback, *args, context=None)\n\nIs call_at(time() + delay, ...)."},
    {"call_at", METHOD(rlpy_loop_call_at), METH_FASTCALL | METH_KEYWORDS,
     "call_at(when, callback, *args, context=None)\n\nCalls it once when time() >= when, by deadline, and of equal "
     "deadlines the first armed first [TIMER-1] [TIMER-2] [TIMER-6]. ValueError for NaN [TIMER-9]."},
    {"time", rlpy_loop_time, METH_NOARGS, "CLOCK_MONOTONIC, in seconds [TIMER-10]."},
    {"is_running", loop_is_running, METH_NOARGS, "Is the loop running?"},
    {"is_closed", loop_is_closed, METH_NOARGS, "Was the loop closed?"},
    {"get_debug", loop_get_debug, METH_NOARGS, "Is debug mode on?"},
    {"_check_closed", loop_check_closed, METH_NOARGS, "RuntimeError if the loop is closed."},
    {"_write_to_self", loop_write_to_self, METH_NOARGS, "Ends the loop's sleep, from any thread."},
    {"_add_reader", METHOD(rlpy_loop_add_reader), METH_FASTCALL | METH_KEYWORDS,
     "_add_reader(fd, callback, *args, context=None)\n\nReplaces the earlier reader [FD-9]. OSError for a file that "
     "cannot be "
     "watched, ValueError for what is none."},
    {"_add_writer", METHOD(rlpy_loop_add_writer), METH_FASTCALL | METH_KEYWORDS,
     "_add_writer(fd, callback, *args, context=None)"},
    {"_remove_reader", rlpy_loop_remove_reader, METH_O, "_remove_reader(file)\n\nTrue: there was one [FD-8]."},
    {"_remove_writer", rlpy_loop_remove_writer, METH_O, "_remove_writer(file)\n\nTrue: there was one [FD-8]."},
    {"_watched", rlpy_loop_watched, METH_NOARGS, "{fd: 1 (read), 2 (write) or 3} of the watched fds."},
    {"_run_once", loop_run_once, METH_NOARGS, "One turn."},
    {"_run_turns", loop_run_turns, METH_NOARGS, "Turns until stop, or until something but an Exception is raised."},
    {"_begin_run", loop_begin_run, METH_NOARGS, "This thread runs the loop from now on. RuntimeError: another does."},
    {"_end_run", loop_end_run, METH_NOARGS, "Nobody runs the loop; a stop is used up."},
    {"_close_core", loop_close_core, METH_NOARGS, "Lets go of all handles and fds. RuntimeError while it runs."},
    {"_check", loop_check, METH_NOARGS, "AssertionError if the C structures are damaged."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, "The part of an asyncio loop that is C: scheduling, turns, watchers."},
    {Py_tp_new, loop_new},
    {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_attributes},
    {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},
    {Py_tp_dealloc, loop_dealloc},
    {0, NULL},
};

PyType_Spec rlpy_loop_spec = {.name = "refloop._core.Loop",
                              .basicsize = sizeof(struct rlpy_loop),
                              .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                              .slots = loop_slots};
