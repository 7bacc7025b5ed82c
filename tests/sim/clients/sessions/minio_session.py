"""A user of MinIO's Python client, which has a signer, an XML parser and a multipart uploader of its own."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import minio
import urllib3
from common import (
    ACCESS_KEY,
    BUCKET,
    CA,
    ENDPOINT,
    FOLDER,
    KEYS,
    MIB,
    REGION,
    SECRET_KEY,
    TLS,
    VIRTUAL,
    data,
    done,
    open_url,
    raises,
    resolve_localhost,
    same,
)
from minio import Minio
from minio.commonconfig import REPLACE, ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

resolve_localhost()


def connect(secret: str = SECRET_KEY) -> Minio:
    http = urllib3.PoolManager(ca_certs=CA, retries=False, maxsize=8)
    client = Minio(
        endpoint=ENDPOINT.partition("://")[2],
        access_key=ACCESS_KEY,
        secret_key=secret,
        secure=TLS,
        region=REGION,
        http_client=http,
    )
    (client.enable_virtual_style_endpoint if VIRTUAL else client.disable_virtual_style_endpoint)()
    return client


def put(key: str, body: bytes, **options):
    return client.put_object(bucket_name=BUCKET, object_name=key, data=io.BytesIO(body), length=len(body), **options)


def read(key: str, **options) -> bytes:
    answer = client.get_object(bucket_name=BUCKET, object_name=key, **options)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def names(**options) -> list[str]:
    return [entry.object_name for entry in client.list_objects(bucket_name=BUCKET, **options)]


client = connect()

assert not client.bucket_exists(bucket_name=BUCKET)
client.make_bucket(bucket_name=BUCKET)
assert client.bucket_exists(bucket_name=BUCKET)
assert BUCKET in [bucket.name for bucket in client.list_buckets()]

# This client normalises slashes in paths like a file system's: a//b and its kin are refused or rewritten by it.
for key in KEYS:
    put(key, key.encode(), content_type="text/plain")
    same(read(key), key.encode())
same(sorted(names(recursive=True)), sorted(KEYS))
put("empty", b"")
same(read("empty"), b"")

put("meta", b"x", metadata={"owner": "me", "note": "two words"})
stat = client.stat_object(bucket_name=BUCKET, object_name="meta")
same((stat.metadata["x-amz-meta-owner"], stat.metadata["x-amz-meta-note"], stat.size), ("me", "two words", 1))
tags = Tags.new_object_tags()
tags["ü k"] = "v=1"
client.set_object_tags(bucket_name=BUCKET, object_name="meta", tags=tags)
same(dict(client.get_object_tags(bucket_name=BUCKET, object_name="meta")), {"ü k": "v=1"})
client.delete_object_tags(bucket_name=BUCKET, object_name="meta")
same(client.get_object_tags(bucket_name=BUCKET, object_name="meta"), None)

big = data(17 * MIB + 3)
put("big", big, part_size=6 * MIB)
same(read("big") == big, True)
assert client.stat_object(bucket_name=BUCKET, object_name="big").etag.endswith("-3")
# Of unknown length, which this client uploads in parts.
client.put_object(
    bucket_name=BUCKET, object_name="stream", data=io.BytesIO(big[: 11 * MIB]), length=-1, part_size=5 * MIB
)
same(read("stream") == big[: 11 * MIB], True)
same(read("big", offset=100, length=200), big[100:300])
path = Path(FOLDER) / "file.bin"
path.write_bytes(big[: 6 * MIB])
client.fput_object(bucket_name=BUCKET, object_name="from file", file_path=str(path))
client.fget_object(bucket_name=BUCKET, object_name="from file", file_path=str(path.with_suffix(".down")))
same(path.with_suffix(".down").read_bytes() == path.read_bytes(), True)

for key in KEYS:
    client.copy_object(
        bucket_name=BUCKET, object_name=f"copy/{key}", source=CopySource(bucket_name=BUCKET, object_name=key)
    )
    same(read(f"copy/{key}"), key.encode())
client.copy_object(
    bucket_name=BUCKET,
    object_name="meta2",
    source=CopySource(bucket_name=BUCKET, object_name="meta"),
    metadata={"a": "b"},
    metadata_directive=REPLACE,
)
same(client.stat_object(bucket_name=BUCKET, object_name="meta2").metadata["x-amz-meta-a"], "b")
client.compose_object(
    bucket_name=BUCKET,
    object_name="composed",
    sources=[
        ComposeSource(bucket_name=BUCKET, object_name="big"),
        ComposeSource(bucket_name=BUCKET, object_name="meta"),
    ],
)
same(read("composed") == big + b"x", True)

for number in range(1050):
    put(f"many/{number % 3}/{number:05}", b".")
same(names(prefix="many/", recursive=True), sorted(f"many/{n % 3}/{n:05}" for n in range(1050)))
same(names(prefix="many/"), ["many/0/", "many/1/", "many/2/"])
same(names(prefix="many/0/", start_after="many/0/01040"), ["many/0/01041", "many/0/01044", "many/0/01047"])

url = client.presigned_get_object(bucket_name=BUCKET, object_name=KEYS[3], expires=timedelta(minutes=5))
same(open_url(url), (200, KEYS[3].encode()))
url = client.presigned_put_object(bucket_name=BUCKET, object_name="pre signed")
same(open_url(url, "PUT", b"by url")[0], 200)
same(read("pre signed"), b"by url")

same(raises(S3Error, lambda: read("missing")).code, "NoSuchKey")
same(raises(S3Error, lambda: client.stat_object(bucket_name=BUCKET, object_name="missing")).code, "NoSuchKey")
same(raises(S3Error, lambda: list(connect("wrong").list_objects(bucket_name=BUCKET))).code, "SignatureDoesNotMatch")
same(raises(S3Error, lambda: client.remove_bucket(bucket_name=BUCKET)).code, "BucketNotEmpty")
missing = raises(S3Error, lambda: list(client.list_objects(bucket_name="no-such-bucket")))
same(missing.code, "NoSuchBucket")

client.remove_object(bucket_name=BUCKET, object_name="missing")
client.remove_object(bucket_name=BUCKET, object_name="meta2")
keys = names(recursive=True)
same(list(client.remove_objects(bucket_name=BUCKET, delete_object_list=[DeleteObject(name=key) for key in keys])), [])
same(names(recursive=True), [])
client.remove_bucket(bucket_name=BUCKET)
done(f"minio {minio.__version__}")
