/* The module refloop._core. */
#include "_core.h"

#include <stdlib.h>
#include <structmember.h>

static struct rlpy_state *state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

struct slot {
    const char *name;
    Py_ssize_t offset;
};

static const struct slot handle_slots[] = {
    {"_args", offsetof(struct rlpy_handle, args)},
    {"_callback", offsetof(struct rlpy_handle, callback)},
    {"_cancelled", offsetof(struct rlpy_handle, cancelled)},
    {"_context", offsetof(struct rlpy_handle, context)},
    {"_loop", offsetof(struct rlpy_handle, loop)},
    {"_repr", offsetof(struct rlpy_handle, repr)},
    {"_source_traceback", offsetof(struct rlpy_handle, source_traceback)},
    {NULL, sizeof(struct rlpy_handle)},
};

static const struct slot timer_slots[] = {
    {"_scheduled", offsetof(struct rlpy_timer, scheduled)},
    {"_when", offsetof(struct rlpy_timer, when)},
    {NULL, offsetof(struct rlpy_timer, timer)},
};

/* Are the slots of asyncio's class where our struct has them, and is nothing behind them? -1 with ImportError. */
static int check_layout(PyObject *type, const struct slot *slots)
{
    for (; slots->name != NULL; slots++) {
        PyObject *member = PyObject_GetAttrString(type, slots->name);
        bool is_there = member != NULL && Py_IS_TYPE(member, &PyMemberDescr_Type) &&
                        ((PyMemberDescrObject *)member)->d_member->offset == slots->offset;
        Py_XDECREF(member);
        if (!is_there)
            break;
    }
    if (slots->name == NULL && ((PyTypeObject *)type)->tp_basicsize == slots->offset)
        return 0;
    PyErr_Format(PyExc_ImportError, "refloop does not know this Python's layout of %R", type);
    return -1;
}

/* A type of ours that is also asyncio's class of that name. */
static PyTypeObject *handle_type(PyObject *module, PyObject *events, const char *name, PyType_Spec *spec)
{
    PyObject *base = PyObject_GetAttrString(events, name);
    if (base == NULL)
        return NULL;
    PyObject *type = NULL;
    bool is_timer = spec == &rlpy_timer_spec;
    if (is_timer ? check_layout(base, timer_slots) == 0 : check_layout(base, handle_slots) == 0)
        type = PyType_FromModuleAndSpec(module, spec, base);
    Py_DECREF(base);
    if (type != NULL && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

static int make_names(struct rlpy_state *state)
{
#define MAKE(word)                                                                                                     \
    state->name_##word = PyUnicode_InternFromString(#word);                                                            \
    if (state->name_##word == NULL)                                                                                    \
        return -1;
    RLPY_NAMES(MAKE)
#undef MAKE
    return 0;
}

static int module_exec(PyObject *module)
{
    struct rlpy_state *state = state_of(module);
    const char *check = getenv("REFLOOP_CHECK");
    state->must_check = check != NULL && check[0] != '\0' && strcmp(check, "0") != 0;
    state->no_args = PyTuple_New(0);
    PyObject *events = PyImport_ImportModule("asyncio.events");
    if (events == NULL || state->no_args == NULL || make_names(state) < 0) {
        Py_XDECREF(events);
        return -1;
    }
    state->soon_type = handle_type(module, events, "Handle", &rlpy_soon_spec);
    state->watch_type = state->soon_type == NULL ? NULL : handle_type(module, events, "Handle", &rlpy_watch_spec);
    state->timer_type = state->watch_type == NULL ? NULL : handle_type(module, events, "TimerHandle", &rlpy_timer_spec);
    Py_DECREF(events);
    if (state->timer_type == NULL)
        return -1;
    state->loop_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &rlpy_loop_spec, NULL);
    return state->loop_type == NULL ? -1 : PyModule_AddType(module, state->loop_type);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct rlpy_state *state = state_of(module);
    Py_VISIT(state->loop_type);
    Py_VISIT(state->soon_type);
    Py_VISIT(state->timer_type);
    Py_VISIT(state->watch_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    struct rlpy_state *state = state_of(module);
    Py_CLEAR(state->loop_type);
    Py_CLEAR(state->soon_type);
    Py_CLEAR(state->timer_type);
    Py_CLEAR(state->watch_type);
    Py_CLEAR(state->no_args);
#define CLEAR(word) Py_CLEAR(state->name_##word);
    RLPY_NAMES(CLEAR)
#undef CLEAR
    return 0;
}

static void module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_USED
    {Py_mod_gil, Py_MOD_GIL_USED}, /* see loop/python/README.md */
#endif
    {0, NULL},
};

struct PyModuleDef rlpy_module = {.m_base = PyModuleDef_HEAD_INIT,
                                  .m_name = "_core",
                                  .m_doc = "The C part of refloop.",
                                  .m_size = sizeof(struct rlpy_state),
                                  .m_slots = module_slots,
                                  .m_traverse = module_traverse,
                                  .m_clear = module_clear,
                                  .m_free = module_free};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&rlpy_module);
}
