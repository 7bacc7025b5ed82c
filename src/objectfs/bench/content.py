"""The content of every benchmark object, and the check that it arrived: byte i is ``i % 251``.

The period is prime, so a part that lands at a wrong offset shows. It is the content of the embedded server's
synthetic objects, which take no memory there.
"""

from __future__ import annotations

PERIOD = 251
_block = memoryview(bytes(range(PERIOD)) * (4 * 1024 * 1024 // PERIOD))

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def fill(size: int) -> bytearray:
    """An object's content of ``size`` bytes."""
    data = bytearray(size)
    view = memoryview(data)
    for start in range(0, size, len(_block)):
        part = view[start : start + len(_block)]
        part[:] = _block[: len(part)]
    return data


def check(data: bytes | bytearray | memoryview, size: int, what: str = "object", *, start: int = 0) -> None:
    """Raise ValueError unless ``data`` is the content from ``start`` of an object that is ``size`` bytes from
    there."""
    view = memoryview(data).cast("B")
    if len(view) != size:
        raise ValueError(f"{what}: {len(view)} bytes arrived, not {size}")
    done = 0
    while done < size:
        phase = (start + done) % PERIOD
        wanted = _block[phase : phase + size - done]
        part = view[done : done + len(wanted)]
        # Whole words: comparing two memoryviews goes byte by byte, comparing bytes is memcmp.
        if bytes(part) != bytes(wanted):
            raise ValueError(f"{what}: wrong content between bytes {done} and {done + len(part)}")
        done += len(part)


def check_file(path: str, size: int) -> None:
    """The same for a file."""
    done = 0
    with open(path, "rb", buffering=0) as file:
        while data := file.read(MIB):  # small: the process's peak memory is one of the figures
            check(data, len(data), path, start=done)
            done += len(data)
    if done != size:
        raise ValueError(f"{path}: {done} bytes, not {size}")


def write_file(path: str, size: int) -> None:
    """A file with an object's content."""
    with open(path, "wb", buffering=0) as file:
        done = 0
        while done < size:
            phase = done % PERIOD  # a write may take less than it is given
            done += file.write(_block[phase : phase + size - done])
