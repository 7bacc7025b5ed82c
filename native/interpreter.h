#ifndef OBJECTFS_INTERPRETER_H
#define OBJECTFS_INTERPRETER_H

#include <Python.h>

/* What Cython makes of PyInit__native, under another name: the import begins in interpreter.c. */
PyObject *objectfs_init_native(void);

#endif
