"""Messages of sockets that are not cleared as a whole: native/message.c."""

from __future__ import annotations

import pytest

from objectfs import _native
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import S3Server

from .conftest import backend_for

pytestmark = pytest.mark.skipif(not _native.debug_linked(), reason="only where the linker can do that")

DATA = bytes(range(251)) * 100_000
HEAD = 16 * 1024


def uncleared() -> int:
    count = _native.debug_uncleared_bytes()
    assert count is not None
    return count


def test_what_has_come_is_not_cleared(crt: CrtBackend) -> None:
    """The linker sent the library's call to ours: a silent failure of that would only cost time."""
    run(crt.put("bucket", "k", DATA, PutOptions()))
    before = uncleared()
    assert bytes(run(crt.get("bucket", "k", GetOptions()))) == DATA
    assert len(DATA) // 2 < uncleared() - before < len(DATA) * 2


@pytest.mark.parametrize("size", [0, 1, HEAD // 2])
def test_heads_and_what_is_short_are(crt: CrtBackend, size: int) -> None:
    before = uncleared()
    run(crt.put("bucket", "k", DATA[:size], PutOptions()))
    assert bytes(run(crt.get("bucket", "k", GetOptions()))) == DATA[:size]
    assert uncleared() == before


def test_what_tls_has_decrypted_is_cleared() -> None:
    """What is encrypted is not, and that is all: a record at a time is decrypted."""
    with S3Server(tls=True, buckets=("bucket",)) as server:
        backend = backend_for(server.endpoint_url, verify=server.ca_file)
        run(backend.put("bucket", "k", DATA, PutOptions()))
        before = uncleared()
        assert bytes(run(backend.get("bucket", "k", GetOptions()))) == DATA
        assert uncleared() - before < len(DATA)
        backend.close()
