/* Driver: the driver of a loop in a shared object (contract/driver.h), for run(). */
#include <dlfcn.h>

#include "_contract.h"

/* Whoever calls back when the run is over is recorded behind it, where the monitor sees that it came too late. */
static struct lc_trace *late_trace;

static void record_late(uint8_t what, uint8_t handle, enum lc_event event)
{
    if (late_trace != NULL)
        lc_trace_add(late_trace, (struct lc_obs){.time_ns = lc_kernel_posix()->now_ns(NULL),
                                                 .what = what,
                                                 .code = (uint8_t)event,
                                                 .handle = LC_HANDLE_WIDE(handle)});
}

static int begin_late(void *self, const struct lc_seen *seen)
{
    (void)self;
    record_late(LC_WHAT_BEGIN, seen->handle, seen->event);
    return 0;
}

static void end_late(void *self, uint8_t handle, enum lc_event event)
{
    (void)self;
    record_late(LC_WHAT_END, handle, event);
}

int lc_py_run_shared(struct lc_driver *driver, const struct lc_program *program, uint16_t number,
                     struct lc_trace *trace, struct lc_stats *stats)
{
    int error = lc_run(driver, program, number, trace, stats);
    late_trace = trace;
    driver->sink = (struct lc_sink){.begin = begin_late, .end = end_late};
    return error;
}

/* Sets an exception unless the library has a driver that can be used. */
static struct lc_driver *get_driver(void *library)
{
    void *symbol = dlsym(library, LC_DRIVER_SYMBOL);
    struct lc_driver *(*get)(void);
    struct lc_driver *driver;
    char why[LC_DRIVER_WHY_MAX];

    if (symbol == NULL) {
        PyErr_SetString(PyExc_ValueError, "it does not export " LC_DRIVER_SYMBOL);
        return NULL;
    }
    memcpy(&get, &symbol, sizeof get); /* ISO C has no cast from one to the other */
    driver = get();
    if (!lc_driver_is_usable(driver, why)) {
        PyErr_SetString(PyExc_ValueError, why);
        return NULL;
    }
    return driver;
}

static PyObject *driver_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *path;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "O&:Driver", PyUnicode_FSConverter, &path))
        return NULL;
    void *library = dlopen(PyBytes_AS_STRING(path), RTLD_NOW | RTLD_LOCAL);
    Py_DECREF(path);
    if (library == NULL) {
        const char *text = dlerror();
        return PyErr_Format(PyExc_OSError, "%s", text != NULL ? text : "it cannot be loaded");
    }
    struct lc_driver *base = get_driver(library);
    struct lc_py_driver *self = base != NULL ? (struct lc_py_driver *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        dlclose(library);
        return NULL;
    }
    self->base = base;
    self->library = library; /* for ever: threads of the loop may run in it */
    return (PyObject *)self;
}

static void driver_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *get_name(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_DecodeUTF8(((struct lc_py_driver *)self)->base->name,
                                (Py_ssize_t)strnlen(((struct lc_py_driver *)self)->base->name, 64), "replace");
}

static PyObject *get_capabilities(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(((struct lc_py_driver *)self)->base->capabilities);
}

static PyObject *get_promises(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(((struct lc_py_driver *)self)->base->promises);
}

static PyObject *get_tick_ns(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct lc_py_driver *)self)->base->tick_ns);
}

static PyObject *get_is_exact(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct lc_py_driver *)self)->base->is_exact);
}

static PyGetSetDef driver_getters[] = {
    {"name", get_name, NULL, NULL, NULL},
    {"capabilities", get_capabilities, NULL, "CAP_* bits", NULL},
    {"promises", get_promises, NULL, "PROMISE_* bits", NULL},
    {"tick_ns", get_tick_ns, NULL, NULL, NULL},
    {"is_exact", get_is_exact, NULL, "time is simulated", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot driver_slots[] = {
    {Py_tp_doc, "Driver(path)\n\nThe driver in a shared object, for run(). Raises OSError when it cannot be loaded, "
                "ValueError when it is not a driver that can be used.\nLoads and calls foreign code: for a contained "
                "process only."},
    {Py_tp_new, driver_new},
    {Py_tp_dealloc, driver_dealloc},
    {Py_tp_getset, driver_getters},
    {0, NULL},
};

PyType_Spec lc_py_driver_spec = {.name = "loopcheck._contract.Driver",
                                 .basicsize = sizeof(struct lc_py_driver),
                                 .flags = Py_TPFLAGS_DEFAULT,
                                 .slots = driver_slots};
