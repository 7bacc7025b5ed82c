"""S3's options: what each verb takes as keyword arguments, how each is checked, and which requests carry it.

``params`` says it to type checkers, ``table`` has a row for each option, ``checks`` holds the values to S3's rules,
``given`` is what the backends get. docs/design/0007-options.md tells why it is built like this.
"""

from __future__ import annotations

from objectfs.options.checks import Expected, Hidden, checked_headers
from objectfs.options.given import CONDITIONS, DeleteOptions, GetOptions, ListOptions, Options, PutOptions
from objectfs.options.params import (
    CopyParams,
    DeleteManyParams,
    DeleteParams,
    GetFileParams,
    GetManyParams,
    GetParams,
    HeadParams,
    ListParams,
    ListVersionsParams,
    PutFileParams,
    PutManyParams,
    PutParams,
    RangesParams,
)
from objectfs.options.table import GROUPS, OPTIONS, Option, check_options

__all__ = [
    "CONDITIONS",
    "GROUPS",
    "OPTIONS",
    "CopyParams",
    "DeleteManyParams",
    "DeleteOptions",
    "DeleteParams",
    "Expected",
    "GetFileParams",
    "GetManyParams",
    "GetOptions",
    "GetParams",
    "HeadParams",
    "Hidden",
    "ListOptions",
    "ListParams",
    "ListVersionsParams",
    "Option",
    "Options",
    "PutFileParams",
    "PutManyParams",
    "PutOptions",
    "PutParams",
    "RangesParams",
    "check_options",
    "checked_headers",
]
