/* The records of the runs in one trace: cut apart, judged, printed and compared one by one. */
#include "_contract.h"

#include "trace_compare.h"

PyObject *lc_py_runs(PyObject *module, PyObject *args)
{
    struct lc_obs *merged;
    (void)module;
    size_t count = lc_py_merge(args, "y*:runs", &merged);
    PyObject *list = PyErr_Occurred() ? NULL : PyList_New(0);
    for (size_t begin = 0, end; list != NULL && begin < count; begin = end) {
        for (end = begin + 1; end < count && merged[end].what != LC_WHAT_OPEN; end++)
            ;
        if (merged[begin].what != LC_WHAT_OPEN) /* only a damaged trace begins with anything else */
            continue;
        PyObject *item = Py_BuildValue("(Iy#)", (unsigned)merged[begin].handle, (const char *)&merged[begin],
                                       (Py_ssize_t)((end - begin) * sizeof *merged));
        if (item == NULL || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    free(merged);
    return list;
}

/* Python's bytes are not aligned to what a record needs. Returns NULL with an exception set. */
static struct lc_obs *copy_records(const Py_buffer *view, size_t *count)
{
    *count = (size_t)view->len / sizeof(struct lc_obs);
    struct lc_obs *records = malloc(*count * sizeof *records + 1);
    if (records == NULL)
        PyErr_NoMemory();
    else
        memcpy(records, view->buf, *count * sizeof *records);
    return records;
}

static struct lc_obs *parse_records(PyObject *args, const char *format, size_t *count)
{
    Py_buffer view;
    if (!PyArg_ParseTuple(args, format, &view))
        return NULL;
    struct lc_obs *records = copy_records(&view, count);
    PyBuffer_Release(&view);
    return records;
}

PyObject *lc_py_judge_run(PyObject *module, PyObject *args)
{
    struct lc_judgement judgement;
    size_t count;
    struct lc_obs *records = parse_records(args, "y*:judge_run", &count);
    (void)module;
    if (records == NULL)
        return NULL;
    lc_monitor_judge(records, count, &judgement);
    free(records);
    return lc_py_judgement(&judgement);
}

PyObject *lc_py_format_run(PyObject *module, PyObject *args)
{
    size_t count;
    struct lc_obs *records = parse_records(args, "y*:format_run", &count);
    (void)module;
    PyObject *text = records == NULL ? NULL : lc_py_trace_text(records, count);
    free(records);
    return text;
}

PyObject *lc_py_compare(PyObject *module, PyObject *args)
{
    struct lc_difference differences[LC_DIFFERENCES_MAX];
    Py_buffer views[2];
    size_t counts[2], stored = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*:compare", &views[0], &views[1]))
        return NULL;
    struct lc_obs *ours = copy_records(&views[0], &counts[0]), *theirs = copy_records(&views[1], &counts[1]);
    PyBuffer_Release(&views[0]);
    PyBuffer_Release(&views[1]);
    if (ours != NULL && theirs != NULL)
        stored = lc_trace_compare(ours, counts[0], theirs, counts[1], differences);
    free(ours);
    free(theirs);
    PyObject *list = PyErr_Occurred() ? NULL : PyList_New(0);
    for (size_t i = 0; list != NULL && i < stored; i++) {
        PyObject *text = PyUnicode_FromString(differences[i].text);
        if (text == NULL || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

PyObject *lc_py_settle(PyObject *module, PyObject *bytes)
{
    struct lc_program program;
    (void)module;
    if (lc_py_program(bytes, &program) < 0)
        return NULL;
    lc_program_settle(&program);
    return lc_py_bytes(&program);
}
