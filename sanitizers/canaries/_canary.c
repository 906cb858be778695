/* The canaries as an extension module, to see that sanitizers are on under CPython too. Never installed. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "canaries.h"

static PyObject *run(PyObject *module, PyObject *name)
{
    (void)module;
    const char *utf8 = PyUnicode_AsUTF8(name);
    if (utf8 == NULL)
        return NULL;
    if (canary_run(utf8) != 0)
        return PyErr_Format(PyExc_LookupError, "%s: no such canary", utf8);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"run", run, METH_O, "run(name)\n\nDoes what the canary of this name does. LookupError: there is none."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "_canary", .m_doc = "Defects on purpose.", .m_methods = methods};

PyMODINIT_FUNC PyInit__canary(void)
{
    return PyModuleDef_Init(&definition);
}
