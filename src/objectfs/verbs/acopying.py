"""Copies at the server, for asyncio."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from objectfs import arguments as check
from objectfs.backends.drive import Progress
from objectfs.options import CopyParams
from objectfs.types import PutResult
from objectfs.verbs.copying import copy_plan
from objectfs.verbs.driving import AsyncDriver

__all__ = ["AsyncCopyVerbs"]


class AsyncCopyVerbs(AsyncDriver):
    """Verbs of AsyncClient."""

    async def copy(
        self,
        src_bucket: str,
        src_key: str,
        bucket: str,
        key: str,
        *,
        src_version_id: str | None = None,
        src_if_match: str | None = None,
        src_if_none_match: str | None = None,
        src_if_modified_since: datetime | None = None,
        src_if_unmodified_since: datetime | None = None,
        src_sse_customer_key: bytes | str | None = None,
        src_expected_bucket_owner: str | None = None,
        multipart_threshold: int | str | None = None,
        part_size: int | str | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[CopyParams],
    ) -> PutResult:
        """See :meth:`objectfs.Client.copy`."""
        asked = check.put_options("CopyParams", options)
        source = {
            "version_id": src_version_id,
            "if_match": src_if_match,
            "if_none_match": src_if_none_match,
            "if_modified_since": src_if_modified_since,
            "if_unmodified_since": src_if_unmodified_since,
            "sse_customer_key": src_sse_customer_key,
            "expected_bucket_owner": src_expected_bucket_owner,
            "request_payer": options.get("request_payer"),
        }
        plan = copy_plan(src_bucket, src_key, source, options, asked, multipart_threshold, part_size)
        self._core.check_options(plan.source.options, src_bucket)
        return await self._run(
            "CopyObject",
            bucket,
            key,
            lambda backend: backend.copy(bucket, key, plan),
            timeout,
            progress,
            options=asked,
        )
