"""Whether an answer is all there, and the document that was asked for: looked at before botocore reads it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from objectfs import errors
from objectfs.backends.answers import number

__all__ = ["MISREAD", "check_answer", "unreadable"]

MISREAD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, ET.ParseError)
"""What botocore's readers raise on answers that they did not expect."""

_NOT_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]"
    rb"|&#(?:x0*(?:[0-8bcef]|1[0-9a-f]|fff[ef])|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]|6553[45]));",
    re.IGNORECASE,
)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]{0,300}>\s*){0,3}<html[\s>]", re.IGNORECASE)
_UNREADABLE = "the server's answer cannot be read"
_ROOTS = {
    "CompleteMultipartUpload": b"<CompleteMultipartUploadResult",
    "CopyObject": b"<CopyObjectResult",
    "CreateMultipartUpload": b"<InitiateMultipartUploadResult",
    "DeleteObjects": b"<DeleteResult",
    "GetObjectTagging": b"<Tagging",
    "ListBuckets": b"<ListAllMyBucketsResult",
    "ListObjectVersions": b"<ListVersionsResult",
    "ListObjectsV2": b"<ListBucketResult",
    "UploadPartCopy": b"<CopyPartResult",
}
"""What botocore would take for an empty answer, if anything else came."""
_LISTINGS = ("ListObjectVersions", "ListObjectsV2")


def check_answer(operation_model: Any, response_dict: dict[str, Any]) -> None:
    """Look at an answer as botocore hands it to its parser, for its event ``before-parse``.

    Raises:
        TruncatedError: it is shorter than its Content-Length.
        ServerError: it is no answer to this operation.
    """
    status, body = response_dict["status_code"], response_dict["body"]
    if not isinstance(body, bytes):  # a stream
        return
    length = response_dict["headers"].get("content-length")
    if length and operation_model.http["method"] != "HEAD" and status not in (204, 304) and len(body) != number(length):
        if number(length) is None:
            raise unreadable(status, _lower(response_dict["headers"]))
        raise errors.TruncatedError(f"{len(body)} of {length} bytes of the answer arrived")
    if status < 300 and _PAGE.match(body):  # by somebody on the way: nothing was done
        raise unreadable(status, _lower(response_dict["headers"]))
    root = _ROOTS.get(operation_model.name)
    listing = operation_model.name in _LISTINGS
    if status >= 300 or (root is not None and not listing) or (listing and b"<EncodingType>url<" in body):
        # they repeat the key, or the prefix, which may hold characters that XML cannot; nobody reads it from there
        response_dict["body"] = body = _NOT_XML.sub(b"?", body)
    if operation_model.name == "GetObjectTagging" and not body:
        return  # Ceph, of an object whose tags it has lost: that is no tags
    if root is not None and status < 300 and root not in body[:1024] and b"<Error" not in body[:1024]:
        raise unreadable(status, _lower(response_dict["headers"]))
    if 200 < status < 300 and body:
        response_dict["status_code"] = 200  # where botocore looks for an error document


def _lower(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()}


def unreadable(status: int, headers: Mapping[str, str]) -> errors.ObjectFSError:
    """The error for an answer that no sense can be made of; ``headers`` have names in lower case."""
    return errors.from_response("", status=status, message=_UNREADABLE, headers=headers)
