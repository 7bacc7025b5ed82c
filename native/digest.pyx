# Checksums of what Python has in memory.

def crc(str algorithm not None, data, uint64_t previous=0):
    """Go on with a CRC.

    Args:
        algorithm: ``CRC32``, ``CRC32C`` or ``CRC64NVME``.
        data: C-contiguous memory.
        previous: of what came before; 0 at the beginning.

    Raises:
        ValueError: there is no such algorithm here.
    """
    cdef Py_buffer view
    cdef int kind = 0 if algorithm == "CRC64NVME" else 1 if algorithm == "CRC32" else 2 if algorithm == "CRC32C" else -1
    cdef uint64_t value = previous
    if kind < 0:
        raise ValueError(f"not a CRC of S3: {algorithm!r}")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    with nogil:
        if kind == 0:
            value = aws_checksums_crc64nvme_ex(<const uint8_t*>view.buf, view.len, value)
        elif kind == 1:
            value = aws_checksums_crc32_ex(<const uint8_t*>view.buf, view.len, <uint32_t>value)
        else:
            value = aws_checksums_crc32c_ex(<const uint8_t*>view.buf, view.len, <uint32_t>value)
    PyBuffer_Release(&view)
    return value


def combine_crc64nvme(uint64_t first, uint64_t second, uint64_t length):
    """The CRC64NVME of two pieces, from those of each and the bytes of the second."""
    return aws_checksums_crc64nvme_combine(first, second, length)
