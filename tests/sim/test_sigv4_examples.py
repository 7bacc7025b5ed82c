"""The examples that AWS's documentation publishes "as a test suite to verify your code", against the verifier.

Amazon S3 API Reference, Authenticating Requests: "Signature Calculations for the Authorization Header" in a single
chunk, in multiple chunks, and with trailing headers; "Using Query Parameters". All are of 24 May 2013.
"""

from __future__ import annotations

import calendar
import hashlib

import pytest

from objectfs.sim.auth.sigv4 import Auth
from objectfs.sim.auth.verifier import Verifier
from objectfs.sim.body import Receiver, make_receiver
from objectfs.sim.errors import S3Error
from objectfs.sim.http import parse_head
from objectfs.sim.route import parse_target
from objectfs.sim.store.blobs import MemorySink

ACCESS_KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = calendar.timegm((2013, 5, 24, 0, 0, 0))
EMPTY = hashlib.sha256(b"").hexdigest()
BUCKET = "examplebucket.s3.amazonaws.com"


def verify(text: str, now: float = NOW) -> Auth:
    head = parse_head(text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    target = parse_target(head, ("s3.amazonaws.com",))
    verifier = Verifier(ACCESS_KEY, SECRET_KEY, "us-east-1", check_region=True, clock=lambda: now)
    return verifier.authenticate(head, target.path, target.raw_query, target.query)


def authorization(names: str, signature: str) -> str:
    return (
        f"Authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={names},Signature={signature}"
    )


SINGLE = {
    "GET object": (
        f"GET /test.txt HTTP/1.1\nHost: {BUCKET}\nRange: bytes=0-9\n"
        f"x-amz-content-sha256: {EMPTY}\nx-amz-date: 20130524T000000Z",
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "PUT object": (
        f"PUT /test%24file.text HTTP/1.1\nHost: {BUCKET}\nDate: Fri, 24 May 2013 00:00:00 GMT\n"
        "x-amz-date: 20130524T000000Z\nx-amz-storage-class: REDUCED_REDUNDANCY\n"
        f"x-amz-content-sha256: {hashlib.sha256(b'Welcome to Amazon S3.').hexdigest()}",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "GET bucket lifecycle": (
        f"GET /?lifecycle HTTP/1.1\nHost: {BUCKET}\nx-amz-date: 20130524T000000Z\nx-amz-content-sha256: {EMPTY}",
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": (
        f"GET /?max-keys=2&prefix=J HTTP/1.1\nHost: {BUCKET}\nx-amz-date: 20130524T000000Z\n"
        f"x-amz-content-sha256: {EMPTY}",
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_authorization_header(name: str) -> None:
    request, names, signature = SINGLE[name]
    auth = verify(f"{request}\n{authorization(names, signature)}")
    assert (auth.access_key, auth.verified) == (ACCESS_KEY, True)
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        verify(f"{request}\n{authorization(names, signature[::-1])}")


def test_the_string_to_sign_is_the_documented_one() -> None:
    request, names, _ = SINGLE["GET object"]
    with pytest.raises(S3Error) as caught:
        verify(f"{request}\n{authorization(names, '0' * 64)}")
    text = (
        "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"
    )
    assert caught.value.status == 403
    assert caught.value.extra["StringToSign"] == text
    assert bytes.fromhex(caught.value.extra["StringToSignBytes"]) == text.encode()
    assert caught.value.extra["SignatureProvided"] == "0" * 64
    assert caught.value.extra["AWSAccessKeyId"] == ACCESS_KEY
    canonical = caught.value.extra["CanonicalRequest"]
    assert canonical.startswith(f"GET\n/test.txt\n\nhost:{BUCKET}\nrange:bytes=0-9\n")
    assert bytes.fromhex(caught.value.extra["CanonicalRequestBytes"]) == canonical.encode()


PRESIGNED = (
    "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    f"&X-Amz-Credential={ACCESS_KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\n"
    f"Host: {BUCKET}"
)


def test_presigned_url() -> None:
    assert verify(PRESIGNED).verified
    assert verify(PRESIGNED, NOW + 86400).verified
    with pytest.raises(S3Error, match="AccessDenied: Request has expired") as caught:
        verify(PRESIGNED, NOW + 86401)
    assert (caught.value.status, caught.value.extra) == (
        403,
        {"X-Amz-Expires": "86400", "Expires": "2013-05-25T00:00:00Z", "ServerTime": "2013-05-25T00:00:01Z"},
    )


CHUNKED = (
    "PUT /examplebucket/chunkObject.txt HTTP/1.1\nHost: s3.amazonaws.com\nx-amz-date: 20130524T000000Z\n"
    "x-amz-storage-class: REDUCED_REDUNDANCY\nContent-Encoding: aws-chunked\nx-amz-decoded-content-length: 66560\n"
)
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def chunked() -> Auth:
    request = (
        f"{CHUNKED}x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\nContent-Length: 66824\n"
        + authorization(
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
            "x-amz-storage-class",
            SEED,
        )
    )
    return verify(request)


def with_trailer() -> Auth:
    request = (
        f"{CHUNKED}x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\n"
        "x-amz-trailer: x-amz-checksum-crc32c\n"
        + authorization(
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
            "x-amz-storage-class;x-amz-trailer",
            TRAILER_SEED,
        )
    )
    return verify(request)


def body(signatures: tuple[str, ...]) -> bytes:
    """64 KiB and 1 KiB of the letter a, and the last chunk without what follows it."""
    sizes = (65536, 1024, 0)
    chunks = [
        f"{size:x};chunk-signature={signature}\r\n".encode() + b"a" * size + (b"\r\n" if size else b"")
        for size, signature in zip(sizes, signatures, strict=True)
    ]
    return b"".join(chunks)


def receive(auth: Auth, data: bytes, trailers: str = "") -> Receiver:
    receiver = make_receiver(MemorySink(66560), [], length=len(data), auth=auth, declared_trailers=trailers)
    receiver.feed(memoryview(data))
    return receiver


def test_chunked_upload() -> None:
    auth = chunked()
    data = body(SIGNATURES) + b"\r\n"
    assert len(data) == 66824
    receiver = receive(auth, data)
    assert (receiver.done, receiver.destination.size) == (True, 66560)
    for number in range(3):
        wrong = list(SIGNATURES)
        wrong[number] = "0" * 64
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            receive(auth, body(tuple(wrong)) + b"\r\n")
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        receive(auth, data.replace(b"aaaa", b"aaab", 1))


def test_chunked_upload_with_a_trailer() -> None:
    auth = with_trailer()
    trailer = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:%s\r\n\r\n"
    data = body(TRAILER_SIGNATURES) + (trailer % TRAILER_SIGNATURE).encode()
    receiver = receive(auth, data, "x-amz-checksum-crc32c")
    assert (receiver.done, receiver.trailers) == (True, {"x-amz-checksum-crc32c": "sOO8/Q=="})
    for wrong in (
        data.replace(b"sOO8", b"sOO9"),
        data.replace(TRAILER_SIGNATURE.encode(), b"0" * 64),
        data.replace(b"x-amz-trailer-signature:" + TRAILER_SIGNATURE.encode() + b"\r\n", b""),
    ):
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            receive(auth, wrong, "x-amz-checksum-crc32c")
