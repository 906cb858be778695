/* What the files of the extension module share. */
#ifndef LC_PY_CONTRACT_H
#define LC_PY_CONTRACT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "monitor.h"
#include "program.h"
#include "runner.h"
#include "trace.h"

/* A trace in memory that a Python object lends, usually shared with another process. */
struct lc_py_trace {
    PyObject_HEAD Py_buffer view;
    struct lc_trace *trace;
};

struct lc_py_state {
    PyTypeObject *trace_type;
    PyTypeObject *sink_type;
    PyTypeObject *driver_type;
};

/* A driver in a shared object. */
struct lc_py_driver {
    PyObject_HEAD struct lc_driver *base;
    void *library;
};

extern PyType_Spec lc_py_sink_spec, lc_py_driver_spec;

/* Runs the program on a driver in C; what calls back too late is recorded behind the run. Returns as lc_run. */
int lc_py_run_shared(struct lc_driver *driver, const struct lc_program *program, uint16_t number,
                     struct lc_trace *trace, struct lc_stats *stats);

/* run(program, driver, trace, number) -> dict; see the docstring in _contract.c. */
PyObject *lc_py_run(PyObject *module, PyObject *args);
/* bytes -> struct lc_program in canonical form. Returns 0, or -1 with an exception set. */
int lc_py_program(PyObject *bytes, struct lc_program *program);
/* struct lc_judgement -> dict. */
PyObject *lc_py_judgement(const struct lc_judgement *judgement);
/* Records -> str, one a line. */
PyObject *lc_py_trace_text(const struct lc_obs *records, size_t count);
/* The records of the trace in a Python buffer, as lc_trace_merge gives them; with an exception set: 0. */
size_t lc_py_merge(PyObject *args, const char *format, struct lc_obs **merged);
/* Functions of _contract_records.c. */
PyObject *lc_py_runs(PyObject *module, PyObject *args);
PyObject *lc_py_judge_run(PyObject *module, PyObject *args);
PyObject *lc_py_format_run(PyObject *module, PyObject *args);
PyObject *lc_py_compare(PyObject *module, PyObject *args);
PyObject *lc_py_settle(PyObject *module, PyObject *bytes);
/* Adds what the enums of contract/ name. Returns 0, or -1 with an exception set. */
int lc_py_add_constants(PyObject *module);
/* struct lc_program -> bytes. */
PyObject *lc_py_bytes(const struct lc_program *program);

#endif
