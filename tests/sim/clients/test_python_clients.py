"""Sessions of clients that are Python packages: each is a script in ``sessions``, run by a process of its own."""

from __future__ import annotations

import subprocess

import pytest

from .conftest import SESSIONS, Site, need_module, python

SECONDS = 120

on = pytest.mark.parametrize
ANY_STYLE = on("site", ["http-path-memory", "https-virtual-directory"], indirect=True)
# Rust and C resolve names themselves: bucket.s3.localhost only by way of a proxy, which is for plain HTTP.
BY_PROXY = on("site", ["http-virtual-memory", "https-path-directory"], indirect=True)
PATH_STYLE = on("site", ["http-path-memory", "https-path-directory"], indirect=True)

PUT_GET_LIST = {"PutObject", "GetObject", "ListObjectsV2", "DeleteObject"}
MULTIPART = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}


def run(site: Site, name: str) -> str:
    """Run a session to its last line, which it returns."""
    result = subprocess.run(
        [python(), str(SESSIONS / f"{name}_session.py")],
        env=site.environment(),
        cwd=site.folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    output = (result.stdout + result.stderr)[-6000:]
    assert result.returncode == 0, output
    assert result.stdout.splitlines()[-1].startswith("done: "), output
    return result.stdout.splitlines()[-1]


@ANY_STYLE
def test_boto3(site: Site) -> None:
    need_module("boto3")
    run(site, "boto3")
    assert site.operations() >= PUT_GET_LIST | MULTIPART | {
        "AbortMultipartUpload",
        "CopyObject",
        "CreateBucket",
        "DeleteBucket",
        "DeleteObjects",
        "GetBucketLocation",
        "GetObjectAttributes",
        "GetObjectTagging",
        "HeadBucket",
        "HeadObject",
        "ListBuckets",
        "ListMultipartUploads",
        "ListObjects",
        "ListParts",
        "PutObjectTagging",
        "UploadPartCopy",
    }
    assert site.errors() == {
        "BucketNotEmpty",
        "EntityTooSmall",
        "InvalidRange",
        "InvalidRequest",
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchUpload",
        "NotModified",
        "PreconditionFailed",
        "SignatureDoesNotMatch",
    }
    # Bodies were really sent in chunks with trailing checksums where TLS makes boto3 do so.
    chunked = [r for r in site.server.requests if "x-amz-trailer" in r.headers]
    assert bool(chunked) == site.server.tls


@ANY_STYLE
def test_minio(site: Site) -> None:
    need_module("minio")
    run(site, "minio")
    assert site.operations() >= PUT_GET_LIST | MULTIPART | {
        "CopyObject",
        "DeleteObjects",
        "DeleteObjectTagging",
        "HeadBucket",
        "HeadObject",
        "UploadPartCopy",
    }
    assert site.errors() == {"BucketNotEmpty", "NoSuchBucket", "NoSuchKey", "SignatureDoesNotMatch"}


@BY_PROXY
def test_obstore(site: Site) -> None:
    need_module("obstore")
    site.server.store.create_bucket("session-bucket")
    run(site, "obstore")
    assert site.operations() >= (PUT_GET_LIST - {"DeleteObject"}) | MULTIPART | {
        "CopyObject",
        "DeleteObjects",
        "HeadObject",
    }
    assert site.errors() == {"NoSuchBucket", "NoSuchKey", "PreconditionFailed", "SignatureDoesNotMatch"}


@PATH_STYLE
def test_awscrt(site: Site) -> None:
    need_module("awscrt")
    run(site, "awscrt")
    assert site.operations() >= PUT_GET_LIST | MULTIPART | {"CopyObject", "CreateBucket", "HeadBucket", "HeadObject"}
    assert site.errors() == {"InvalidRange", "NoSuchKey", "PreconditionFailed", "SignatureDoesNotMatch"}


@PATH_STYLE
def test_s3torchconnector(site: Site) -> None:
    need_module("s3torchconnector")
    site.server.store.create_bucket("session-bucket")
    run(site, "s3torchconnector")
    assert site.operations() >= MULTIPART | {"GetObject", "HeadObject", "ListObjectsV2"}
    assert site.errors() == {"InvalidRange", "NoSuchBucket", "NoSuchKey", "SignatureDoesNotMatch"}
