/* The module is the main interpreter's alone. The C library is one for each process, and what we keep of it is in
 * variables of C, which interpreters would share and each take down at its end.
 *
 * Cython lets the first interpreter that imports the module have it, and tells all others that the interpreter has
 * changed; the main one too, if it came second. So the question is asked here, before Cython's: in Py_mod_create, which
 * runs in the interpreter that imports (PyInit itself runs in the main one since Python 3.13).
 */
#include "interpreter.h"

static PyObject *(*s_create)(PyObject *spec, PyModuleDef *def);

static PyObject *s_create_in_main(PyObject *spec, PyModuleDef *def) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(
            PyExc_ImportError,
            "objectfs._native runs in the main interpreter alone, and this is a sub-interpreter: use threads, or "
            "processes (multiprocessing), or where it allows daemon threads backend='sdk'");
        return NULL;
    }
    return s_create(spec, def);
}

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *made = objectfs_init_native();
    if (made != NULL && PyObject_TypeCheck(made, &PyModuleDef_Type)) {
        for (PyModuleDef_Slot *slot = ((PyModuleDef *)made)->m_slots; slot != NULL && slot->slot != 0; ++slot) {
            if (slot->slot == Py_mod_create && slot->value != (void *)s_create_in_main) {
                s_create = (PyObject * (*)(PyObject *, PyModuleDef *)) slot->value;
                slot->value = (void *)s_create_in_main;
            }
        }
    }
    return made;
}
