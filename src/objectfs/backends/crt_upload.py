"""One multipart upload, and what it shares with a single PutObject."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, unescape

from objectfs import _native, errors
from objectfs.backends.answers import put_result
from objectfs.backends.base import Op, PutOptions, Steps
from objectfs.backends.crt_answers import refused
from objectfs.backends.crt_base import CrtBase
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_steps import one
from objectfs.backends.crt_trailer import TrailersNotTaken, not_taken
from objectfs.backends.digests import combined, of_parts
from objectfs.backends.leftovers import Pending
from objectfs.types import PutResult

__all__ = ["XMLNS", "FileUpload", "Upload", "cause_first", "xml_text"]

_UPLOAD_ID = re.compile(rb"<UploadId>([!-;=-~]+)</UploadId>")
_CHECKSUM = re.compile(rb"<(Checksum[A-Z0-9]+)>([^<]+)</")
_ETAG = re.compile(rb"<ETag>([^<]*)</ETag>")  # Ceph answers with an empty one

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


class Upload(Pending):
    """One multipart upload: create, parts, complete or abort."""

    def __init__(self, backend: CrtBase, bucket: str, key: str, options: PutOptions, algorithm: str | None) -> None:
        self.backend, self.options, self.algorithm = backend, options, algorithm
        self.target = backend.target(bucket)
        self.id = ""
        self.server: str | None = None
        """What it calls itself."""
        self.etags: list[str] = []
        self.checksums: list[str | None] = []
        """Of each part, as the server confirmed it: a composite checksum is completed by naming them."""
        self.sizes: dict[int, int] = {}
        """Bytes of each part that was asked for, by its number."""
        super().__init__(backend.leftovers, bucket, key)

    def _start(
        self,
        operation: str,
        method: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes | None,
        into: list[Op[Any]],
        *,
        shielded: bool = False,
    ) -> Any:
        target = self.target
        length = {"Content-Length": str(len(body or b""))} if method != "DELETE" else {}
        request = _native.Request(
            operation.encode(),
            method.encode(),
            target.path(self.key, query),
            target.native,
            target.headers(self.options.sent(operation), headers, length),
            body=body or None,
            shielded=shielded,
        )
        return target.engine.start([request], into=into)

    def create(self) -> Steps[None]:
        headers = {}
        if self.algorithm is not None:
            headers["x-amz-checksum-algorithm"] = self.algorithm
            if self.algorithm.startswith("CRC"):
                headers["x-amz-checksum-type"] = "FULL_OBJECT"
        self.begin(
            lambda: self._start(
                "CreateMultipartUpload", "POST", "uploads=", headers, None, self.creating, shielded=True
            )
        )
        yield self.creating[0]
        self.id = self._created(self.creating[0])
        (response,) = self.creating[0].result()
        self.server = response.headers.get("server")

    def adopt(self, upload_id: str) -> None:
        """Go on with an upload that was created before; its id as a URL has it."""
        self.id, self.keep = upload_id, True
        self.begin(lambda: None)

    def _created(self, creating: Any) -> str:
        (response,) = creating.result()
        # no look at the document but for what is wanted: a key in it may hold what XML cannot
        if response.error_code or response.status >= 300:
            raise failure(response, "CreateMultipartUpload", self.bucket, self.key)
        found = _UPLOAD_ID.search(bytes(response.body or b""))
        if found is None:
            raise failure(response, "CreateMultipartUpload", self.bucket, self.key)
        return quote(unescape(found[1].decode("ascii")), safe="-_.~")

    def upload_id(self, creating: Op[Any]) -> str | None:
        try:
            return self._created(creating)
        except errors.ObjectFSError as error:
            if error.status is not None and (error.status >= 300 or error.code):
                return None
            raise

    def start_abort(self, upload_id: str, into: list[Op[Any]]) -> None:
        self._start("AbortMultipartUpload", "DELETE", f"uploadId={upload_id}", {}, None, into, shielded=True)

    def check_abort(self, aborting: Any) -> None:
        (response,) = aborting.result()
        if response.error_code or response.status >= 300:
            raise failure(response, "AbortMultipartUpload", self.bucket, self.key)

    def start_parts(self, requests: list[Any], by: Any = None, **how: Any) -> Any:
        """The parts as one operation, which is cancelled when the upload is given up. ``by``: the target whose engine
        sends them, if not the upload's own."""
        self.backend.target(self.bucket)  # is the client still open, are the credentials still good?
        return (by or self.target).engine.start(requests, into=self.parts, **how)

    def part_request(self, number: int, view: memoryview, *, trailer: bool = False) -> Any:
        target = self.target
        self.sizes[number] = len(view)
        return _native.Request(
            b"UploadPart",
            b"PUT",
            target.path(self.key, f"partNumber={number}&uploadId={self.id}"),
            target.native,
            target.headers(self.options.sent("UploadPart"), {"Content-Length": str(len(view))}),
            body=view,
            checksum=self.algorithm,
            trailer=trailer,
        )

    def collect(self, responses: Iterable[Any]) -> None:
        """Note the parts' ETags, or raise the first cause of a failure.

        Raises:
            TrailersNotTaken: that is it.
        """
        for _, response in cause_first(None, list(responses)):
            if response.behind and not_taken(response, self.algorithm or "", self.bucket, self.key):
                self.target.trailers.refuse(self.algorithm or "")
                raise TrailersNotTaken
            if refused(response):
                raise failure(response, "UploadPart", self.bucket, self.key)
            etag = response.headers.get("etag")
            if not etag:
                raise errors.ServerError(
                    "the answer to a part names no ETag", operation="UploadPart", bucket=self.bucket, key=self.key
                )
            self.etags.append(etag)
            self.checksums.append(response.headers.get(f"x-amz-checksum-{(self.algorithm or '').lower()}"))

    def complete(self) -> Steps[PutResult]:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{xml_text(etag)}</ETag>{self._checksum(checksum)}</Part>"
            for number, (etag, checksum) in enumerate(zip(self.etags, self.checksums, strict=True), start=1)
        )
        body = f'<CompleteMultipartUpload xmlns="{XMLNS}">{parts}</CompleteMultipartUpload>'.encode()
        headers = {"Content-Type": "application/xml"}
        expected = self.options.expected
        if expected is not None and expected.algorithm == self.algorithm and self.algorithm.startswith("CRC"):
            # of a SHA, S3 has only that of the parts' values
            headers[f"x-amz-checksum-{self.algorithm.lower()}"] = expected.value
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
        self.backend.target(self.bucket)
        op = self._start("CompleteMultipartUpload", "POST", f"uploadId={self.id}", headers, body, self.parts)
        response = yield from one(op)
        if response.error_code or response.status >= 300:
            raise failure(response, "CompleteMultipartUpload", self.bucket, self.key)
        document = bytes(response.body or b"")
        found = _ETAG.search(document)
        if found is None:  # status 200 and not the document: the object is not there for sure
            raise failure(response, "CompleteMultipartUpload", self.bucket, self.key)
        self.completed()
        sums = {
            f"x-amz-checksum-{name[8:].lower().decode()}": unescape(value.decode("latin-1"))
            for name, value in _CHECKSUM.findall(document)
        }
        return put_result(
            {**response.headers, **(sums or self._sum_of_parts())},
            unescape(found[1].decode("utf-8", "replace"), {"&quot;": '"'}),
        )

    def _sum_of_parts(self) -> dict[str, str]:
        """Where the server says nothing of the whole: what it has confirmed of all the parts comes to."""
        sums = [value for value in self.checksums if value]
        sizes = [self.sizes.get(number, 0) for number in range(1, len(sums) + 1)]
        if self.algorithm is None or len(sums) != len(self.etags) or not all(sizes):
            return {}
        if self.algorithm.startswith("CRC"):
            values = [int.from_bytes(base64.b64decode(value), "big") for value in sums]
            found: str | None = combined(self.algorithm, zip(values, sizes, strict=True))
        else:
            found = of_parts(
                self.algorithm,
                b"\n".join(b"%d:%s" % (size, value.encode()) for size, value in zip(sizes, sums, strict=True)),
            )
        return {f"x-amz-checksum-{self.algorithm.lower()}": found} if found else {}

    def _checksum(self, value: str | None) -> str:
        return f"<Checksum{self.algorithm}>{value}</Checksum{self.algorithm}>" if value else ""


class FileUpload(Pending):
    """A multipart upload by the C library, which aborts it itself when it is cancelled and knows its id."""

    def __init__(self, backend: CrtBase, bucket: str, key: str) -> None:
        super().__init__(backend.leftovers, bucket, key)


def xml_text(text: str) -> str:
    # carriage returns would be read as newlines (XML 1.0, 2.11)
    return escape(text, {"\r": "&#13;", "\n": "&#10;"})


def cause_first(keys: list[str] | None, responses: list[Any]) -> list[tuple[Any, Any]]:
    """Pairs of key and response; what was only cancelled because another failed comes last."""
    pairs = list(zip(keys if keys is not None else responses, responses, strict=True))
    if any(response.error_code for response in responses):
        pairs.sort(key=lambda pair: (not pair[1].error_code, pair[1].error == "AWS_ERROR_S3_CANCELED"))
    return pairs
