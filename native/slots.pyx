# Objects of Python classes with __slots__, made like a template: for answers that describe thousands of things.
#
# A frozen dataclass costs some 2 us to make, nearly all of it for passing keywords and for going round its own
# __setattr__. Here the object is allocated and its slots are filled in memory, at the places that the class's own
# member descriptors name: 0.1 us. The class stays what it is, written in Python (objectfs.types).

cdef extern from *:
    """
    #include <stddef.h>
    #include <structmember.h>
    /* Where a slot of a class lies in its instances; -1 if the descriptor is none of a slot. */
    static Py_ssize_t objectfs_slot_offset(PyObject *descriptor) {
        PyMemberDef *member;
        if (!Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) {
            return -1;
        }
        member = ((PyMemberDescrObject *)descriptor)->d_member;
        return member->type == T_OBJECT_EX ? member->offset : -1;
    }
    static PyObject *objectfs_new_instance(PyObject *type) {
        return ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    }
    static PyObject **objectfs_slot(PyObject *object, Py_ssize_t offset) {
        return (PyObject **)((char *)object + offset);
    }
    """
    Py_ssize_t objectfs_slot_offset(object descriptor)
    object objectfs_new_instance(object type)
    PyObject** objectfs_slot(object instance, Py_ssize_t offset)
    void PyObject_GC_UnTrack(PyObject*)

cdef enum:
    MAX_SLOTS = 32


@cython.final
cdef class _Maker:
    """Makes objects of a template's class that are like the template, until their slots are set."""

    cdef object _class
    cdef object _template
    cdef int _n
    cdef Py_ssize_t[MAX_SLOTS] _offsets

    def __cinit__(self, template not None):
        self._class = type(template)
        self._template = template
        for name in self._class.__slots__:
            if self._n == MAX_SLOTS:
                raise TypeError(f"{self._class.__name__} has more than {MAX_SLOTS} slots")
            self._offsets[self._n] = self.offset(name)
            self._n += 1

    cdef Py_ssize_t offset(self, str name) except -1:
        """Where a slot lies."""
        cdef Py_ssize_t found = objectfs_slot_offset(getattr(self._class, name))
        if found < 0:
            raise TypeError(f"{self._class.__name__}.{name} is no slot")
        return found

    cdef object make(self):
        """A copy of the template. It cannot be part of a cycle, because no value that is put into it can, and so the
        garbage collector need not go through all objects of a long listing again and again."""
        cdef object made = objectfs_new_instance(self._class)
        cdef PyObject* value
        cdef int i
        for i in range(self._n):
            value = objectfs_slot(self._template, self._offsets[i])[0]
            if value != NULL:
                Py_INCREF(<object>value)
                objectfs_slot(made, self._offsets[i])[0] = value
        PyObject_GC_UnTrack(<PyObject*>made)
        return made


cdef inline void _put(object made, Py_ssize_t offset, object value):
    """Set a slot of an object that nobody else has yet."""
    cdef PyObject** slot = objectfs_slot(made, offset)
    cdef PyObject* before = slot[0]
    Py_INCREF(value)
    slot[0] = <PyObject*>value
    Py_XDECREF(before)
