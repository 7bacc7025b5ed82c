"""Also tests of the contract, with half of the keys on each backend: all verbs in one, and files that are written."""

from __future__ import annotations

from .conftest import BACKENDS
from .test_async import test_verbs
from .test_open_read import test_small_objects
from .test_open_write import (
    client,
    test_exception_in_the_block,
    test_failures,
    test_it_is_a_file,
    test_sizes_around_parts,
    test_text,
)

BACKENDS_HERE = ["routed"] if {"crt", "sdk"} <= set(BACKENDS) else []

__all__ = [
    "client",
    "test_exception_in_the_block",
    "test_failures",
    "test_it_is_a_file",
    "test_sizes_around_parts",
    "test_small_objects",
    "test_text",
    "test_verbs",
]
