# aws-checksums: the CRCs, with the instructions that the CPU has for them
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "aws/checksums/crc.h" nogil:
    uint32_t aws_checksums_crc32_ex(const uint8_t* input, size_t length, uint32_t previous)
    uint32_t aws_checksums_crc32c_ex(const uint8_t* input, size_t length, uint32_t previous)
    uint32_t aws_checksums_crc32_combine(uint32_t first, uint32_t second, uint64_t second_length)
    uint32_t aws_checksums_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_length)
    uint64_t aws_checksums_crc64nvme_combine(uint64_t first, uint64_t second, uint64_t second_length)
    uint64_t aws_checksums_crc64nvme_ex(const uint8_t* input, size_t length, uint64_t previous)
