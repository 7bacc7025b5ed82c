"""PostObject: uploads from HTML forms, which are authorised by a policy that the form brings."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from objectfs.sim.checksums import HEADERS, decode, new_digest
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations import objects
from objectfs.sim.operations.context import Context, text_element
from objectfs.sim.route import check_key
from objectfs.sim.store.blobs import Blob

if TYPE_CHECKING:
    from objectfs.sim.auth.verifier import Verifier

MAX_FIELDS = 20 * 1024
_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*(name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
# Fields that a policy need not allow.
_FREE = frozenset(("x-amz-signature", "awsaccesskeyid", "signature", "policy", "file"))
_NO_HEADERS = frozenset(
    ("key", "acl", "tagging", "policy", "success_action_status", "success_action_redirect", "redirect", "file")
)


@dataclass(slots=True)
class Form:
    """The fields before the file, by their names in lower case; the file and its name."""

    fields: dict[str, str]
    content: bytes
    filename: str


def parse_form(content_type: str, body: bytes) -> Form:
    """Raises MalformedPOSTRequest for what is no multipart/form-data, InvalidArgument for a form without a file."""
    match = _BOUNDARY.match(content_type)
    if match is None:
        raise S3Error("MalformedPOSTRequest")
    mark = b"\r\n--" + match[1].encode("latin-1")
    pieces = (b"\r\n" + body).split(mark)
    # In front of the first boundary there may be a preamble; behind the last one come two hyphens.
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise S3Error("MalformedPOSTRequest")
    fields: dict[str, str] = {}
    for piece in pieces[1:-1]:
        head, separator, content = piece.partition(b"\r\n\r\n")
        disposition = next(
            (line for line in head.decode("utf-8", "replace").split("\r\n") if "content-disposition" in line.lower()),
            "",
        )
        found = {name.lower(): value for name, value in _PARAMETER.findall(disposition)}
        if not separator or "name" not in found:
            raise S3Error("MalformedPOSTRequest")
        name = found["name"].lower()
        if name == "file":
            # What follows the file is ignored.
            return Form(fields, content, found.get("filename", "").replace("\\", "/").rpartition("/")[2])
        try:
            fields[name] = content.decode()
        except UnicodeDecodeError:
            raise S3Error("MalformedPOSTRequest") from None
        if sum(map(len, fields.values())) > MAX_FIELDS:
            raise S3Error("MaxPostPreDataLengthExceeded")
    raise S3Error(
        "InvalidArgument",
        "POST requires exactly one file upload per request.",
        extra={"ArgumentName": "file", "ArgumentValue": "0"},
    )


def check_policy(encoded: str, form: Form, bucket: str, now: float) -> None:
    """Raises AccessDenied for a form that its policy does not allow, EntityTooSmall and EntityTooLarge for its file."""
    try:
        policy = json.loads(base64.b64decode(encoded, validate=True))
        expires = datetime.fromisoformat(policy["expiration"])
        conditions = policy["conditions"]
        assert isinstance(conditions, list)
    except (binascii.Error, ValueError, KeyError, TypeError, AssertionError, RecursionError):
        raise S3Error("InvalidPolicyDocument") from None
    if (expires if expires.tzinfo else expires.replace(tzinfo=UTC)).timestamp() <= now:
        raise _denied("Policy expired.")
    values = {**form.fields, "bucket": bucket}
    allowed = set()
    for condition in conditions:
        name = _check_condition(condition, values, len(form.content))
        allowed.add(name)
    for name in form.fields:
        if name not in allowed and name not in _FREE and not name.startswith("x-ignore-"):
            raise _denied(f"Extra input fields: {name}")


def _check_condition(condition: Any, values: dict[str, str], size: int) -> str:
    """Check one condition; the field that it is about, or nothing."""
    if isinstance(condition, dict) and len(condition) == 1:
        ((name, wanted),) = condition.items()
        operator = "eq"
    elif isinstance(condition, list) and len(condition) == 3:
        operator, name, wanted = condition
    else:
        raise S3Error("InvalidPolicyDocument")
    operator = str(operator).lower()
    if operator == "content-length-range":
        low, high = condition[1], condition[2]
        if not isinstance(low, int) or not isinstance(high, int):
            raise S3Error("InvalidPolicyDocument")
        if size < low:
            raise S3Error("EntityTooSmall", extra={"ProposedSize": str(size), "MinSizeAllowed": str(low)})
        if size > high:
            raise S3Error("EntityTooLarge", extra={"ProposedSize": str(size), "MaxSizeAllowed": str(high)})
        return ""
    name = str(name).removeprefix("$").lower()
    value, wanted = values.get(name, ""), str(wanted)
    if operator not in ("eq", "starts-with"):
        raise S3Error("InvalidPolicyDocument")
    if value != wanted if operator == "eq" else not value.startswith(wanted):
        raise _denied(f'Policy Condition failed: ["{operator}", "${name}", "{wanted}"]')
    return name


def _denied(reason: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {reason}")


def _authorise(verifier: Verifier, form: Form, bucket: str) -> None:
    """The policy's signature, then the policy itself. A form without one is an anonymous request."""
    policy = form.fields.get("policy")
    if policy is None:
        if verifier.enabled and not verifier.anonymous:
            raise S3Error("AccessDenied")
        return
    if verifier.enabled:
        verifier.authenticate_form(form.fields, policy)
    check_policy(policy, form, bucket, verifier.now())


def _blob(context: Context, content: bytes) -> Blob:
    sink = context.store.new_sink(context.bucket_name, len(content))
    view = memoryview(content)
    while len(view):
        target = sink.reserve(len(view))
        count = min(len(target), len(view))
        target[:count] = view[:count]
        sink.commit(count)
        view = view[count:]
    return sink.finish()


def _checksums(fields: dict[str, str], content: bytes) -> dict[str, str]:
    """The checksums that the form gives, compared."""
    found = {}
    for name, algorithm in HEADERS.items():
        if name not in fields:
            continue
        expected = decode(algorithm, fields[name])
        if expected is None:
            raise S3Error("InvalidRequest", f"Value for {name} field is invalid.")
        running = new_digest(algorithm)
        running.update(content)
        digest = running.digest()
        if digest is not None and digest != expected:
            raise S3Error("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
        found[algorithm] = fields[name]
    return found


def post_object(context: Context) -> Response:
    """Put the form's file under the form's key."""
    bucket = context.bucket
    if not context.header("content-type").lower().startswith("multipart/form-data"):
        raise S3Error(
            "PreconditionFailed", extra={"Condition": "Bucket POST must be of the enclosure-type multipart/form-data"}
        )
    form = parse_form(context.header("content-type"), context.document)
    assert context.verifier is not None
    _authorise(context.verifier, form, bucket.name)
    if not form.fields.get("key"):
        raise S3Error(
            "InvalidArgument",
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            extra={"ArgumentName": "key", "ArgumentValue": ""},
        )
    key = form.fields["key"].replace("${filename}", form.filename)
    check_key(key)
    headers = {name: value.encode().decode("latin-1") for name, value in form.fields.items() if name not in _NO_HEADERS}
    if "acl" in form.fields:
        headers["x-amz-acl"] = form.fields["acl"]
    put = replace(
        context,
        head=replace(context.head, headers=headers),
        operation="PutObject",
        key=key,
        blob=_blob(context, form.content),
        etag=hashlib.md5(form.content, usedforsecurity=False).hexdigest(),
        checksums=_checksums(form.fields, form.content),
    )
    try:
        answer = objects.put_object(put)
    except S3Error:
        assert put.blob is not None
        context.store.drop(put.blob)
        raise
    return _answer(context, form.fields, key, answer)


def _answer(context: Context, fields: dict[str, str], key: str, answer: Response) -> Response:
    etag = next(value for name, value in answer.headers if name == "ETag")
    location = f"{context.base_url}/{context.bucket_name}/{quote(key)}"
    redirect = fields.get("success_action_redirect") or fields.get("redirect", "")
    if redirect.startswith(("http://", "https://")):
        query = urlencode({"bucket": context.bucket_name, "key": key, "etag": etag})
        target = f"{redirect}{'&' if '?' in redirect else '?'}{query}"
        return Response(303, [*answer.headers, ("Location", target)])
    status = int(fields["success_action_status"]) if fields.get("success_action_status") in ("200", "201") else 204
    body = b""
    headers = [*answer.headers, ("Location", location)]
    if status == 201:
        content = (
            text_element("Location", location)
            + text_element("Bucket", context.bucket_name)
            + text_element("Key", key)
            + text_element("ETag", etag)
        )
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{content}</PostResponse>'.encode()
        headers.append(("Content-Type", "application/xml"))
    return Response(status, headers, body)
