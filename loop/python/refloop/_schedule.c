/* call_soon, call_soon_threadsafe, call_later, call_at and time. */
#include "_core.h"

#include <stdatomic.h>

/* The arguments of calls. */

static int take_keyword(struct rlpy_call *call, const struct rlpy_state *state, const char *const *names,
                        Py_ssize_t names_count, PyObject *key, PyObject *value)
{
    if (key == state->name_context || PyUnicode_CompareWithASCIIString(key, "context") == 0) {
        call->context = value;
        return 0;
    }
    for (Py_ssize_t i = 0; i < names_count; i++)
        if (call->lead[i] == NULL && PyUnicode_CompareWithASCIIString(key, names[i]) == 0) {
            call->lead[i] = value;
            return 0;
        }
    PyErr_Format(PyExc_TypeError, "unexpected keyword argument %R", key);
    return -1;
}

int rlpy_call_take(struct rlpy_call *call, const struct rlpy_state *state, const char *const *names,
                   Py_ssize_t names_count, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    Py_ssize_t lead_count = count < names_count ? count : names_count;
    *call = (struct rlpy_call){.args = args + lead_count, .args_count = count - lead_count};
    for (Py_ssize_t i = 0; i < lead_count; i++)
        call->lead[i] = args[i];
    Py_ssize_t keywords_count = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < keywords_count; i++)
        if (take_keyword(call, state, names, names_count, PyTuple_GET_ITEM(keywords, i), args[count + i]) < 0)
            return -1;
    for (Py_ssize_t i = 0; i < names_count; i++)
        if (call->lead[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "missing a required argument: '%s'", names[i]);
            return -1;
        }
    return 0;
}

/* What debug mode asks of a call: the right thread, and something that can be called. */
static int check_call(struct rlpy_loop *self, PyObject *callback, const char *method, bool is_threadsafe)
{
    PyObject *object = (PyObject *)self;
    PyObject *done =
        is_threadsafe ? Py_NewRef(Py_None) : PyObject_CallMethodNoArgs(object, self->state->name__check_thread);
    if (done == NULL)
        return -1;
    Py_DECREF(done);
    PyObject *name = PyUnicode_FromString(method);
    if (name == NULL)
        return -1;
    done = PyObject_CallMethodObjArgs(object, self->state->name__check_callback, callback, name, NULL);
    Py_DECREF(name);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Soon. */

static struct rlpy_soon *new_soon(struct rlpy_loop *self, const char *method, bool is_threadsafe, PyObject *const *args,
                                  Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"callback"};
    struct rlpy_call call;
    if (rlpy_loop_check_open(self) < 0 || rlpy_call_take(&call, self->state, names, 1, args, count, keywords) < 0)
        return NULL;
    if (self->is_debug && check_call(self, call.lead[0], method, is_threadsafe) < 0)
        return NULL;
    struct rlpy_soon *handle = (struct rlpy_soon *)rlpy_handle_new(self, self->state->soon_type, &call, call.lead[0]);
    if (handle != NULL && rlpy_loop_check_open(self) < 0) /* making it may have run code: debug mode, the GC */
        Py_CLEAR(handle);
    return handle;
}

void rlpy_loop_take_posts(struct rlpy_loop *loop)
{
    if (atomic_load_explicit(&loop->inbox.newest, memory_order_relaxed) == NULL)
        return;
    struct rl_wake_batch batch = rl_wake_take(&loop->inbox);
    struct rl_wake_node *node;
    while ((node = rl_wake_next(&batch)) != NULL) {
        struct rlpy_soon *handle = RL_CONTAINER_OF(node, struct rlpy_soon, post);
        handle->is_posted = false;
        rlpy_soon_queue(loop, handle);
        Py_DECREF(handle); /* not the last: the queue has one */
    }
}

PyObject *rlpy_loop_call_soon(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    struct rlpy_soon *handle = new_soon(self, "call_soon", false, args, count, keywords);
    if (handle == NULL)
        return NULL;
    rlpy_loop_take_posts(self); /* those that came before this call stay before it */
    rlpy_soon_queue(self, handle);
    return (PyObject *)handle;
}

PyObject *rlpy_loop_call_soon_threadsafe(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    struct rlpy_soon *handle = new_soon(self, "call_soon_threadsafe", true, args, count, keywords);
    if (handle == NULL)
        return NULL;
    rl_wake_node_init(&handle->post);
    handle->is_posted = true;
    Py_INCREF(handle); /* the mailbox's */
    if (rl_wake_post(&self->inbox, &handle->post) == RL_WAKE_NEEDED)
        rlpy_loop_wake(self);
    return (PyObject *)handle;
}

/* Timers. */

static PyObject *call_at(struct rlpy_loop *self, PyObject *when, const char *method, const struct rlpy_call *call,
                         PyObject *callback)
{
    double when_s = PyFloat_AsDouble(when);
    if (when_s == -1.0 && PyErr_Occurred())
        return NULL;
    if (when_s != when_s) {
        PyErr_SetString(PyExc_ValueError, "a deadline must not be NaN (not a number)");
        return NULL;
    }
    if (self->is_debug && check_call(self, callback, method, false) < 0)
        return NULL;
    struct rlpy_timer *handle = (struct rlpy_timer *)rlpy_handle_new(self, self->state->timer_type, call, callback);
    if (handle == NULL)
        return NULL;
    handle->when = Py_NewRef(when);
    handle->scheduled = Py_NewRef(Py_True);
    if (rlpy_loop_check_open(self) < 0) { /* the conversion of when may have run code */
        Py_DECREF(handle);
        return NULL;
    }
    rlpy_timer_queue(self, handle, rlpy_deadline_ns(when_s));
    return (PyObject *)handle;
}

PyObject *rlpy_loop_call_at(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"when", "callback"};
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    struct rlpy_call call;
    if (rlpy_call_take(&call, self->state, names, 2, args, count, keywords) < 0)
        return NULL;
    if (call.lead[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    if (rlpy_loop_check_open(self) < 0)
        return NULL;
    return call_at(self, call.lead[0], "call_at", &call, call.lead[1]);
}

PyObject *rlpy_loop_time(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    return PyFloat_FromDouble(rlpy_seconds(self->kernel.inner.now_ns(self->kernel.inner.self)));
}

PyObject *rlpy_loop_call_later(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"delay", "callback"};
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    struct rlpy_call call;
    if (rlpy_call_take(&call, self->state, names, 2, args, count, keywords) < 0)
        return NULL;
    if (call.lead[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    if (rlpy_loop_check_open(self) < 0)
        return NULL;
    PyObject *now = rlpy_loop_time(object, NULL);
    PyObject *when = now == NULL ? NULL : PyNumber_Add(now, call.lead[0]);
    Py_XDECREF(now);
    if (when == NULL)
        return NULL;
    PyObject *handle = call_at(self, when, "call_at", &call, call.lead[1]);
    Py_DECREF(when);
    return handle;
}
