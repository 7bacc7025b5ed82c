"""Deleting with the crt backend."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from objectfs import _native, errors
from objectfs.backends import deleting
from objectfs.backends.base import DeleteOptions, Steps
from objectfs.backends.crt_answers import document, name_of, query, refused
from objectfs.backends.crt_base import CrtBase
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_steps import followed, one
from objectfs.backends.crt_target import Target
from objectfs.backends.crt_upload import XMLNS, xml_text
from objectfs.backends.deleting import Item, Pair
from objectfs.backends.sdk_ops import Operation
from objectfs.backends.sdk_task import Task

__all__ = ["DeleteVerbs"]


class DeleteVerbs(CrtBase):
    """Verbs of CrtBackend."""

    @followed
    def delete(self, bucket: str, key: str, options: DeleteOptions) -> Steps[None]:
        target = self.target(bucket)
        response = yield from one(target.engine.start([_delete_request(target, key, options)]))
        if refused(response):
            raise failure(response, "DeleteObject", bucket, key)

    def delete_many(self, bucket: str, items: Iterable[Item], options: DeleteOptions) -> Steps[dict[Item, Exception]]:
        yield from self.ready(bucket)
        return (yield from deleting.delete_many(self, bucket, items, options))

    @property
    def max_attempts(self) -> int:
        return self.config.max_attempts

    def pause(self, seconds: float) -> Operation[None]:
        def work(task: Task) -> None:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0 and not self._closed:
                task.sleep(min(left, 0.1))

        return self.start_aside(work)

    def region_of(self, bucket: str) -> str | None:
        return self.session.learned_region(bucket)

    def start_delete(self, bucket: str, pairs: Sequence[Pair], options: DeleteOptions) -> Any:
        target = self.target(bucket)
        entries = "".join(
            f"<Object><Key>{xml_text(key)}</Key></Object>"
            if version is None
            else f"<Object><Key>{xml_text(key)}</Key><VersionId>{xml_text(version)}</VersionId></Object>"
            for key, version in pairs
        )
        body = f'<Delete xmlns="{XMLNS}"><Quiet>true</Quiet>{entries}</Delete>'.encode()
        # S3 wants a digest here; Content-MD5 is the one that every server takes
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")
        headers = target.headers(
            options.sent("DeleteObjects"),
            {"Content-MD5": digest, "Content-Type": "application/xml", "Content-Length": str(len(body))},
        )
        path = target.path(None, "delete=")
        request = _native.Request(b"DeleteObjects", b"POST", path, target.native, headers, body=body)
        return target.engine.start([request])

    def refusals(self, bucket: str, answer: Any) -> list[Mapping[str, Any]]:
        (response,) = answer
        found = None if response.error_code or response.status >= 300 else document(bytes(response.body or b""))
        if found is None or name_of(found) != "DeleteResult":
            raise failure(response, "DeleteObjects", bucket, None)
        return [
            {name_of(child): child.text or "" for child in element} for element in found if name_of(element) == "Error"
        ]

    def start_each(self, bucket: str, pairs: Sequence[Pair], options: DeleteOptions) -> Any:
        target = self.target(bucket)
        requests = [_delete_request(target, key, options, version) for key, version in pairs]
        return target.engine.start(requests, window=self.window)

    def failures(self, bucket: str, pairs: Sequence[Pair], answer: Any) -> list[errors.ObjectFSError | None]:
        return [
            failure(response, "DeleteObject", bucket, key) if refused(response) else None
            for (key, _), response in zip(pairs, answer, strict=True)
        ]


def _delete_request(target: Target, key: str, options: DeleteOptions, version_id: str | None = None) -> _native.Request:
    asked = query(options, "DeleteObject") if version_id is None else f"versionId={quote(version_id, safe='')}"
    headers = target.headers(options.sent("DeleteObject"))
    return _native.Request(b"DeleteObject", b"DELETE", target.path(key, asked), target.native, headers)
