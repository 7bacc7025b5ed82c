"""Object lock: versions that may not be deleted yet."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.context import Context, iso_date, text_element, xml_response
from objectfs.sim.operations.versions import find, version_headers
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import Record
from objectfs.sim.xml import parse_xml

MODE = "x-amz-object-lock-mode"
UNTIL = "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"
BYPASS = "x-amz-bypass-governance-retention"
DOCUMENT = "object-lock"
ENABLED = b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"

_MODES = ("GOVERNANCE", "COMPLIANCE")
_DAY = 24 * 3600


def _time(value: str) -> float | None:
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _retention(mode: str, until: str) -> dict[str, str]:
    """A retention as the headers that are kept, checked."""
    if mode not in _MODES:
        raise S3Error("InvalidArgument", "Unknown wormMode directive.", extra={"ArgumentName": MODE})
    when = _time(until)
    if when is None:
        raise S3Error("InvalidArgument", "The retain until date must be provided in ISO 8601 format")
    if when <= time.time():
        raise S3Error("InvalidArgument", "The retain until date must be in the future!")
    return {MODE: mode, UNTIL: iso_date(when)}


def _require_lock(bucket: Bucket) -> None:
    if DOCUMENT not in bucket.documents:
        raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")


def require_digest(context: Context) -> None:
    """Some requests must bring a digest of their body."""
    headers = context.head.headers
    if "content-md5" not in headers and not any(
        name.startswith("x-amz-checksum-") or name == "x-amz-trailer" for name in headers
    ):
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")


def lock_headers(context: Context, bucket: Bucket) -> dict[str, str]:
    """The retention and the legal hold of a new object: what the request asks for, or the bucket's default."""
    headers = context.head.headers
    mode, until, hold = headers.get(MODE), headers.get(UNTIL), headers.get(HOLD)
    if mode is None and until is None and hold is None:
        return _default(bucket)
    _require_lock(bucket)
    kept = {}
    if (mode is None) != (until is None):
        raise S3Error(
            "InvalidArgument",
            f"{UNTIL} and {MODE} must both be supplied",
            extra={"ArgumentName": UNTIL if mode else MODE},
        )
    if mode is not None and until is not None:
        kept = _retention(mode, until)
    else:
        kept = _default(bucket)
    if hold is not None:
        if hold not in ("ON", "OFF"):
            raise S3Error("InvalidArgument", "Legal hold must be either of 'ON' or 'OFF'", extra={"ArgumentName": HOLD})
        kept[HOLD] = hold
    if context.operation == "PutObject":
        try:
            require_digest(context)
        except S3Error:
            raise S3Error(
                "InvalidRequest",
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock "
                "parameters",
            ) from None
    return kept


def _default(bucket: Bucket) -> dict[str, str]:
    document = bucket.documents.get(DOCUMENT)
    if document is None or b"DefaultRetention" not in document:
        return {}
    rule = parse_xml(document, "ObjectLockConfiguration").find("Rule/DefaultRetention")
    assert rule is not None
    days = int(rule.findtext("Days") or 0) or 365 * int(rule.findtext("Years") or 0)
    return {MODE: (rule.findtext("Mode") or "").strip(), UNTIL: iso_date(time.time() + days * _DAY)}


def _bypass(context: Context) -> bool:
    return context.header(BYPASS).lower() == "true"


def check_deletable(context: Context, record: Record) -> None:
    """Refuse to delete a version that is retained or held. Delete markers are neither."""
    headers = record.headers
    if headers.get(HOLD) == "ON":
        raise _protected()
    mode = headers.get(MODE)
    if mode is None or (_time(headers[UNTIL]) or 0) <= time.time():
        return
    if mode == "COMPLIANCE" or not _bypass(context):
        raise _protected()


def _protected() -> S3Error:
    return S3Error("AccessDenied", "Access Denied because object protected by object lock.")


def retention(context: Context) -> Response:
    bucket, record = find(context)
    _require_lock(bucket)
    kept = {name: value for name, value in record.headers.items() if name in (MODE, UNTIL)}
    if context.head.method == "GET":
        if not kept:
            raise S3Error("NoSuchObjectLockConfiguration")
        content = text_element("Mode", kept[MODE]) + text_element("RetainUntilDate", kept[UNTIL])
        return xml_response("Retention", content)
    require_digest(context)
    root = parse_xml(context.document, "Retention")
    mode, until = (root.findtext("Mode") or "").strip(), (root.findtext("RetainUntilDate") or "").strip()
    if bool(mode) != bool(until) or (mode and mode not in _MODES):
        raise S3Error("MalformedXML")
    wanted = _retention(mode, until) if mode else {}
    active = bool(kept) and (_time(kept[UNTIL]) or 0) > time.time()
    if active:
        shorter = not wanted or (_time(wanted[UNTIL]) or 0) < (_time(kept[UNTIL]) or 0)
        weaker = kept[MODE] == "COMPLIANCE" and wanted.get(MODE) != "COMPLIANCE"
        if (shorter or weaker) and (kept[MODE] == "COMPLIANCE" or not _bypass(context)):
            raise _protected()
    others = {name: value for name, value in record.headers.items() if name not in (MODE, UNTIL)}
    context.store.amend(bucket, record, replace(record, headers={**others, **wanted}))
    return Response(200, version_headers(bucket, record))


def legal_hold(context: Context) -> Response:
    bucket, record = find(context)
    _require_lock(bucket)
    if context.head.method == "GET":
        if HOLD not in record.headers:
            raise S3Error("NoSuchObjectLockConfiguration")
        return xml_response("LegalHold", text_element("Status", record.headers[HOLD]))
    require_digest(context)
    status = (parse_xml(context.document, "LegalHold").findtext("Status") or "").strip()
    if status not in ("ON", "OFF"):
        raise S3Error("MalformedXML")
    context.store.amend(bucket, record, replace(record, headers={**record.headers, HOLD: status}))
    return Response(200, version_headers(bucket, record))


def check_configuration(bucket: Bucket, root: ET.Element) -> None:
    """An ObjectLockConfiguration that may be put on a bucket."""
    if (root.findtext("ObjectLockEnabled") or "").strip() != "Enabled":
        raise S3Error("MalformedXML")
    rule = root.find("Rule")
    if rule is not None:
        default = rule.find("DefaultRetention")
        if default is None or (default.findtext("Mode") or "").strip() not in _MODES:
            raise S3Error("MalformedXML")
        periods = [default.findtext(name) for name in ("Days", "Years") if default.find(name) is not None]
        if len(periods) != 1:
            raise S3Error("MalformedXML")
        period = (periods[0] or "").strip()
        if not period.isascii() or not period.isdigit() or not 1 <= int(period) <= 36500:
            raise S3Error("InvalidArgument", "Default retention period must be a positive integer value.")
    if bucket.versioning != "Enabled":
        raise S3Error(
            "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        )
