"""A user of obstore: Rust's object_store behind Python functions."""

from __future__ import annotations

import io
import os
from datetime import timedelta

import obstore
from common import (
    ACCESS_KEY,
    BUCKET,
    CA,
    ENDPOINT,
    KEYS,
    MIB,
    PORT,
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
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, PreconditionError
from obstore.store import S3Store

if CA:
    os.environ["SSL_CERT_FILE"] = CA


def connect(secret: str = SECRET_KEY, bucket: str = BUCKET) -> S3Store:
    options = {"allow_http": True}
    endpoint = ENDPOINT
    if VIRTUAL:
        # The endpoint includes the bucket then. Its name resolves by way of a proxy, which the server is as well.
        endpoint = ENDPOINT.replace("://", f"://{bucket}.")
        options["proxy_url"] = f"http://127.0.0.1:{PORT}"
    return S3Store(
        bucket,
        endpoint=endpoint,
        region=REGION,
        access_key_id=ACCESS_KEY,
        secret_access_key=secret,
        virtual_hosted_style_request=VIRTUAL,
        client_options=options,
        retry_config={"max_retries": 0},
    )


def read(key: str, **options) -> bytes:
    return bytes(obstore.get(store, key, options=options).bytes())


def listed(prefix: str | None = None, **options) -> list[str]:
    return [entry["path"] for chunk in obstore.list(store, prefix, **options) for entry in chunk]


store = connect()

# This client has paths, not keys: it has no empty segments, and no slash at the ends.
keys = [key for key in KEYS if "//" not in key and not key.endswith("/")]
for key in keys:
    obstore.put(store, key, key.encode())
    same(read(key), key.encode())
    same(obstore.head(store, key)["path"], key)
same(sorted(listed()), sorted(keys))
obstore.put(store, "empty", b"")
same(read("empty"), b"")

obstore.put(store, "meta", b"x", attributes={"Content-Type": "text/css", "Cache-Control": "max-age=60", "owner": "me"})
got = obstore.get(store, "meta").attributes
same((got["Content-Type"], got["Cache-Control"], got["owner"]), ("text/css", "max-age=60", "me"))
obstore.put(store, "tagged", b"x", tags={"project": "s3"})

big = data(17 * MIB + 3)
obstore.put(store, "big", io.BytesIO(big), use_multipart=True, chunk_size=5 * MIB)
assert read("big") == big
with obstore.open_writer(store, "written", buffer_size=5 * MIB) as writer:
    for start in range(0, len(big), MIB):
        writer.write(big[start : start + MIB])
assert read("written") == big
same(read("big", range=(100, 300)), big[100:300])
same(read("big", range={"offset": len(big) - 7}), big[-7:])
same(read("big", range={"suffix": 7}), big[-7:])
parts = obstore.get_ranges(store, "big", starts=[0, 5 * MIB, 16 * MIB], ends=[10, 5 * MIB + 10, 17 * MIB])
same([bytes(part) for part in parts], [big[:10], big[5 * MIB : 5 * MIB + 10], big[16 * MIB : 17 * MIB]])
reader = obstore.open_reader(store, "big")
reader.seek(6 * MIB)
same(bytes(reader.read(11)), big[6 * MIB : 6 * MIB + 11])

# Conditional writes.
raises(AlreadyExistsError, lambda: obstore.put(store, "meta", b"y", mode="create"))
obstore.put(store, "fresh", b"1", mode="create")
version = obstore.head(store, "fresh")
obstore.put(store, "fresh", b"2", mode={"e_tag": version["e_tag"]})
raises(PreconditionError, lambda: obstore.put(store, "fresh", b"3", mode={"e_tag": version["e_tag"]}))
raises(PreconditionError, lambda: read("fresh", if_match='"no"'))

for key in keys:
    obstore.copy(store, key, f"copy/{key}")
    same(read(f"copy/{key}"), key.encode())
obstore.rename(store, "fresh", "renamed")
same(read("renamed"), b"2")
raises(FileNotFoundError, lambda: obstore.head(store, "fresh"))

for number in range(1050):
    obstore.put(store, f"many/{number % 3}/{number:05}", b".")
same(listed("many/"), sorted(f"many/{n % 3}/{n:05}" for n in range(1050)))
same(obstore.list_with_delimiter(store, "many/")["common_prefixes"], ["many/0", "many/1", "many/2"])
same(listed("many/0/", offset="many/0/01040"), ["many/0/01041", "many/0/01044", "many/0/01047"])

resolve_localhost()
url = obstore.sign(store, "GET", keys[3], timedelta(minutes=5))
same(open_url(url), (200, keys[3].encode()))
same(open_url(obstore.sign(store, "PUT", "pre signed", timedelta(minutes=5)), "PUT", b"by url")[0], 200)
same(read("pre signed"), b"by url")

raises(FileNotFoundError, lambda: read("missing"))
raises((PermissionDeniedError, GenericError), lambda: obstore.list_with_delimiter(connect("wrong")))
raises((FileNotFoundError, GenericError), lambda: obstore.list_with_delimiter(connect(bucket="no-such-bucket")))

obstore.delete(store, "meta")
obstore.delete(store, listed())
same(listed(), [])
done(f"obstore {obstore.__version__}")
