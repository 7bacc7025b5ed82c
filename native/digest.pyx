# Checksums of what lies in memory.

cdef int _crc_kind(str algorithm) except -1:
    if algorithm == "CRC64NVME":
        return OBJECTFS_CRC_64NVME
    if algorithm == "CRC32":
        return OBJECTFS_CRC_32
    if algorithm == "CRC32C":
        return OBJECTFS_CRC_32C
    raise ValueError(f"not a CRC of S3: {algorithm!r}")


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
    cdef int kind = _crc_kind(algorithm)
    cdef uint64_t value
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    with nogil:
        value = objectfs_crc(kind, <const uint8_t*>view.buf, view.len, previous)
    PyBuffer_Release(&view)
    return value


def combine_crc(str algorithm not None, uint64_t first, uint64_t second, uint64_t length):
    """The CRC of two pieces, from those of each and the bytes of the second."""
    cdef int kind = _crc_kind(algorithm)
    if kind == OBJECTFS_CRC_64NVME:
        return aws_checksums_crc64nvme_combine(first, second, length)
    if kind == OBJECTFS_CRC_32:
        return aws_checksums_crc32_combine(<uint32_t>first, <uint32_t>second, length)
    return aws_checksums_crc32c_combine(<uint32_t>first, <uint32_t>second, length)
