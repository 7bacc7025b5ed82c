"""A client that uses both backends does what either does: tests of the contract, with half of the keys on each, and
with every read compared."""

from __future__ import annotations

from .conftest import BACKENDS
from .test_async import test_at_once, test_streams
from .test_buffers import stored, test_into_slice, test_into_too_small, test_nothing_beyond_is_touched
from .test_files import test_failure_leaves_the_old_file, test_put_of_missing_file, test_replaces
from .test_open_read import test_it_is_a_file, test_text
from .test_ranges import small, test_get_ranges, test_range_into_file, test_ranges, test_start_outside
from .test_roundtrip import (
    test_buffer,
    test_delete,
    test_keys,
    test_list,
    test_many,
    test_many_of_none,
    test_many_with_missing,
    test_metadata,
    test_metadata_of_multipart,
    test_overwrite,
    test_versions,
)
from .test_streams import test_kinds, test_source_that_fails

BACKENDS_HERE = ["routed", "shadowed"] if {"crt", "sdk"} <= set(BACKENDS) else []

__all__ = [
    "small",
    "stored",
    "test_at_once",
    "test_buffer",
    "test_delete",
    "test_failure_leaves_the_old_file",
    "test_get_ranges",
    "test_into_slice",
    "test_into_too_small",
    "test_it_is_a_file",
    "test_keys",
    "test_kinds",
    "test_list",
    "test_many",
    "test_many_of_none",
    "test_many_with_missing",
    "test_metadata",
    "test_metadata_of_multipart",
    "test_nothing_beyond_is_touched",
    "test_overwrite",
    "test_put_of_missing_file",
    "test_range_into_file",
    "test_ranges",
    "test_replaces",
    "test_source_that_fails",
    "test_start_outside",
    "test_streams",
    "test_text",
    "test_versions",
]
