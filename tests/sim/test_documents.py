"""Sub-resource documents of buckets, and ACLs: absent, refused, kept, deleted, on both stores."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectfs.sim import S3Server

from .conftest import Wire, connect
from .test_buckets import POLICY, fails

B = {"Bucket": "bucket"}
K = {"Bucket": "bucket", "Key": "k"}
BAD = (400, "MalformedXML")

CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://*.example.com"], "MaxAgeSeconds": 5}]}
LIFECYCLE = {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "a"}, "Expiration": {"Days": 1}}]}
TAGS = {"TagSet": [{"Key": "a", "Value": "b"}]}
WEBSITE = {"IndexDocument": {"Suffix": "index.html"}}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}

# Name in boto3, argument, document, what a get says before; how it is deleted.
KINDS = [
    ("cors", "CORSConfiguration", CORS, "NoSuchCORSConfiguration", "delete_bucket_cors"),
    (
        "lifecycle_configuration",
        "LifecycleConfiguration",
        LIFECYCLE,
        "NoSuchLifecycleConfiguration",
        "delete_bucket_lifecycle",
    ),
    ("tagging", "Tagging", TAGS, "NoSuchTagSet", "delete_bucket_tagging"),
    ("website", "WebsiteConfiguration", WEBSITE, "NoSuchWebsiteConfiguration", "delete_bucket_website"),
    (
        "ownership_controls",
        "OwnershipControls",
        OWNERSHIP,
        "OwnershipControlsNotFoundError",
        "delete_bucket_ownership_controls",
    ),
]


@pytest.mark.parametrize(("name", "argument", "document", "absent", "delete"), KINDS, ids=[kind[0] for kind in KINDS])
def test_absent_put_deleted(s3: Any, name: str, argument: str, document: Any, absent: str, delete: str) -> None:
    get, put = getattr(s3, f"get_bucket_{name}"), getattr(s3, f"put_bucket_{name}")
    assert fails(get, **B) == (404, absent)
    put(**B, **{argument: document})
    found = get(**B)
    assert document.items() <= found.items() or found[argument] == document
    getattr(s3, delete)(**B)
    assert fails(get, **B) == (404, absent)
    getattr(s3, delete)(**B)  # again is no error


def test_public_access_block(s3: Any) -> None:
    assert fails(s3.get_public_access_block, **B) == (404, "NoSuchPublicAccessBlockConfiguration")
    s3.put_public_access_block(**B, PublicAccessBlockConfiguration=BLOCK)
    assert s3.get_public_access_block(**B)["PublicAccessBlockConfiguration"] == BLOCK
    s3.delete_public_access_block(**B)
    assert fails(s3.get_public_access_block, **B) == (404, "NoSuchPublicAccessBlockConfiguration")


def test_documents_that_are_always_there(s3: Any) -> None:
    assert "Status" not in s3.get_bucket_accelerate_configuration(**B)
    s3.put_bucket_accelerate_configuration(**B, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(**B)["Status"] == "Enabled"
    assert s3.get_bucket_request_payment(**B)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(**B, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(**B)["Payer"] == "Requester"
    assert "LoggingEnabled" not in s3.get_bucket_logging(**B)
    logging = {"LoggingEnabled": {"TargetBucket": "bucket", "TargetPrefix": "log/"}}
    s3.put_bucket_logging(**B, BucketLoggingStatus=logging)
    assert s3.get_bucket_logging(**B)["LoggingEnabled"] == logging["LoggingEnabled"]
    events = [{"QueueArn": "arn:aws:sqs:us-east-1:123456789012:q", "Events": ["s3:ObjectCreated:*"]}]
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(**B)
    s3.put_bucket_notification_configuration(**B, NotificationConfiguration={"QueueConfigurations": events})
    assert s3.get_bucket_notification_configuration(**B)["QueueConfigurations"] == events


def test_replication_needs_versions(s3: Any) -> None:
    rule = {"Status": "Enabled", "Prefix": "", "Destination": {"Bucket": "arn:aws:s3:::other"}}
    replication = {"Role": "arn:aws:iam::123456789012:role/r", "Rules": [rule]}
    assert fails(s3.get_bucket_replication, **B) == (404, "ReplicationConfigurationNotFoundError")
    assert fails(s3.put_bucket_replication, **B, ReplicationConfiguration=replication) == (400, "InvalidRequest")
    s3.put_bucket_versioning(**B, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_replication(**B, ReplicationConfiguration=replication)
    assert s3.get_bucket_replication(**B)["ReplicationConfiguration"]["Role"] == replication["Role"]


@pytest.mark.parametrize(
    ("query", "document", "code"),
    [
        ("cors", "<CORSConfiguration/>", "MalformedXML"),
        ("cors", "<Wrong/>", "MalformedXML"),
        ("cors", "<CORSConfiguration><CORSRule>", "MalformedXML"),
        ("cors", "", "MissingRequestBodyError"),
        (
            "cors",
            "<CORSConfiguration><CORSRule><AllowedMethod>PATCH</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"
            "</CORSRule></CORSConfiguration>",
            "InvalidRequest",
        ),
        ("lifecycle", "<LifecycleConfiguration/>", "MalformedXML"),
        (
            "lifecycle",
            "<LifecycleConfiguration><Rule><Status>Enabled</Status><Prefix/></Rule></LifecycleConfiguration>",
            "InvalidRequest",
        ),
        (
            "lifecycle",
            "<LifecycleConfiguration><Rule><Status>On</Status><Prefix/><Expiration><Days>1</Days></Expiration></Rule>"
            "</LifecycleConfiguration>",
            "MalformedXML",
        ),
        ("tagging", "<Tagging/>", "MalformedXML"),
        ("tagging", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "MalformedXML"),
        (
            "tagging",
            "<Tagging><TagSet><Tag><Key>aws:x</Key><Value/></Tag></TagSet></Tagging>",
            "InvalidTag",
        ),
        ("encryption", "<ServerSideEncryptionConfiguration/>", "MalformedXML"),
        ("website", "<WebsiteConfiguration/>", "InvalidArgument"),
        ("ownershipControls", "<OwnershipControls><Rule/></OwnershipControls>", "MalformedXML"),
        ("versioning", "<VersioningConfiguration/>", "IllegalVersioningConfigurationException"),
        ("requestPayment", "<RequestPaymentConfiguration><Payer>Nobody</Payer></RequestPaymentConfiguration>", None),
        ("accelerate", "<AccelerateConfiguration><Status>x</Status></AccelerateConfiguration>", "MalformedXML"),
        ("policy", "no json", "MalformedPolicy"),
        ("policy", "[]", "MalformedPolicy"),
        ("policy", '{"Statement": []}', "MalformedPolicy"),
        ("policy", POLICY.replace(":::bucket", ":::other"), "MalformedPolicy"),
        ("policy", POLICY.replace("Allow", "Perhaps"), "MalformedPolicy"),
        ("policy", POLICY.replace("2012", "2013"), "MalformedPolicy"),
        ("policy", POLICY.replace("s3:GetObject", "ec2:RunInstances"), "MalformedPolicy"),
        ("acl", "<AccessControlPolicy/>", "MalformedACLError"),
        ("acl", "", "MissingSecurityHeader"),
        ("object-lock", "<ObjectLockConfiguration/>", "MalformedXML"),
    ],
)
def test_malformed_documents(wire: Callable[[], Wire], query: str, document: str, code: str | None) -> None:
    head = f"PUT /bucket?{query} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(document)}\r\nx-amz-checksum-crc32: "
    checksum = base64.b64encode(zlib.crc32(document.encode()).to_bytes(4, "big")).decode()
    status, _, body = wire().send(f"{head}{checksum}\r\n\r\n{document}".encode()).response()
    assert status == 400
    assert f"<Code>{code or 'MalformedXML'}</Code>".encode() in body
    status, _, body = wire().send(f"GET /bucket?{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode()).response()
    assert document.encode() not in body or not document


@pytest.mark.parametrize("query", ["accelerate", "acl", "logging", "notification", "versioning", "object-lock"])
def test_what_cannot_be_deleted(wire: Callable[[], Wire], query: str) -> None:
    status, _, body = wire().send(f"DELETE /bucket?{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode()).response()
    assert (status, b"<Code>MethodNotAllowed</Code>" in body) == (405, True)


def test_lifecycle_must_bring_a_digest(wire: Callable[[], Wire]) -> None:
    document = (
        b"<LifecycleConfiguration><Rule><Status>Enabled</Status><Prefix/><Expiration><Days>1</Days></Expiration>"
        b"</Rule></LifecycleConfiguration>"
    )
    head = f"PUT /bucket?lifecycle HTTP/1.1\r\nHost: h\r\nContent-Length: {len(document)}\r\n\r\n".encode()
    status, _, body = wire().send(head + document).response()
    assert (status, b"Content-MD5" in body) == (400, True)


def test_policy_and_its_status(s3: Any) -> None:
    assert fails(s3.get_bucket_policy_status, **B) == (404, "NoSuchBucketPolicy")
    s3.put_bucket_policy(**B, Policy=POLICY)
    assert s3.get_bucket_policy_status(**B)["PolicyStatus"]["IsPublic"] is True
    s3.put_bucket_policy(**B, Policy=POLICY.replace('"*"', '{"AWS": "arn:aws:iam::123456789012:root"}'))
    assert s3.get_bucket_policy_status(**B)["PolicyStatus"]["IsPublic"] is False
    assert json.loads(s3.get_bucket_policy(**B)["Policy"])["Version"] == "2012-10-17"


def grants(answer: Any) -> list[tuple[str, str]]:
    """Who (the last part of a group's address, or "owner") may what."""
    owner = answer["Owner"]["ID"]
    return [
        (
            grant["Grantee"]["URI"].rpartition("/")[2]
            if grant["Grantee"]["Type"] == "Group"
            else "owner"
            if grant["Grantee"]["ID"] == owner
            else "other",
            grant["Permission"],
        )
        for grant in answer["Grants"]
    ]


OWNER = ("owner", "FULL_CONTROL")


@pytest.mark.parametrize(
    ("canned", "expected"),
    [
        ("private", [OWNER]),
        ("public-read", [OWNER, ("AllUsers", "READ")]),
        ("public-read-write", [OWNER, ("AllUsers", "READ"), ("AllUsers", "WRITE")]),
        ("authenticated-read", [OWNER, ("AuthenticatedUsers", "READ")]),
        ("bucket-owner-full-control", [OWNER]),
    ],
)
def test_canned_acls(s3: Any, canned: str, expected: list[tuple[str, str]]) -> None:
    s3.put_object(**K, Body=b"", ACL=canned)
    assert grants(s3.get_object_acl(**K)) == expected
    s3.put_object(**K, Body=b"")
    assert grants(s3.get_object_acl(**K)) == [OWNER]
    s3.put_object_acl(**K, ACL=canned)
    assert grants(s3.get_object_acl(**K)) == expected
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k")  # a copy does not copy the ACL
    assert grants(s3.get_object_acl(Bucket="bucket", Key="copy")) == [OWNER]
    upload = s3.create_multipart_upload(**K, ACL=canned)["UploadId"]
    etag = s3.upload_part(**K, UploadId=upload, PartNumber=1, Body=b"")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**K, UploadId=upload, MultipartUpload=parts)
    assert grants(s3.get_object_acl(**K)) == expected


def test_acls_from_grants_and_documents(s3: Any) -> None:
    s3.put_object(**K, Body=b"")
    other = "0" * 64
    s3.put_object_acl(**K, GrantRead=f'id="{other}"', GrantFullControl=f"id={other}")
    assert sorted(grants(s3.get_object_acl(**K))) == [("other", "FULL_CONTROL"), ("other", "READ")]
    owner = s3.get_object_acl(**K)["Owner"]
    grant = {"Grantee": {"Type": "CanonicalUser", "ID": owner["ID"]}, "Permission": "READ_ACP"}
    s3.put_object_acl(**K, AccessControlPolicy={"Owner": owner, "Grants": [grant]})
    assert grants(s3.get_object_acl(**K)) == [("owner", "READ_ACP")]
    bad = {**grant, "Permission": "FLY"}
    assert fails(s3.put_object_acl, **K, AccessControlPolicy={"Owner": owner, "Grants": [bad]}) == (
        400,
        "MalformedACLError",
    )
    stranger = {"Owner": {"ID": other}, "Grants": [grant]}
    assert fails(s3.put_object_acl, **K, AccessControlPolicy=stranger) == (403, "AccessDenied")
    assert fails(s3.put_object_acl, **K, ACL="public") == (400, "InvalidArgument")
    assert fails(s3.put_object_acl, **K, ACL="private", GrantRead=f"id={other}") == (400, "InvalidRequest")
    mail = "emailAddress=a@example.com"
    assert fails(s3.put_object_acl, **K, GrantRead=mail) == (400, "UnresolvableGrantByEmailAddress")
    assert fails(s3.put_object_acl, Bucket="bucket", Key="none", ACL="private") == (404, "NoSuchKey")


def test_acl_of_a_bucket(s3: Any) -> None:
    assert grants(s3.get_bucket_acl(**B)) == [OWNER]
    s3.put_bucket_acl(**B, ACL="log-delivery-write")
    assert grants(s3.get_bucket_acl(**B)) == [OWNER, ("LogDelivery", "WRITE"), ("LogDelivery", "READ_ACP")]
    s3.put_bucket_acl(**B, ACL="private")
    assert grants(s3.get_bucket_acl(**B)) == [OWNER]
    s3.create_bucket(Bucket="open", ACL="public-read")
    assert grants(s3.get_bucket_acl(Bucket="open")) == [OWNER, ("AllUsers", "READ")]


def test_buckets_without_acls(s3: Any) -> None:
    s3.create_bucket(Bucket="modern", ObjectOwnership="BucketOwnerEnforced")
    call = {"Bucket": "modern", "Key": "k", "Body": b""}
    assert fails(s3.put_object, **call, ACL="public-read") == (400, "AccessControlListNotSupported")
    assert fails(s3.put_bucket_acl, Bucket="modern", ACL="public-read") == (400, "AccessControlListNotSupported")
    s3.put_object(**call, ACL="bucket-owner-full-control")


def test_documents_survive_a_restart(tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        s3.put_bucket_cors(**B, CORSConfiguration=CORS)
        s3.put_bucket_acl(**B, ACL="public-read")
        s3.create_bucket(Bucket="away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.close()
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        assert s3.get_bucket_cors(**B)["CORSRules"] == CORS["CORSRules"]
        assert len(s3.get_bucket_acl(**B)["Grants"]) == 2
        assert s3.get_bucket_location(Bucket="away")["LocationConstraint"] == "eu-west-1"
        s3.close()
