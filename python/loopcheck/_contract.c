/* loopcheck._contract: programs, traces, runner and monitor of contract/, for Python. */
#include "_contract.h"

/* ---- Trace --------------------------------------------------------------------------------- */

static PyObject *trace_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *buffer;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "O:Trace", &buffer))
        return NULL;
    struct lc_py_trace *self = (struct lc_py_trace *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (PyObject_GetBuffer(buffer, &self->view, PyBUF_WRITABLE) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if ((uintptr_t)self->view.buf % _Alignof(struct lc_obs) == 0)
        self->trace = lc_trace_init(self->view.buf, (size_t)self->view.len);
    if (self->trace == NULL) {
        PyErr_SetString(PyExc_ValueError, "the buffer of a Trace must be 8-byte aligned and hold 1 KiB at least");
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void trace_dealloc(PyObject *object)
{
    struct lc_py_trace *self = (struct lc_py_trace *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (self->view.obj != NULL)
        PyBuffer_Release(&self->view);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *trace_add(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"what", "code", "handle", "bits", "arg", "result", NULL};
    unsigned int what, code = 0, handle = 0, bits = 0;
    unsigned long long arg = 0;
    int result = 0;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "I|IIIKi:add", names, &what, &code, &handle, &bits, &arg, &result))
        return NULL;
    lc_trace_add(((struct lc_py_trace *)object)->trace, (struct lc_obs){.time_ns = lc_kernel_posix()->now_ns(NULL),
                                                                        .what = (uint8_t)what,
                                                                        .code = (uint8_t)code,
                                                                        .handle = (uint16_t)handle,
                                                                        .bits = (uint8_t)bits,
                                                                        .arg = arg,
                                                                        .result = result});
    Py_RETURN_NONE;
}

static PyObject *trace_reset(PyObject *object, PyObject *unused)
{
    (void)unused;
    lc_trace_reset(((struct lc_py_trace *)object)->trace);
    Py_RETURN_NONE;
}

static PyObject *trace_mark(PyObject *object, PyObject *unused)
{
    (void)unused;
    const struct lc_trace_mark mark = lc_trace_mark(((struct lc_py_trace *)object)->trace);
    return PyBytes_FromStringAndSize((const char *)&mark, sizeof mark);
}

static PyObject *trace_rewind(PyObject *object, PyObject *given)
{
    struct lc_trace_mark mark;
    if (!PyBytes_Check(given) || PyBytes_GET_SIZE(given) != sizeof mark) {
        PyErr_SetString(PyExc_TypeError, "rewind() takes what mark() gave");
        return NULL;
    }
    memcpy(&mark, PyBytes_AS_STRING(given), sizeof mark);
    lc_trace_rewind(((struct lc_py_trace *)object)->trace, &mark);
    Py_RETURN_NONE;
}

/* Lends the records' memory, so that judge() and format_trace() take a Trace as well. */
static int trace_getbuffer(PyObject *object, Py_buffer *view, int flags)
{
    const struct lc_py_trace *self = (struct lc_py_trace *)object;
    return PyBuffer_FillInfo(view, object, self->view.buf, self->view.len, 1, flags);
}

static PyMethodDef trace_methods[] = {
    {"add", (PyCFunction)(void (*)(void))trace_add, METH_VARARGS | METH_KEYWORDS,
     "add(what, code=0, handle=0, bits=0, arg=0, result=0)\n\nAppends a record (contract/trace.h) on this thread's "
     "lane. `handle` is wide: kind << 12 | index."},
    {"reset", trace_reset, METH_NOARGS, "Forgets all records; this thread gets lane 0."},
    {"mark", trace_mark, METH_NOARGS, "How far it is, for rewind()."},
    {"rewind", trace_rewind, METH_O,
     "rewind(mark)\n\nForgets the records since mark(); no other thread may be writing."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot trace_slots[] = {
    {Py_tp_doc, "Trace(buffer)\n\nAn empty trace in a writable buffer (bytearray, mmap, memoryview)."},
    {Py_tp_new, trace_new},
    {Py_tp_dealloc, trace_dealloc},
    {Py_tp_methods, trace_methods},
    {Py_bf_getbuffer, trace_getbuffer},
    {0, NULL},
};

static PyType_Spec trace_spec = {.name = "loopcheck._contract.Trace",
                                 .basicsize = sizeof(struct lc_py_trace),
                                 .flags = Py_TPFLAGS_DEFAULT,
                                 .slots = trace_slots};

/* ---- judging ------------------------------------------------------------------------------- */

size_t lc_py_merge(PyObject *args, const char *format, struct lc_obs **merged)
{
    Py_buffer view;
    *merged = NULL;
    if (!PyArg_ParseTuple(args, format, &view))
        return 0;
    size_t count = lc_trace_merge(view.buf, (size_t)view.len, merged);
    PyBuffer_Release(&view);
    return count;
}

static PyObject *violations_list(const struct lc_judgement *judgement)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < judgement->count; i++) {
        const struct lc_violation *v = &judgement->violations[i];
        PyObject *item = Py_BuildValue("(ssII)", v->rule, v->text, v->seq, v->run);
        if (item == NULL || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

PyObject *lc_py_judgement(const struct lc_judgement *judgement)
{
    PyObject *violations = violations_list(judgement);
    if (violations == NULL)
        return NULL;
    return Py_BuildValue("{sNsIsIsIssss}", "violations", violations, "runs", judgement->runs, "callbacks",
                         judgement->callbacks, "ops", judgement->ops, "owed", judgement->owed, "owed_rule",
                         judgement->owed_rule);
}

static PyObject *judge(PyObject *module, PyObject *args)
{
    struct lc_obs *merged;
    struct lc_judgement judgement;
    (void)module;
    size_t count = lc_py_merge(args, "y*:judge", &merged);
    if (PyErr_Occurred())
        return NULL;
    lc_monitor_judge(merged, count, &judgement);
    free(merged);
    return lc_py_judgement(&judgement);
}

static int append_record(PyObject *lines, const struct lc_obs *record, uint64_t start_ns)
{
    char text[200];
    struct lc_obs obs = *record;
    obs.time_ns -= start_ns;
    lc_trace_format(&obs, text, sizeof text);
    PyObject *line = PyUnicode_FromFormat("%s\n", text);
    int status = line == NULL ? -1 : PyList_Append(lines, line);
    Py_XDECREF(line);
    return status;
}

PyObject *lc_py_trace_text(const struct lc_obs *records, size_t count)
{
    PyObject *lines = PyList_New(0);
    int status = lines == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < count; i++)
        status = append_record(lines, &records[i], records[0].time_ns);
    PyObject *nothing = status == 0 ? PyUnicode_FromString("") : NULL;
    PyObject *text = nothing == NULL ? NULL : PyUnicode_Join(nothing, lines);
    Py_XDECREF(nothing);
    Py_XDECREF(lines);
    return text;
}

static PyObject *format_trace(PyObject *module, PyObject *args)
{
    struct lc_obs *merged;
    (void)module;
    size_t count = lc_py_merge(args, "y*:format_trace", &merged);
    PyObject *text = PyErr_Occurred() ? NULL : lc_py_trace_text(merged, count);
    free(merged);
    return text;
}

/* ---- programs ------------------------------------------------------------------------------ */

int lc_py_program(PyObject *bytes, struct lc_program *program)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(bytes, &data, &size) < 0)
        return -1;
    lc_program_decode(program, (const uint8_t *)data, (size_t)size);
    lc_program_canonical(program);
    return 0;
}

PyObject *lc_py_bytes(const struct lc_program *program)
{
    uint8_t bytes[LC_PROGRAM_OPS_MAX * LC_OP_BYTES];
    size_t size = lc_program_encode(program, bytes);
    return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
}

static PyObject *parse(PyObject *module, PyObject *text)
{
    struct lc_program program;
    const char *why, *utf8 = PyUnicode_AsUTF8(text);
    (void)module;
    if (utf8 == NULL)
        return NULL;
    int line = lc_program_parse(&program, utf8, &why);
    if (line != 0)
        return PyErr_Format(PyExc_ValueError, "line %d: %s", line, why);
    lc_program_canonical(&program);
    return lc_py_bytes(&program);
}

static PyObject *format(PyObject *module, PyObject *bytes)
{
    struct lc_program program;
    char text[LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX];
    (void)module;
    if (lc_py_program(bytes, &program) < 0)
        return NULL;
    lc_program_format(&program, text, sizeof text);
    return PyUnicode_FromString(text);
}

static PyObject *canonical(PyObject *module, PyObject *bytes)
{
    struct lc_program program;
    (void)module;
    return lc_py_program(bytes, &program) < 0 ? NULL : lc_py_bytes(&program);
}

static PyObject *generate(PyObject *module, PyObject *args)
{
    unsigned long long seed, delay_ns_max, tick_ns;
    unsigned int capabilities, family = LC_FAMILY_ANY;
    struct lc_program program;
    (void)module;
    if (!PyArg_ParseTuple(args, "KIKK|I:generate", &seed, &capabilities, &delay_ns_max, &tick_ns, &family))
        return NULL;
    lc_program_generate(&program, seed,
                        &(struct lc_profile){.capabilities = capabilities,
                                             .delay_ns_max = delay_ns_max,
                                             .tick_ns = tick_ns ? tick_ns : 1,
                                             .family = family < LC_FAMILY_COUNT ? family : LC_FAMILY_ANY});
    return lc_py_bytes(&program);
}

static bool fails_in_python(void *arg, const struct lc_program *program)
{
    if (PyErr_Occurred())
        return false;
    PyObject *bytes = lc_py_bytes(program);
    PyObject *answer = bytes ? PyObject_CallOneArg(arg, bytes) : NULL;
    int is_true = answer ? PyObject_IsTrue(answer) : 0;
    Py_XDECREF(answer);
    Py_XDECREF(bytes);
    return is_true > 0;
}

static PyObject *shrink(PyObject *module, PyObject *args)
{
    PyObject *bytes, *fails;
    unsigned int tries_max = 200;
    struct lc_program program;
    (void)module;
    if (!PyArg_ParseTuple(args, "SO|I:shrink", &bytes, &fails, &tries_max) || lc_py_program(bytes, &program) < 0)
        return NULL;
    lc_program_shrink(&program, fails_in_python, fails, tries_max);
    if (PyErr_Occurred())
        return NULL;
    lc_program_canonical(&program);
    return lc_py_bytes(&program);
}

static PyMethodDef methods[] = {
    {"judge", judge, METH_VARARGS,
     "judge(buffer) -> dict\n\nThe monitor's judgement of the trace in `buffer`: violations [(rule, sentence, seq, "
     "run)], "
     "runs, callbacks,\nops, owed, owed_rule (contract/monitor.h). Any bytes get a judgement."},
    {"format_trace", format_trace, METH_VARARGS, "format_trace(buffer) -> str\n\nThe trace, one record a line."},
    {"runs", lc_py_runs, METH_VARARGS,
     "runs(buffer) -> [(number, records)]\n\nThe trace in `buffer` cut at the beginning of each run; the records as "
     "bytes. Any bytes get an answer."},
    {"judge_run", lc_py_judge_run, METH_VARARGS, "judge_run(records) -> dict\n\nAs judge, of one run's records."},
    {"format_run", lc_py_format_run, METH_VARARGS, "format_run(records) -> str\n\nOne record a line."},
    {"compare", lc_py_compare, METH_VARARGS,
     "compare(records, control) -> [sentence]\n\nWhat differs, the first of each handle (contract/trace_compare.h)."},
    {"settle", lc_py_settle, METH_O,
     "settle(program) -> bytes\n\nWith steps that do not wait behind every step: for compare."},
    {"run", lc_py_run, METH_VARARGS,
     "run(program, driver, trace, number=0) -> dict\n\nRuns the program on the driver's loop into `trace` and returns "
     "ops, executed, ignored, unfired and callbacks.\nThe driver has capabilities, promises, tick_ns and "
     "apply(code, handle, arg, flags, n, b) -> int, as contract/driver.h\nsays (the arg of a write is its bytes); it "
     "is "
     "given `sink`. Raises what apply "
     "let out. A Driver will do as well."},
    {"parse", parse, METH_O, "parse(text) -> bytes\n\nRaises ValueError naming the line that cannot be read."},
    {"format", format, METH_O, "format(program) -> str\n\nAny bytes are a program."},
    {"canonical", canonical, METH_O, "canonical(program) -> bytes\n\nWithout what has no effect."},
    {"generate", generate, METH_VARARGS,
     "generate(seed, capabilities, delay_ns_max, tick_ns, family=0) -> bytes\n\nThe random program of this seed, about "
     "FAMILY_LOOP or another; 0: about anything."},
    {"shrink", shrink, METH_VARARGS,
     "shrink(program, fails, tries_max=200) -> bytes\n\nA smaller program for which fails(program) is true still."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    struct lc_py_state *state = PyModule_GetState(module);
    state->trace_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &trace_spec, NULL);
    state->sink_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &lc_py_sink_spec, NULL);
    state->driver_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &lc_py_driver_spec, NULL);
    if (state->trace_type == NULL || state->sink_type == NULL || state->driver_type == NULL ||
        PyModule_AddType(module, state->trace_type) < 0 || PyModule_AddType(module, state->driver_type) < 0)
        return -1;
    return lc_py_add_constants(module);
}

static int module_clear(PyObject *module)
{
    struct lc_py_state *state = PyModule_GetState(module);
    Py_CLEAR(state->trace_type);
    Py_CLEAR(state->sink_type);
    Py_CLEAR(state->driver_type);
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef definition = {.m_base = PyModuleDef_HEAD_INIT,
                                        .m_name = "_contract",
                                        .m_doc = "Programs, traces, the runner and the monitor (contract/).",
                                        .m_size = sizeof(struct lc_py_state),
                                        .m_methods = methods,
                                        .m_slots = slots,
                                        .m_clear = module_clear};

PyMODINIT_FUNC PyInit__contract(void)
{
    return PyModuleDef_Init(&definition);
}
