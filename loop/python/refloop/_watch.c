/* _add_reader and its kin, as asyncio's transports call them. At most two watches stand on one fd: the reader asks for
 * RL_IN, the writer for RL_OUT. */
#include "_core.h"

static int invalid_file(PyObject *file)
{
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
    return -1;
}

/* The fd of an int or of an object with fileno(). -1 with ValueError, as selectors raise it. */
static int fd_of(const struct rlpy_loop *loop, PyObject *file)
{
    PyObject *number = NULL;
    if (PyLong_Check(file)) {
        number = Py_NewRef(file);
    } else {
        number = PyObject_CallMethodNoArgs(file, loop->state->name_fileno);
        if (number != NULL)
            Py_SETREF(number, PyNumber_Long(number));
        bool is_expected =
            number == NULL && (PyErr_ExceptionMatches(PyExc_AttributeError) ||
                               PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError));
        if (number == NULL)
            return is_expected ? invalid_file(file) : -1;
    }
    int overflow;
    long fd = PyLong_AsLongAndOverflow(number, &overflow);
    if (overflow != 0 || fd < 0 || fd > INT_MAX) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %S", number);
        fd = -1;
    }
    Py_DECREF(number);
    return (int)fd;
}

static struct rlpy_watch *watch_of(struct rl_watcher *watcher)
{
    return RL_CONTAINER_OF(watcher, rl_watch, watcher)->handle.arg;
}

/* Borrowed; NULL if there is none. */
static struct rlpy_watch *find(const struct rlpy_loop *loop, int fd, unsigned interest)
{
    const struct rl_watches *watches = &loop->loop->turn.watches;
    if (fd < 0 || (size_t)fd >= watches->slots_count)
        return NULL;
    for (struct rl_watcher *watcher = watches->slots[fd]; watcher != NULL; watcher = watcher->next)
        if (watcher->interest == interest)
            return watch_of(watcher);
    return NULL;
}

/* By the very object that was given, for one that was closed meanwhile and has no fd any more. Clears the exception. */
static struct rlpy_watch *find_closed(const struct rlpy_loop *loop, PyObject *file, unsigned interest)
{
    const struct rl_watches *watches = &loop->loop->turn.watches;
    PyErr_Clear();
    for (size_t fd = 0; fd < watches->slots_count; fd++) {
        struct rlpy_watch *found = find(loop, (int)fd, interest);
        if (found != NULL && found->file == file)
            return found;
    }
    return NULL;
}

static PyObject *add(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords, unsigned interest)
{
    static const char *const names[] = {"fd", "callback"};
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    struct rlpy_call call;
    if (rlpy_call_take(&call, self->state, names, 2, args, count, keywords) < 0 || rlpy_loop_check_open(self) < 0)
        return NULL;
    int fd = fd_of(self, call.lead[0]);
    if (fd < 0)
        return NULL;
    struct rlpy_watch *added = (struct rlpy_watch *)rlpy_handle_new(self, self->state->watch_type, &call, call.lead[1]);
    if (added == NULL)
        return NULL;
    added->file = Py_NewRef(call.lead[0]);
    if (rlpy_loop_check_open(self) < 0) { /* fileno() is the user's code */
        Py_DECREF(added);
        return NULL;
    }
    /* The new one first: the old one stays if the fd is no good, and the kernel need not forget the fd in between. */
    struct rlpy_watch *replaced = find(self, fd, interest);
    if (rlpy_watch_queue(self, added, fd, interest) < 0) {
        Py_DECREF(added);
        return NULL;
    }
    if (replaced != NULL)
        rlpy_watch_cancel(replaced);
    return (PyObject *)added;
}

/* True: there was one. */
static PyObject *remove_watch(PyObject *object, PyObject *file, unsigned interest)
{
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    if (self->is_closed)
        Py_RETURN_FALSE;
    int fd = fd_of(self, file);
    if (fd < 0 && !PyErr_ExceptionMatches(PyExc_ValueError))
        return NULL;
    if (self->is_closed) { /* fileno() is the user's code */
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    struct rlpy_watch *found = fd < 0 ? find_closed(self, file, interest) : find(self, fd, interest);
    if (found == NULL)
        Py_RETURN_FALSE;
    rlpy_watch_cancel(found);
    Py_RETURN_TRUE;
}

PyObject *rlpy_loop_add_reader(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return add(self, args, count, keywords, RL_IN);
}

PyObject *rlpy_loop_add_writer(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return add(self, args, count, keywords, RL_OUT);
}

PyObject *rlpy_loop_remove_reader(PyObject *self, PyObject *file)
{
    return remove_watch(self, file, RL_IN);
}

PyObject *rlpy_loop_remove_writer(PyObject *self, PyObject *file)
{
    return remove_watch(self, file, RL_OUT);
}

PyObject *rlpy_loop_watched(PyObject *object, PyObject *unused)
{
    struct rlpy_loop *self = (struct rlpy_loop *)object;
    (void)unused;
    PyObject *found = PyDict_New();
    const struct rl_watches *watches = self->loop == NULL ? NULL : &self->loop->turn.watches;
    for (size_t fd = 0; found != NULL && watches != NULL && fd < watches->slots_count; fd++) {
        uint32_t interest = rl_watches_interest(watches, (int)fd);
        if (interest == 0)
            continue;
        PyObject *key = PyLong_FromSize_t(fd);
        PyObject *value = PyLong_FromUnsignedLong(interest);
        if (key == NULL || value == NULL || PyDict_SetItem(found, key, value) < 0)
            Py_CLEAR(found);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return found;
}
