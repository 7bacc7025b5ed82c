"""Deleting with the crt backend."""

from __future__ import annotations

import base64
import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import islice

from objectfs import _native
from objectfs.backends.answers import DELETE_BATCH, NOT_XML, delete_failure
from objectfs.backends.base import DeleteOptions, Steps
from objectfs.backends.crt_answers import query, refused
from objectfs.backends.crt_base import CrtBase, Target, all_of, followed, one
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_upload import XMLNS, xml_text

__all__ = ["DeleteVerbs"]


class DeleteVerbs(CrtBase):
    """Verbs of CrtBackend."""

    @followed
    def delete(self, bucket: str, key: str, options: DeleteOptions) -> Steps[None]:
        target = self.target(bucket)
        response = yield from one(target.engine.start([_delete_request(target, key, options)]))
        if refused(response):
            raise failure(response, "DeleteObject", bucket, key)

    def delete_many(self, bucket: str, keys: Iterable[str], options: DeleteOptions) -> Steps[dict[str, Exception]]:
        failures: dict[str, Exception] = {}
        remaining = iter(keys)
        while batch := list(islice(remaining, DELETE_BATCH)):
            plain = [key for key in batch if not NOT_XML.search(key)]
            if plain:
                failures.update((yield from self._delete_objects(bucket, plain, options)))
            awkward = [key for key in batch if NOT_XML.search(key)]
            if awkward:
                failures.update((yield from self._delete_each(bucket, awkward, options)))
        return failures

    @followed
    def _delete_objects(self, bucket: str, keys: list[str], options: DeleteOptions) -> Steps[dict[str, Exception]]:
        target = self.target(bucket)
        entries = "".join(f"<Object><Key>{xml_text(key)}</Key></Object>" for key in keys)
        body = f'<Delete xmlns="{XMLNS}"><Quiet>true</Quiet>{entries}</Delete>'.encode()
        # S3 wants a digest here; Content-MD5 is the one that every server takes
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")
        headers = target.headers(
            options.sent("DeleteObjects"),
            {"Content-MD5": digest, "Content-Type": "application/xml", "Content-Length": str(len(body))},
        )
        path = target.path(None, "delete=")
        request = _native.Request(b"DeleteObjects", b"POST", path, target.native, headers, body=body)
        response = yield from one(target.engine.start([request]))
        if refused(response):
            raise failure(response, "DeleteObjects", bucket, None)
        return _failures(bucket, ET.fromstring(bytes(response.body))) if response.body else {}

    @followed
    def _delete_each(self, bucket: str, keys: list[str], options: DeleteOptions) -> Steps[dict[str, Exception]]:
        """Keys that no XML document can name."""
        target = self.target(bucket)
        requests = [_delete_request(target, key, options) for key in keys]
        responses = yield from all_of(target.engine.start(requests, window=self.window))
        return {
            key: failure(response, "DeleteObject", bucket, key)
            for key, response in zip(keys, responses, strict=True)
            if refused(response)
        }


def _delete_request(target: Target, key: str, options: DeleteOptions) -> _native.Request:
    path = target.path(key, query(options, "DeleteObject"))
    headers = target.headers(options.sent("DeleteObject"))
    return _native.Request(b"DeleteObject", b"DELETE", path, target.native, headers)


def _failures(bucket: str, document: ET.Element) -> dict[str, Exception]:
    found: dict[str, Exception] = {}
    for element in document:
        if element.tag.rpartition("}")[2] == "Error":
            item = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            found[item.get("Key", "")] = delete_failure(bucket, item)
    return found
