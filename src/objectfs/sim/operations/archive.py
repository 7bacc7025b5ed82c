"""Archived storage classes: what is refused until RestoreObject, which here takes no time."""

from __future__ import annotations

import time
from dataclasses import replace

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response, http_date
from objectfs.sim.operations.context import Context
from objectfs.sim.operations.metadata import ARCHIVED
from objectfs.sim.operations.versions import find, version_headers
from objectfs.sim.store.records import Record
from objectfs.sim.xml import parse_xml

_DAY = 24 * 3600
_TIERS = {"GLACIER": ("Standard", "Bulk", "Expedited"), "DEEP_ARCHIVE": ("Standard", "Bulk")}


def is_archived(record: Record) -> bool:
    """The object is in an archive, and there is no restored copy of it."""
    return record.storage_class in ARCHIVED and record.restored <= time.time()


def check_readable(record: Record) -> None:
    if is_archived(record):
        raise S3Error("InvalidObjectState", extra={"StorageClass": record.storage_class})


def check_copyable(record: Record) -> None:
    if is_archived(record):
        raise S3Error("ObjectNotInActiveTierError")


def restore_header(record: Record) -> str:
    """``x-amz-restore`` of an object that was restored once."""
    return f'ongoing-request="false", expiry-date="{http_date(record.restored)}"'


def restore(context: Context) -> Response:
    """RestoreObject: 202 for the first, 200 for one that extends it. The copy can be read at once, and the job's
    tier makes no difference."""
    bucket, record = find(context)
    root = parse_xml(context.document, "RestoreRequest")
    if root.find("Type") is not None or root.find("SelectParameters") is not None:
        raise S3Error("NotImplemented", "Restore requests of type SELECT are not implemented")
    if record.storage_class not in ARCHIVED:
        raise S3Error(
            "InvalidObjectState",
            "Restore is not allowed for the object's current storage class",
            extra={"StorageClass": record.storage_class},
        )
    days = (root.findtext("Days") or "").strip()
    if not days.isascii() or not days.isdigit() or len(days) > 6 or not int(days):
        raise S3Error("MalformedXML")
    tier = (root.findtext("GlacierJobParameters/Tier") or root.findtext("Tier") or "Standard").strip()
    if tier not in _TIERS["GLACIER"]:
        raise S3Error("MalformedXML")
    if tier not in _TIERS[record.storage_class]:
        raise S3Error("InvalidArgument", f"The {tier} tier is not supported for {record.storage_class}")
    again = record.restored > time.time()
    # Until the midnight (UTC) behind the last day.
    until = (int(time.time() + int(days) * _DAY) // _DAY + 1) * _DAY
    context.store.amend(bucket, record, replace(record, restored=float(until)))
    return Response(200 if again else 202, version_headers(bucket, record))
