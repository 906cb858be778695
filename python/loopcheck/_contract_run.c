/* run(): a loop's driver written in Python, for the runner written in C.
 *
 * The runner works without the GIL and takes it only to call the driver, so that its helper threads
 * can post and join whatever thread the loop is on.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "_contract.h"

struct py_driver {
    struct lc_driver base;
    PyObject *apply; /* bound method apply(code, handle, arg, flags, n, b) -> int; arg: an int; of a write and a send
                        the bytes */
    PyObject *error_type; /* the first exception that apply let out: raised by run() at the end */
    PyObject *error_value;
    PyObject *error_traceback;
};

/* What a Python driver reports to. `sink` is NULL once the run is over: late callbacks are dropped. */
struct py_sink {
    PyObject_HEAD struct lc_sink *sink;
};

static void keep_error(struct py_driver *driver)
{
    if (driver->error_type == NULL)
        PyErr_Fetch(&driver->error_type, &driver->error_value, &driver->error_traceback);
    else
        PyErr_Clear();
}

/* An op as Python sees it: arg is a number, or the bytes to send; b of SENDALL is the fd's number. */
static PyObject *call_apply(struct py_driver *driver, const struct lc_op *op)
{
    const void *bytes = NULL;
    int b = op->b;
    if (op->op == LC_OP_WRITE || op->op == LC_OP_WRITELINES || op->op == LC_OP_SEND)
        bytes = (const void *)(uintptr_t)op->arg;
    if (op->op == LC_OP_SENDALL) {
        const struct lc_send *send = (const void *)(uintptr_t)op->arg;
        bytes = send->bytes;
        b = send->fd;
    }
    PyObject *arg = bytes != NULL ? PyBytes_FromStringAndSize(bytes, op->n) : PyLong_FromUnsignedLongLong(op->arg);
    return arg == NULL ? NULL
                       : PyObject_CallFunction(driver->apply, "iiNiii", (int)op->op, (int)op->a, arg, (int)op->flags,
                                               (int)op->n, b);
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct py_driver *driver = (struct py_driver *)base;
    PyGILState_STATE gil = PyGILState_Ensure();
    int64_t result = -EPROTO;
    PyObject *value = call_apply(driver, op);
    if (value != NULL)
        result = PyLong_AsLongLong(value);
    if (PyErr_Occurred()) {
        keep_error(driver);
        result = -EPROTO;
    }
    Py_XDECREF(value);
    PyGILState_Release(gil);
    return result;
}

static PyObject *sink_begin(PyObject *self, PyObject *args)
{
    struct lc_sink *sink = ((struct py_sink *)self)->sink;
    int handle, event, bits = 0, error = 0, fd = 0, raise = 0;
    Py_buffer data = {0};
    if (!PyArg_ParseTuple(args, "ii|iiy*i:begin", &handle, &event, &bits, &error, &data, &fd))
        return NULL;
    const struct lc_seen seen = {.handle = (uint8_t)handle,
                                 .event = (enum lc_event)event,
                                 .bits = (unsigned)bits,
                                 .error = error,
                                 .data = data.buf,
                                 .size = (size_t)data.len,
                                 .fd = fd};
    if (sink != NULL) {
        Py_BEGIN_ALLOW_THREADS raise = sink->begin(sink->self, &seen);
        Py_END_ALLOW_THREADS
    }
    if (data.obj != NULL)
        PyBuffer_Release(&data);
    return PyLong_FromLong(raise);
}

static PyObject *sink_end(PyObject *self, PyObject *args)
{
    struct lc_sink *sink = ((struct py_sink *)self)->sink;
    int handle, event;
    if (!PyArg_ParseTuple(args, "ii:end", &handle, &event))
        return NULL;
    if (sink != NULL) {
        Py_BEGIN_ALLOW_THREADS sink->end(sink->self, (uint8_t)handle, (enum lc_event)event);
        Py_END_ALLOW_THREADS
    }
    Py_RETURN_NONE;
}

static void sink_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef sink_methods[] = {
    {"begin", sink_begin, METH_VARARGS,
     "begin(handle, event, bits=0, error=0, data=b\"\", fd=0) -> int\n\nTo be called at the start of every callback, "
     "on its "
     "thread. Returns 0, or the number of the\nexception that the callback must raise after `end`."},
    {"end", sink_end, METH_VARARGS, "end(handle, event) -> None\n\nTo be called at the end of every callback."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sink_slots[] = {
    {Py_tp_doc, "Where a driver reports what its callbacks saw; made by run()."},
    {Py_tp_methods, sink_methods},
    {Py_tp_dealloc, sink_dealloc},
    {0, NULL},
};

PyType_Spec lc_py_sink_spec = {.name = "loopcheck._contract.Sink",
                               .basicsize = sizeof(struct py_sink),
                               .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               .slots = sink_slots};

static int read_attribute(PyObject *object, const char *name, uint64_t *value)
{
    PyObject *attribute = PyObject_GetAttrString(object, name);
    if (attribute == NULL)
        return -1;
    *value = PyLong_AsUnsignedLongLong(attribute);
    Py_DECREF(attribute);
    return PyErr_Occurred() ? -1 : 0;
}

static int driver_init(struct py_driver *driver, PyObject *object)
{
    uint64_t capabilities, promises, tick_ns;
    if (read_attribute(object, "capabilities", &capabilities) < 0 ||
        read_attribute(object, "promises", &promises) < 0 || read_attribute(object, "tick_ns", &tick_ns) < 0)
        return -1;
    *driver = (struct py_driver){.base = {.name = "python",
                                          .capabilities = (uint32_t)capabilities,
                                          .promises = (uint32_t)promises,
                                          .tick_ns = tick_ns ? tick_ns : 1,
                                          .apply = apply,
                                          .abi = LC_DRIVER_ABI}};
    driver->apply = PyObject_GetAttrString(object, "apply");
    return driver->apply == NULL ? -1 : 0;
}

static PyObject *stats_dict(const struct lc_stats *stats, int error)
{
    if (error < 0)
        return PyErr_Format(PyExc_RuntimeError, "the driver could not open a loop: error %d", -error);
    return Py_BuildValue("{sIsIsIsIsI}", "ops", stats->ops, "executed", stats->executed, "ignored", stats->ignored,
                         "unfired", stats->unfired, "callbacks", stats->callbacks);
}

PyObject *lc_py_run(PyObject *module, PyObject *args)
{
    const struct lc_py_state *state = PyModule_GetState(module);
    PyObject *bytes, *object;
    struct lc_py_trace *trace;
    unsigned short number = 0;
    struct lc_program program;
    struct py_driver driver;
    struct lc_stats stats;
    int error;

    if (!PyArg_ParseTuple(args, "SOO!|H:run", &bytes, &object, state->trace_type, &trace, &number))
        return NULL;
    if (lc_py_program(bytes, &program) < 0)
        return NULL;
    if (PyObject_TypeCheck(object, state->driver_type)) {
        struct lc_driver *shared = ((struct lc_py_driver *)object)->base;
        Py_BEGIN_ALLOW_THREADS error = lc_py_run_shared(shared, &program, number, trace->trace, &stats);
        Py_END_ALLOW_THREADS return stats_dict(&stats, error);
    }
    if (driver_init(&driver, object) < 0)
        return NULL;
    struct py_sink *sink = PyObject_New(struct py_sink, state->sink_type);
    if (sink == NULL || PyObject_SetAttrString(object, "sink", (PyObject *)sink) < 0) {
        Py_XDECREF(sink);
        Py_DECREF(driver.apply);
        return NULL;
    }
    sink->sink = &driver.base.sink;
    Py_BEGIN_ALLOW_THREADS error = lc_run(&driver.base, &program, number, trace->trace, &stats);
    Py_END_ALLOW_THREADS sink->sink = NULL;
    Py_DECREF(sink);
    Py_DECREF(driver.apply);
    if (driver.error_type != NULL) {
        PyErr_Restore(driver.error_type, driver.error_value, driver.error_traceback);
        return NULL;
    }
    return stats_dict(&stats, error);
}
