"""The crt backend: which requests make up a verb, sent by aws-c-s3. The contract is ``base.py``.

``crt_base`` keeps the engines; ``crt_get``, ``crt_get_file``, ``crt_batch``, ``crt_list``, ``crt_write``, ``crt_copy``,
``crt_delete`` and ``crt_call`` hold the verbs; ``crt_errors`` says what failures mean, ``crt_answers`` when an answer
is believed.
"""

from __future__ import annotations

from objectfs.backends.crt_batch import BatchVerbs
from objectfs.backends.crt_copy import CopyVerbs
from objectfs.backends.crt_delete import DeleteVerbs
from objectfs.backends.crt_get_file import FileVerbs
from objectfs.backends.crt_list import ListVerbs
from objectfs.backends.crt_range import RangeVerbs
from objectfs.backends.crt_write import WriteVerbs

__all__ = ["CrtBackend"]


class CrtBackend(BatchVerbs, FileVerbs, RangeVerbs, ListVerbs, WriteVerbs, DeleteVerbs, CopyVerbs):
    """See :class:`objectfs.backends.base.Backend`."""
