"""A user of awscrt: the S3 client of AWS's common runtime, which splits transfers, with requests made by hand."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

import awscrt
from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientBootstrap, ClientTlsContext, DefaultHostResolver, EventLoopGroup, TlsContextOptions
from awscrt.s3 import (
    S3ChecksumAlgorithm,
    S3ChecksumConfig,
    S3ChecksumLocation,
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    S3ResponseError,
    create_default_s3_signing_config,
)
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
    data,
    done,
    raises,
    same,
)

HOST = ENDPOINT.partition("://")[2]
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def connect(secret: str = SECRET_KEY) -> S3Client:
    group = EventLoopGroup(2)
    tls = None
    if TLS:
        options = TlsContextOptions()
        options.override_default_trust_store_from_path(None, CA)
        tls = ClientTlsContext(options).new_connection_options()
    provider = AwsCredentialsProvider.new_static(ACCESS_KEY, secret)
    return S3Client(
        bootstrap=ClientBootstrap(group, DefaultHostResolver(group)),
        region=REGION,
        tls_mode=S3RequestTlsMode.ENABLED if TLS else S3RequestTlsMode.DISABLED,
        tls_connection_options=tls,
        part_size=5 * MIB,
        multipart_upload_threshold=6 * MIB,
        signing_config=create_default_s3_signing_config(region=REGION, credential_provider=provider),
    )


class Answer:
    """The outcome of one request: headers and body, in order."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.pieces: dict[int, bytes] = {}
        self.lock = threading.Lock()

    def on_headers(self, status_code: int, headers: list[tuple[str, str]], **_: object) -> None:
        self.headers = {name.lower(): value for name, value in headers}

    def on_body(self, chunk: bytes, offset: int, **_: object) -> None:
        with self.lock:
            self.pieces[offset] = bytes(chunk)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces[offset] for offset in sorted(self.pieces))


def call(method: str, path: str, body: bytes | None = None, *, s3: S3Client | None = None, **options) -> Answer:
    headers = HttpHeaders([("host", HOST), *options.pop("headers", [])])
    stream = None
    if body is not None:
        headers.add("content-length", str(len(body)))
        stream = io.BytesIO(body)
    answer = Answer()
    request = (s3 or client).make_request(
        type=options.pop("type", S3RequestType.DEFAULT),
        request=HttpRequest(method, path, headers, stream),
        on_headers=answer.on_headers,
        on_body=answer.on_body,
        **options,
    )
    request.finished_future.result(60)
    return answer


def path_of(key: str) -> str:
    return f"/{BUCKET}/{quote(key, safe='/~')}"


def put(key: str, body: bytes, **options) -> Answer:
    return call("PUT", path_of(key), body, type=S3RequestType.PUT_OBJECT, **options)


def get(key: str, **options) -> Answer:
    return call("GET", path_of(key), type=S3RequestType.GET_OBJECT, **options)


def error(act) -> tuple[int, str]:
    raised = raises(S3ResponseError, act)
    return raised.status_code, (raised.body or b"").decode().partition("<Code>")[2].partition("<")[0]


client = connect()

call("PUT", f"/{BUCKET}", operation_name="CreateBucket")
call("HEAD", f"/{BUCKET}", operation_name="HeadBucket")

for key in KEYS:
    put(key, key.encode())
    same(get(key).body, key.encode())
put("empty", b"")
same(get("empty").body, b"")

# Large: parts up, ranges down; with a checksum in each place, which is verified on the way down.
big = data(17 * MIB + 3)
put("big", big)
assert get("big").body == big
for algorithm in (S3ChecksumAlgorithm.CRC32, S3ChecksumAlgorithm.CRC32C, S3ChecksumAlgorithm.CRC64NVME,
                  S3ChecksumAlgorithm.SHA1, S3ChecksumAlgorithm.SHA256):  # fmt: skip
    for location in (S3ChecksumLocation.TRAILER, S3ChecksumLocation.HEADER):
        checksum = S3ChecksumConfig(algorithm=algorithm, location=location)
        for name, body in ((f"sum/{algorithm.name}", big), (f"small/{algorithm.name}", b"checked")):
            put(name, body, checksum_config=checksum)
            answer = get(name, checksum_config=S3ChecksumConfig(validate_response=True))
            assert answer.body == body, name

path = Path(FOLDER) / "up.bin"
path.write_bytes(big)
headers = HttpHeaders([("host", HOST), ("content-length", str(len(big)))])
request = HttpRequest("PUT", path_of("from file"), headers)
client.make_request(type=S3RequestType.PUT_OBJECT, request=request, send_filepath=str(path)).finished_future.result(60)
request = HttpRequest("GET", path_of("from file"), HttpHeaders([("host", HOST)]))
down = str(path.with_suffix(".down"))
client.make_request(type=S3RequestType.GET_OBJECT, request=request, recv_filepath=down).finished_future.result(60)
assert Path(down).read_bytes() == big

# Ranges: one request, and one that is split.
same(get("big", headers=[("range", "bytes=100-299")]).body, big[100:300])
assert get("big", headers=[("range", f"bytes=1-{12 * MIB}")]).body == big[1 : 12 * MIB + 1]
assert get("big", headers=[("range", "bytes=-100")]).body == big[-100:]

head = call("HEAD", path_of("big"), operation_name="HeadObject")
same((head.headers["content-length"], head.headers["etag"].endswith('-4"')), (str(len(big)), True))
put("meta", b"x", headers=[("x-amz-meta-owner", "me"), ("content-type", "text/css")])
head = call("HEAD", path_of("meta"), operation_name="HeadObject")
same((head.headers["x-amz-meta-owner"], head.headers["content-type"]), ("me", "text/css"))

# Copies, which this binding leaves to the caller.
for source, target in (("big", "big copy"), (KEYS[2], f"copy/{KEYS[2]}"), ("meta", "meta copy")):
    source = [("x-amz-copy-source", f"{BUCKET}/{quote(source, safe='/~')}")]
    call("PUT", path_of(target), operation_name="CopyObject", headers=source)
assert get("big copy").body == big
same(get(f"copy/{KEYS[2]}").body, KEYS[2].encode())

# A thousand requests at a time, and a listing of several pages.
futures = []
for number in range(1050):
    headers = HttpHeaders([("host", HOST), ("content-length", "1")])
    request = HttpRequest("PUT", path_of(f"many/{number % 3}/{number:05}"), headers, io.BytesIO(b"."))
    futures.append(client.make_request(type=S3RequestType.PUT_OBJECT, request=request).finished_future)
for future in futures:
    future.result(60)
found, token = [], ""
while True:
    query = f"?list-type=2&prefix=many%2F{token and '&continuation-token=' + quote(token, safe='')}"
    page = ET.fromstring(call("GET", f"/{BUCKET}{query}", operation_name="ListObjectsV2").body)
    found += [element.text for element in page.iter(f"{NAMESPACE}Key")]
    token = page.findtext(f"{NAMESPACE}NextContinuationToken", "")
    if not token:
        break
same(found, sorted(f"many/{n % 3}/{n:05}" for n in range(1050)))

same(error(lambda: get("missing")), (404, "NoSuchKey"))
same(error(lambda: call("HEAD", path_of("missing"), operation_name="HeadObject")), (404, ""))
same(error(lambda: get("big", s3=connect("wrong"))), (403, "SignatureDoesNotMatch"))
same(error(lambda: get("big", headers=[("if-match", '"no"')])), (412, "PreconditionFailed"))
same(error(lambda: get("big", headers=[("range", f"bytes={len(big)}-")])), (416, "InvalidRange"))

for key in [*KEYS, "missing"]:
    call("DELETE", path_of(key), operation_name="DeleteObject")
same(error(lambda: get(KEYS[0])), (404, "NoSuchKey"))
done(f"awscrt {awscrt.__version__}")
# Its threads are native: nothing is left to wait for.
os._exit(0)
