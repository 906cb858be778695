/* The three kinds of asyncio.Handle: made, queued, called, cancelled, freed. */
#include "_core.h"

#include <structmember.h>

static struct rlpy_loop *loop_of(const struct rlpy_handle *handle)
{
    return (struct rlpy_loop *)handle->loop;
}

/* Whatever its loop owns of it, the handle is one of these. */
static bool is_kind(const struct rlpy_handle *handle, PyTypeObject *type)
{
    return Py_IS_TYPE((const PyObject *)handle, type);
}

/* Made. */

static PyObject *tuple_of(struct rlpy_state *state, PyObject *const *items, Py_ssize_t count)
{
    if (count == 0)
        return Py_NewRef(state->no_args);
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple != NULL && i < count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(items[i]));
    return tuple;
}

struct rlpy_handle *rlpy_handle_new(struct rlpy_loop *loop, PyTypeObject *type, const struct rlpy_call *call,
                                    PyObject *callback)
{
    struct rlpy_handle *handle = (struct rlpy_handle *)type->tp_alloc(type, 0);
    if (handle == NULL)
        return NULL;
    handle->loop = Py_NewRef((PyObject *)loop);
    handle->callback = Py_NewRef(callback);
    handle->cancelled = Py_NewRef(Py_False);
    handle->repr = Py_NewRef(Py_None);
    handle->args = tuple_of(loop->state, call->args, call->args_count);
    bool has_context = call->context != NULL && call->context != Py_None;
    handle->context = has_context ? Py_NewRef(call->context) : PyContext_CopyCurrent();
    handle->source_traceback =
        loop->is_debug ? PyObject_CallMethodNoArgs(handle->loop, loop->state->name__stack) : Py_NewRef(Py_None);
    if (handle->args == NULL || handle->context == NULL || handle->source_traceback == NULL) {
        Py_DECREF(handle);
        return NULL;
    }
    return handle;
}

/* Called. */

/* Drops callback and arguments: asyncio keeps them until the handle goes, and with them what they refer to. */
static void release(struct rlpy_handle *handle)
{
    PyObject *callback = handle->callback, *args = handle->args;
    handle->callback = Py_NewRef(Py_None);
    handle->args = Py_NewRef(Py_None);
    Py_XDECREF(callback);
    Py_XDECREF(args);
}

static PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        (void)PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* With an exception set: to the exception handler with it, unless it is one of those that leave the loop. */
static void report(struct rlpy_handle *handle)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        return;
    PyObject *exception = take_exception();
    PyObject *arguments[] = {handle->loop, (PyObject *)handle, exception};
    PyObject *done = PyObject_VectorcallMethod(loop_of(handle)->state->name__callback_failed, arguments, 3, NULL);
    Py_XDECREF(done);
    Py_XDECREF(exception);
}

/* The ordinary case of asyncio.Handle._run. */
static PyObject *run_in_context(struct rlpy_handle *handle)
{
    /* The callback may cancel this handle, so that it loses all that it holds. */
    PyObject *callback = Py_NewRef(handle->callback);
    PyObject *args = Py_NewRef(handle->args);
    PyObject *context = Py_NewRef(handle->context);
    PyObject *result = NULL;
    if (PyContext_Enter(context) == 0) {
        result = PyObject_Vectorcall(callback, ((PyTupleObject *)args)->ob_item, (size_t)PyTuple_GET_SIZE(args), NULL);
        if (PyContext_Exit(context) < 0)
            Py_CLEAR(result);
    }
    Py_DECREF(callback);
    Py_DECREF(args);
    Py_DECREF(context);
    return result;
}

/* Calls the callback. What leaves the loop stays set as the exception, and ends the batch. */
static void call(struct rlpy_handle *handle)
{
    struct rlpy_loop *loop = loop_of(handle);
    if (handle->cancelled != Py_False)
        return;
    if (handle->callback == NULL || handle->args == NULL || handle->context == NULL)
        return; /* somebody deleted asyncio's private attributes */
    PyObject *result;
    if (loop->is_debug) {
        result = PyObject_CallMethodOneArg(handle->loop, loop->state->name__run_in_debug, (PyObject *)handle);
    } else if (PyTuple_CheckExact(handle->args) && PyContext_CheckExact(handle->context)) {
        result = run_in_context(handle);
        if (result == NULL)
            report(handle);
    } else { /* a context that only looks like one, as asyncio allows */
        result = PyObject_CallMethodNoArgs((PyObject *)handle, loop->state->name__run);
    }
    Py_XDECREF(result);
    if (PyErr_Occurred() && loop->loop != NULL)
        rl_turn_break(&loop->loop->turn);
}

static void run_soon(rl_soon *soon, void *object)
{
    struct rlpy_soon *self = object;
    rl_handle_drop(&soon->handle);
    self->is_queued = false;
    call(&self->base);
    release(&self->base);
    Py_DECREF(self);
}

static void run_timer(rl_timer *timer, void *object)
{
    struct rlpy_timer *self = object;
    rl_handle_drop(&timer->handle);
    self->is_queued = false;
    Py_SETREF(self->scheduled, Py_NewRef(Py_False));
    call(&self->base);
    release(&self->base);
    Py_DECREF(self);
}

static void run_watch(rl_watch *watch, void *object, unsigned events)
{
    struct rlpy_watch *self = object;
    (void)watch;
    (void)events;
    Py_INCREF(self);
    if (self->base.cancelled != Py_False) /* by asyncio.Handle.cancel itself, past this type's */
        rlpy_handle_unqueue(loop_of(&self->base)->state, &self->base);
    call(&self->base);
    Py_DECREF(self);
}

/* Queued. */

void rlpy_soon_queue(struct rlpy_loop *loop, struct rlpy_soon *handle)
{
    rl_soon_init(loop->loop, &handle->soon, run_soon, handle);
    (void)rl_soon_start(&handle->soon); /* cannot fail */
    handle->is_queued = true;
    Py_INCREF(handle);
}

void rlpy_timer_queue(struct rlpy_loop *loop, struct rlpy_timer *handle, uint64_t deadline_ns)
{
    rl_timer_init(loop->loop, &handle->timer, run_timer, handle);
    (void)rl_timer_start_at(&handle->timer, deadline_ns); /* cannot fail */
    handle->is_queued = true;
    Py_INCREF(handle);
}

int rlpy_watch_queue(struct rlpy_loop *loop, struct rlpy_watch *handle, int fd, unsigned interest)
{
    rl_watch_init(loop->loop, &handle->watch, run_watch, handle);
    int error = rl_watch_start(&handle->watch, fd, interest);
    if (error < 0) {
        rl_handle_drop(&handle->watch.handle);
        errno = -error;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    handle->is_queued = true;
    Py_INCREF(handle);
    return 0;
}

void rlpy_handle_unqueue(const struct rlpy_state *state, struct rlpy_handle *handle)
{
    struct rl_handle *inner;
    bool *is_queued;
    if (is_kind(handle, state->soon_type)) {
        inner = &((struct rlpy_soon *)handle)->soon.handle;
        is_queued = &((struct rlpy_soon *)handle)->is_queued;
    } else if (is_kind(handle, state->timer_type)) {
        inner = &((struct rlpy_timer *)handle)->timer.handle;
        is_queued = &((struct rlpy_timer *)handle)->is_queued;
    } else {
        inner = &((struct rlpy_watch *)handle)->watch.handle;
        is_queued = &((struct rlpy_watch *)handle)->is_queued;
    }
    if (!*is_queued)
        return;
    *is_queued = false;
    rl_handle_drop(inner);
    Py_DECREF(handle);
}

/* Cancelled. */

static PyObject *handle_cancel(PyObject *object, PyObject *unused)
{
    struct rlpy_handle *self = (struct rlpy_handle *)object;
    (void)unused;
    if (self->cancelled != Py_False || self->loop == NULL)
        Py_RETURN_NONE;
    Py_SETREF(self->cancelled, Py_NewRef(Py_True));
    if (loop_of(self)->is_debug) {
        PyObject *repr = PyObject_Repr(object);
        if (repr == NULL)
            return NULL;
        Py_SETREF(self->repr, repr);
    }
    Py_INCREF(object);
    rlpy_handle_unqueue(loop_of(self)->state, self);
    release(self);
    Py_DECREF(object);
    Py_RETURN_NONE;
}

static PyObject *timer_cancel(PyObject *object, PyObject *unused)
{
    struct rlpy_timer *self = (struct rlpy_timer *)object;
    if (self->scheduled != NULL)
        Py_SETREF(self->scheduled, Py_NewRef(Py_False));
    return handle_cancel(object, unused);
}

void rlpy_watch_cancel(struct rlpy_watch *handle)
{
    PyObject *done = handle_cancel((PyObject *)handle, NULL);
    if (done == NULL)
        PyErr_WriteUnraisable((PyObject *)handle); /* a repr of the callback's that raises */
    Py_XDECREF(done);
}

static PyObject *handle_cancelled(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct rlpy_handle *)object)->cancelled == Py_True);
}

/* An attribute that is there once the handle was made, and which debug mode's Python code could ask for earlier. */
static PyObject *attribute(PyObject *value)
{
    if (value == NULL)
        PyErr_SetString(PyExc_AttributeError, "the handle has no such attribute");
    return Py_XNewRef(value);
}

/* asyncio.Handle has it from 3.12 on. */
static PyObject *handle_get_context(PyObject *object, PyObject *unused)
{
    (void)unused;
    return attribute(((struct rlpy_handle *)object)->context);
}

static PyObject *timer_when(PyObject *object, PyObject *unused)
{
    (void)unused;
    return attribute(((struct rlpy_timer *)object)->when);
}

/* Freed. The types inherit Python code and slots from asyncio's classes, but none of their C code. */

static int handle_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct rlpy_handle *self = (struct rlpy_handle *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->args);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->loop);
    Py_VISIT(self->repr);
    Py_VISIT(self->source_traceback);
    return 0;
}

static int handle_clear(PyObject *object)
{
    struct rlpy_handle *self = (struct rlpy_handle *)object;
    Py_CLEAR(self->args);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->cancelled);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->repr);
    Py_CLEAR(self->source_traceback);
    return 0;
}

static int timer_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct rlpy_timer *self = (struct rlpy_timer *)object;
    Py_VISIT(self->when);
    return handle_traverse(object, visit, arg);
}

static int timer_clear(PyObject *object)
{
    struct rlpy_timer *self = (struct rlpy_timer *)object;
    Py_CLEAR(self->when);
    Py_CLEAR(self->scheduled);
    return handle_clear(object);
}

static int watch_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct rlpy_watch *self = (struct rlpy_watch *)object;
    Py_VISIT(self->file);
    return handle_traverse(object, visit, arg);
}

static int watch_clear(PyObject *object)
{
    struct rlpy_watch *self = (struct rlpy_watch *)object;
    Py_CLEAR(self->file);
    return handle_clear(object);
}

/* The loop owns a reference to what it knows, so nothing that gets here is queued or posted. */
static void handle_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_TRASHCAN_BEGIN(object, handle_dealloc) PyObject_ClearWeakRefs(object);
    (void)type->tp_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION)
#define COMMON_METHODS                                                                                                 \
    {"cancelled", handle_cancelled, METH_NOARGS, "Was it cancelled?"},                                                 \
        {"get_context", handle_get_context, METH_NOARGS, "The contextvars.Context that the callback runs in."},        \
    {                                                                                                                  \
        NULL, NULL, 0, NULL                                                                                            \
    }

static PyMethodDef handle_methods[] = {
    {"cancel", handle_cancel, METH_NOARGS, "The callback will not be called [SOON-4]; lets go of it at once."},
    COMMON_METHODS,
};

static PyMethodDef timer_methods[] = {
    {"cancel", timer_cancel, METH_NOARGS, "The callback will not be called [TIMER-3]; lets go of it at once."},
    {"when", timer_when, METH_NOARGS, "The deadline, in seconds of loop.time() [TIMER-8]."},
    COMMON_METHODS,
};

/* A handle belongs to its loop for good. */
static PyMemberDef handle_members[] = {
    {"_loop", T_OBJECT_EX, offsetof(struct rlpy_handle, loop), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

#define SPEC(kind, title, kind_methods, kind_traverse, kind_clear)                                                     \
    static PyType_Slot kind##_slots[] = {                                                                              \
        {Py_tp_methods, kind_methods}, {Py_tp_members, handle_members}, {Py_tp_traverse, kind_traverse},               \
        {Py_tp_clear, kind_clear},     {Py_tp_dealloc, handle_dealloc}, {0, NULL},                                     \
    };                                                                                                                 \
    PyType_Spec rlpy_##kind##_spec = {.name = "refloop._core." title,                                                  \
                                      .basicsize = sizeof(struct rlpy_##kind),                                         \
                                      .flags = FLAGS,                                                                  \
                                      .slots = kind##_slots}

SPEC(soon, "Handle", handle_methods, handle_traverse, handle_clear);
SPEC(timer, "TimerHandle", timer_methods, timer_traverse, timer_clear);
SPEC(watch, "WatchHandle", handle_methods, watch_traverse, watch_clear);
