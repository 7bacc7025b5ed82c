"""A user of boto3: clients, transfer manager, paginators, presigned URLs."""

from __future__ import annotations

import importlib.util
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
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
    VIRTUAL,
    data,
    done,
    open_url,
    raises,
    resolve_localhost,
    same,
)

resolve_localhost()


def connect(secret: str = SECRET_KEY, **options: object):
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=secret,
        verify=CA,
        config=Config(
            s3={"addressing_style": "virtual" if VIRTUAL else "path"},
            retries={"total_max_attempts": 1},
            max_pool_connections=16,
            **options,
        ),
    )


def code(act) -> tuple[int, str]:
    response = raises(ClientError, act).response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


s3 = connect()
B = {"Bucket": BUCKET}

# Buckets.
s3.create_bucket(**B)
s3.create_bucket(Bucket=f"{BUCKET}-2")
s3.get_waiter("bucket_exists").wait(**B, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
assert {BUCKET, f"{BUCKET}-2"} <= {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
same(s3.get_bucket_location(**B)["LocationConstraint"], None)
same(s3.head_bucket(**B)["ResponseMetadata"]["HTTPStatusCode"], 200)
s3.delete_bucket(Bucket=f"{BUCKET}-2")
same(code(lambda: s3.head_bucket(Bucket=f"{BUCKET}-2")), (404, "404"))

# Objects under every kind of key, and an empty one.
for key in KEYS:
    s3.put_object(**B, Key=key, Body=key.encode(), ContentType="text/plain; charset=utf-8")
    got = s3.get_object(**B, Key=key)
    same((got["Body"].read(), got["ContentType"]), (key.encode(), "text/plain; charset=utf-8"))
same([o["Key"] for o in s3.list_objects_v2(**B)["Contents"]], sorted(KEYS))
same([o["Key"] for o in s3.list_objects(**B)["Contents"]], sorted(KEYS))
s3.put_object(**B, Key="empty")
got = s3.get_object(**B, Key="empty")
same((got["Body"].read(), got["ContentLength"], got["ETag"]), (b"", 0, '"d41d8cd98f00b204e9800998ecf8427e"'))

# Headers, metadata, tags, overrides.
s3.put_object(
    **B,
    Key="meta",
    Body=b"x",
    Metadata={"owner": "me", "note": "two  words"},
    CacheControl="max-age=60",
    ContentDisposition='attachment; filename="x.txt"',
    ContentEncoding="gzip",
    ContentLanguage="de",
    Tagging="project=s3&empty=",
)
head = s3.head_object(**B, Key="meta")
same(head["Metadata"], {"owner": "me", "note": "two  words"})
same((head["CacheControl"], head["ContentEncoding"], head["ContentLanguage"]), ("max-age=60", "gzip", "de"))
same(head["ContentDisposition"], 'attachment; filename="x.txt"')
same(s3.get_object(**B, Key="meta", ResponseContentType="image/png")["ContentType"], "image/png")
tags = s3.get_object_tagging(**B, Key="meta")["TagSet"]
same(sorted((t["Key"], t["Value"]) for t in tags), [("empty", ""), ("project", "s3")])
s3.put_object_tagging(**B, Key="meta", Tagging={"TagSet": [{"Key": "ü k", "Value": "v=1"}]})
same(s3.get_object_tagging(**B, Key="meta")["TagSet"], [{"Key": "ü k", "Value": "v=1"}])

# The transfer manager: multipart up, ranged down, every checksum.
big = data(17 * MIB + 3)
transfer = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=6 * MIB, max_concurrency=4)
s3.upload_fileobj(io.BytesIO(big), BUCKET, "big", Config=transfer)
into = io.BytesIO()
s3.download_fileobj(BUCKET, "big", into, Config=transfer)
assert into.getvalue() == big
assert s3.head_object(**B, Key="big")["ETag"].endswith('-3"')
same(s3.get_object(**B, Key="big", PartNumber=3)["PartsCount"], 3)
path = Path(FOLDER) / "up.bin"
path.write_bytes(big[: 7 * MIB])
algorithms = ["CRC32", "SHA1", "SHA256"]
if importlib.util.find_spec("awscrt"):
    # boto3 leaves these to awscrt.
    algorithms += ["CRC32C", "CRC64NVME"]
for algorithm in algorithms:
    s3.upload_file(str(path), BUCKET, f"sum/{algorithm}", Config=transfer, ExtraArgs={"ChecksumAlgorithm": algorithm})
    s3.download_file(BUCKET, f"sum/{algorithm}", str(path.with_suffix(".down")), Config=transfer)
    assert path.with_suffix(".down").read_bytes() == path.read_bytes()
    put = s3.put_object(**B, Key="one", Body=b"checked", ChecksumAlgorithm=algorithm)
    got = s3.get_object(**B, Key="one", ChecksumMode="ENABLED")
    same((got["Body"].read(), got[f"Checksum{algorithm}"]), (b"checked", put[f"Checksum{algorithm}"]))
parts = s3.get_object_attributes(**B, Key="big", ObjectAttributes=["ObjectParts", "ObjectSize", "Checksum"])
same((parts["ObjectSize"], parts["ObjectParts"]["TotalPartsCount"]), (len(big), 3))

# Ranges and conditions.
for value, slice_ in (("bytes=0-0", slice(0, 1)), ("bytes=100-299", slice(100, 300)), ("bytes=-7", slice(-7, None))):
    got = s3.get_object(**B, Key="big", Range=value)
    same((got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()), (206, big[slice_]))
same(code(lambda: s3.get_object(**B, Key="big", Range=f"bytes={len(big)}-")), (416, "InvalidRange"))
etag = s3.head_object(**B, Key="meta")["ETag"]
same(s3.get_object(**B, Key="meta", IfMatch=etag)["Body"].read(), b"x")
same(code(lambda: s3.get_object(**B, Key="meta", IfMatch='"no"')), (412, "PreconditionFailed"))
same(code(lambda: s3.get_object(**B, Key="meta", IfNoneMatch=etag)), (304, "304"))
same(code(lambda: s3.put_object(**B, Key="meta", Body=b"y", IfNoneMatch="*")), (412, "PreconditionFailed"))
s3.put_object(**B, Key="fresh", Body=b"y", IfNoneMatch="*")

# Multipart by hand: parts out of order, listed, aborted.
upload = s3.create_multipart_upload(**B, Key="by hand/ü")["UploadId"]
U = {**B, "Key": "by hand/ü", "UploadId": upload}
two = s3.upload_part(**U, PartNumber=2, Body=b"tail")["ETag"]
one = s3.upload_part(**U, PartNumber=1, Body=big[: 5 * MIB])["ETag"]
copied = s3.upload_part_copy(**U, PartNumber=3, CopySource={**B, "Key": "meta"})["CopyPartResult"]["ETag"]
same([p["PartNumber"] for p in s3.list_parts(**U)["Parts"]], [1, 2, 3])
same([u["UploadId"] for u in s3.list_multipart_uploads(**B)["Uploads"]], [upload])
whole = {"Parts": [{"PartNumber": 1, "ETag": one}, {"PartNumber": 2, "ETag": two}, {"PartNumber": 3, "ETag": copied}]}
same(code(lambda: s3.complete_multipart_upload(**U, MultipartUpload=whole)), (400, "EntityTooSmall"))
short = {"Parts": [{"PartNumber": 1, "ETag": one}, {"PartNumber": 2, "ETag": two}]}
s3.complete_multipart_upload(**U, MultipartUpload=short)
same(s3.get_object(**B, Key="by hand/ü")["Body"].read(), big[: 5 * MIB] + b"tail")
upload = s3.create_multipart_upload(**B, Key="dropped")["UploadId"]
s3.abort_multipart_upload(**B, Key="dropped", UploadId=upload)
gone = code(lambda: s3.upload_part(**B, Key="dropped", UploadId=upload, PartNumber=1, Body=b"1"))
same(gone, (404, "NoSuchUpload"))

# Copies, in the bucket and of keys that need quoting.
for key in KEYS:
    s3.copy_object(**B, Key=f"copy/{key}", CopySource={**B, "Key": key})
    same(s3.get_object(**B, Key=f"copy/{key}")["Body"].read(), key.encode())
s3.copy_object(**B, Key="meta2", CopySource={**B, "Key": "meta"}, MetadataDirective="REPLACE", Metadata={"a": "b"})
same(s3.head_object(**B, Key="meta2")["Metadata"], {"a": "b"})
s3.copy({**B, "Key": "big"}, BUCKET, "big copy", Config=transfer)
assert s3.get_object(**B, Key="big copy")["Body"].read() == big

# More keys than a page has.
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda i: s3.put_object(**B, Key=f"many/{i % 7}/{i:05}", Body=b"."), range(1203)))
pages = list(s3.get_paginator("list_objects_v2").paginate(**B, Prefix="many/"))
same([len(page["Contents"]) for page in pages], [1000, 203])
keys = [o["Key"] for page in pages for o in page["Contents"]]
same(keys, sorted(f"many/{i % 7}/{i:05}" for i in range(1203)))
pages = list(s3.get_paginator("list_objects").paginate(**B, Prefix="many/", PaginationConfig={"PageSize": 400}))
same([o["Key"] for page in pages for o in page["Contents"]], keys)
pages = list(s3.get_paginator("list_objects_v2").paginate(**B, Prefix="many/", Delimiter="/", MaxKeys=3))
same([p["Prefix"] for page in pages for p in page["CommonPrefixes"]], [f"many/{i}/" for i in range(7)])
top = s3.list_objects_v2(**B, Delimiter="/", StartAfter="double//slash")
same([p["Prefix"] for p in top["CommonPrefixes"]], ["ends/", "many/", "sum/", "with space/", "ünï/"])

# Presigned URLs, opened by another client. Without s3v4 boto3 makes the old signature, which new buckets refuse.
url = s3.generate_presigned_url("get_object", Params={**B, "Key": "plain.txt"})
status, answer = open_url(url)
assert status == 400, answer
assert b"InvalidRequest" in answer
assert b"AWS4-HMAC-SHA256" in answer
v4 = connect(signature_version="s3v4")
url = v4.generate_presigned_url("get_object", Params={**B, "Key": KEYS[3], "ResponseContentType": "text/css"})
same(open_url(url), (200, KEYS[3].encode()))
same(open_url(url.replace("X-Amz-Signature=", "X-Amz-Signature=0"))[0], 403)
url = v4.generate_presigned_url(
    "put_object", Params={**B, "Key": "pre signed", "ContentType": "application/octet-stream"}
)
same(open_url(url, "PUT", b"by url")[0], 200)
same(s3.get_object(**B, Key="pre signed")["Body"].read(), b"by url")

# Errors.
same(code(lambda: s3.get_object(**B, Key="missing")), (404, "NoSuchKey"))
same(code(lambda: s3.head_object(**B, Key="missing")), (404, "404"))
same(code(lambda: s3.get_object(Bucket="no-such-bucket", Key="k")), (404, "NoSuchBucket"))
same(code(lambda: connect("wrong").list_objects_v2(**B)), (403, "SignatureDoesNotMatch"))
same(code(lambda: connect("wrong").put_object(**B, Key="k", Body=b"1")), (403, "SignatureDoesNotMatch"))
same(code(lambda: s3.delete_bucket(**B)), (409, "BucketNotEmpty"))

# Deleting one, many, and what is not there.
s3.delete_object(**B, Key="missing")
s3.delete_object(**B, Key="fresh")
keys = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(**B) for o in page["Contents"]]
for start in range(0, len(keys), 1000):
    objects = [{"Key": key} for key in keys[start : start + 1000]]
    same(len(s3.delete_objects(**B, Delete={"Objects": objects})["Deleted"]), len(objects))
assert "Contents" not in s3.list_objects_v2(**B)
s3.delete_bucket(**B)
done(f"boto3 {boto3.__version__}")
