/* What the two halves of the extension module share. */
#ifndef LC_PY_CONTRACT_H
#define LC_PY_CONTRACT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

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
};

extern PyType_Spec lc_py_sink_spec;

/* run(program, driver, trace, number) -> dict; see the docstring in _contract.c. */
PyObject *lc_py_run(PyObject *module, PyObject *args);
/* bytes -> struct lc_program in canonical form. Returns 0, or -1 with an exception set. */
int lc_py_program(PyObject *bytes, struct lc_program *program);
/* struct lc_program -> bytes. */
PyObject *lc_py_bytes(const struct lc_program *program);

#endif
