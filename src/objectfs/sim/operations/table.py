"""Which handler does which operation. docs/server.md tells of each."""

from __future__ import annotations

from collections.abc import Callable

from objectfs.sim.http import Response
from objectfs.sim.operations import (
    acl,
    archive,
    buckets,
    copying,
    documents,
    listing,
    lock,
    multipart,
    objects,
    postform,
    reading,
    tags,
    uploads,
)
from objectfs.sim.operations.context import Context
from objectfs.sim.route import BUCKET_DOCUMENTS

Handler = Callable[[Context], Response]

# Operations whose body is an object's content.
OBJECT_BODIES = frozenset(("PutObject", "UploadPart"))

HANDLERS: dict[str, Handler] = {
    "ListBuckets": buckets.list_buckets,
    "CreateBucket": buckets.create_bucket,
    "HeadBucket": buckets.head_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "GetBucketLocation": buckets.get_location,
    "GetBucketVersioning": documents.versioning,
    "PutBucketVersioning": documents.versioning,
    "GetBucketAcl": acl.bucket_acl,
    "PutBucketAcl": acl.bucket_acl,
    "GetBucketPolicy": documents.policy,
    "PutBucketPolicy": documents.policy,
    "DeleteBucketPolicy": documents.policy,
    "GetBucketPolicyStatus": documents.policy_status,
    "ListObjectsV2": listing.list_objects_v2,
    "ListObjects": listing.list_objects,
    "ListObjectVersions": listing.list_object_versions,
    "PutObject": objects.put_object,
    "PostObject": postform.post_object,
    "GetObject": reading.get_object,
    "HeadObject": reading.get_object,
    "GetObjectAttributes": reading.get_attributes,
    "DeleteObject": objects.delete_object,
    "DeleteObjects": objects.delete_objects,
    "CopyObject": copying.copy_object,
    "RenameObject": copying.rename_object,
    "RestoreObject": archive.restore,
    "GetObjectAcl": acl.object_acl,
    "PutObjectAcl": acl.object_acl,
    "GetObjectTagging": tags.tagging,
    "PutObjectTagging": tags.tagging,
    "DeleteObjectTagging": tags.tagging,
    "GetObjectRetention": lock.retention,
    "PutObjectRetention": lock.retention,
    "GetObjectLegalHold": lock.legal_hold,
    "PutObjectLegalHold": lock.legal_hold,
    "CreateMultipartUpload": multipart.create,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.upload_part_copy,
    "CompleteMultipartUpload": multipart.complete,
    "AbortMultipartUpload": multipart.abort,
    "ListParts": uploads.list_parts,
    "ListMultipartUploads": uploads.list_uploads,
}

# The other documents of a bucket have one handler.
_DELETABLE = ("cors", "encryption", "ownershipControls", "publicAccessBlock", "replication", "tagging", "website")
for _name in documents.DOCUMENTS:
    for _verb in ("Get", "Put", *(("Delete",) if _name in _DELETABLE else ())):
        HANDLERS[_verb + BUCKET_DOCUMENTS[_name]] = documents.document
HANDLERS["DeleteBucketLifecycle"] = documents.document
