"""Seeds for the fuzzer, and how they are changed. The same number gives the same bytes again."""

from __future__ import annotations

import base64
import hashlib
import random
import re

from .test_wire import CHUNKED, MALFORMED, PUT, STREAMING, aws_chunks

HOST = b" HTTP/1.1\r\nHost: bucket.localhost:80\r\n"


def _request(line: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    length = b"Content-Length: LENGTH\r\nContent-MD5: DIGEST\r\n" if body else b""
    return line + b" HTTP/1.1\r\nHost: x\r\n" + headers + length + b"\r\n" + body


def finish(data: bytes, upload: bytes) -> bytes:
    """Fill in what depends on the body that came of it: else no changed document would pass its checksum."""
    data = data.replace(b"UPLOAD", upload)
    head, _, body = data.partition(b"\r\n\r\n")
    digest = base64.b64encode(hashlib.md5(body).digest())
    head = head.replace(b"LENGTH", b"%d" % len(body)).replace(b"DIGEST", digest)
    return data.replace(data[: len(data) - len(body)], head + b"\r\n\r\n", 1) if body else data


DOCUMENTS = {
    "delete": b"<Delete><Quiet>false</Quiet><Object><Key>k</Key></Object><Object><Key>a&amp;b</Key></Object></Delete>",
    "complete": b'<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part>'
    b"<Part><PartNumber>2</PartNumber><ETag>f</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"
    b"</CompleteMultipartUpload>",
    "tagging": b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    "location": b'<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>",
    "versioning": b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "lifecycle": b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>p</Prefix></Filter>"
    b"<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    "retention": b"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z"
    b"</RetainUntilDate></Retention>",
    "hold": b"<LegalHold><Status>ON</Status></LegalHold>",
    "lock": b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    b"<Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    "restore": b"<RestoreRequest><Days>1</Days></RestoreRequest>",
    "acl": b'<AccessControlPolicy><Owner><ID>a</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org'
    b'/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>a</ID></Grantee><Permission>READ</Permission></Grant>'
    b"</AccessControlList></AccessControlPolicy>",
    "versions": b"<Delete><Object><Key>k</Key><VersionId>null</VersionId></Object></Delete>",
    "policy": b'{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
    b'"Action": "s3:*", "Resource": ["arn:aws:s3:::bucket/*"]}]}',
}

REQUESTS = [
    _request(b"GET /"),
    _request(b"PUT /bucket/k", b"x-amz-meta-a: b\r\nContent-Type: text/plain\r\n", b"hello world"),
    _request(b"PUT /bucket/k", b"If-None-Match: *\r\nx-amz-checksum-crc32: DUoRhQ==\r\n", b"hello world"),
    _request(b"PUT /bucket/k", b"x-amz-tagging: a=b&c=d\r\n", b"hello world"),
    _request(b"PUT /bucket/k", b"x-amz-copy-source: /bucket/a%20b\r\nx-amz-metadata-directive: REPLACE\r\n"),
    _request(b"PUT /bucket/k", b"x-amz-content-sha256: %s\r\n" % hashlib.sha256(b"x").hexdigest().encode(), b"x"),
    _request(b"PUT /bucket/a%20b?tagging", b"", DOCUMENTS["tagging"]),
    _request(b"PUT /other", b"", DOCUMENTS["location"]),
    _request(b"PUT /bucket?versioning", b"", DOCUMENTS["versioning"]),
    _request(b"PUT /bucket?lifecycle", b"", DOCUMENTS["lifecycle"]),
    _request(b"PUT /bucket?policy", b"", DOCUMENTS["policy"]),
    _request(b"GET /bucket?versioning"),
    _request(b"GET /bucket?location"),
    _request(b"GET /bucket?list-type=2&prefix=a&delimiter=%2F&max-keys=2&start-after=a&encoding-type=url"),
    _request(b"GET /bucket?marker=a&max-keys=1"),
    _request(b"GET /bucket?versions&key-marker=a&version-id-marker=b"),
    _request(b"GET /bucket?uploads&prefix=&key-marker=k&upload-id-marker=1"),
    _request(
        b"GET /bucket/a%20b",
        b'Range: bytes=2-5\r\nIf-None-Match: "x"\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n',
    ),
    _request(
        b"GET /bucket/a%20b?response-content-type=a&partNumber=1",
        b"Range: bytes=-3\r\nx-amz-checksum-mode: ENABLED\r\n",
    ),
    _request(b"GET /bucket/a%20b?attributes", b"x-amz-object-attributes: ETag,Checksum,ObjectParts,ObjectSize\r\n"),
    _request(b"GET /bucket/big", b"Range: bytes=999999999990-\r\n"),
    _request(b"HEAD /bucket/a%20b?versionId=null"),
    _request(b"DELETE /bucket/a%20b"),
    _request(b"DELETE /bucket"),
    _request(b"POST /bucket?delete", b"", DOCUMENTS["delete"]),
    _request(b"POST /bucket/k?uploads", b"x-amz-checksum-algorithm: CRC32\r\nx-amz-storage-class: GLACIER\r\n"),
    _request(b"PUT /bucket/k?partNumber=1&uploadId=UPLOAD", b"", b"part"),
    _request(
        b"PUT /bucket/k?partNumber=2&uploadId=UPLOAD",
        b"x-amz-copy-source: bucket/big\r\nx-amz-copy-source-range: bytes=0-9\r\n",
    ),
    _request(b"GET /bucket/k?uploadId=UPLOAD&max-parts=1&part-number-marker=0"),
    _request(b"POST /bucket/k?uploadId=UPLOAD", b"", DOCUMENTS["complete"]),
    _request(b"DELETE /bucket/k?uploadId=UPLOAD"),
    _request(b"PUT /bucket/a%20b?retention", b"x-amz-bypass-governance-retention: true\r\n", DOCUMENTS["retention"]),
    _request(b"PUT /bucket/a%20b?legal-hold", b"", DOCUMENTS["hold"]),
    _request(b"PUT /bucket?object-lock", b"", DOCUMENTS["lock"]),
    _request(b"PUT /bucket/a%20b?acl", b"x-amz-acl: public-read\r\n"),
    _request(b"PUT /bucket?acl", b"", DOCUMENTS["acl"]),
    _request(b"POST /bucket/a%20b?restore&versionId=null", b"", DOCUMENTS["restore"]),
    _request(b"POST /bucket?delete", b"", DOCUMENTS["versions"]),
    _request(b"PUT /bucket/new?renameObject", b"x-amz-rename-source: /bucket/a%20b\r\nIf-None-Match: *\r\n"),
    _request(b"DELETE /bucket/a%20b?versionId=null", b'If-Match: "x"\r\nx-amz-if-match-size: 11\r\n'),
    _request(b"GET /bucket/a%20b?acl&versionId=null"),
    _request(
        b"PUT /bucket/k",
        b"x-amz-server-side-encryption-customer-algorithm: AES256\r\n"
        b"x-amz-server-side-encryption-customer-key: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\r\n"
        b"x-amz-server-side-encryption-customer-key-MD5: KYvwGXoFFJ42a2u2GDWhwQ==\r\n",
        b"secret",
    ),
    _request(b"OPTIONS /bucket/k", b"Origin: http://a\r\nAccess-Control-Request-Method: PUT\r\n"),
    b"GET /k" + HOST + b"Connection: keep-alive\r\n\r\n",
    b"GET http://bucket.localhost/k HTTP/1.1\r\nHost: proxy\r\n\r\n",
    b"GET /bucket HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    PUT + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    PUT + STREAMING + b"Content-Length: %d\r\n\r\n" % len(aws_chunks()) + aws_chunks(),
    CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(aws_chunks()), aws_chunks()),
    CHUNKED + b"".join(b"1;e\r\n%c\r\n" % byte for byte in aws_chunks()) + b"0\r\nA: b\r\n\r\n",
    *[data for data in MALFORMED if len(data) < 5000],
]

TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"=",
    b"&",
    b"?",
    b"/",
    b"//",
    b"..",
    b"%",
    b"%00",
    b"%2e",
    b"%2F",
    b"+",
    b"*",
    b"#",
    b'"',
    b"'",
    b"<",
    b">",
    b"&amp;",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE a>",
    b"\xff",
    b"\x80",
    b"\xc3\xa4",
    b"0",
    b"-1",
    b"1",
    b"10000",
    b"10001",
    b"2147483647",
    b"4294967296",
    b"9223372036854775807",
    b"99999999999999999999999",
    b"bytes=",
    b"bytes=0-",
    b"0-0",
    b"-",
    b"e",
    b"1e9",
    b"nan",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"GET ",
    b"PUT ",
    b"POST ",
    b"DELETE ",
    b"HEAD ",
    b"OPTIONS ",
    b"Content-Length: 0\r\n",
    b"Content-Length: 10\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"ffffffff\r\n",
    b"?acl",
    b"?tagging",
    b"?uploads",
    b"?versions",
    b"?delete",
    b"?attributes",
    b"versionId=null",
    b"partNumber=1",
    b"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n",
    b"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n",
    b"x-amz-decoded-content-length: 11\r\n",
    b"x-amz-trailer: x-amz-checksum-sha256\r\n",
    b"x-amz-copy-source: ",
    b"x-amz-checksum-crc32c: AAAAAA==\r\n",
    b"x-amz-sdk-checksum-algorithm: SHA1\r\n",
    b"Range: bytes=",
    b"If-None-Match: *\r\n",
    b"x-amz-meta-",
    b"x-amz-object-attributes: ",
    b"x-amz-server-side-encryption-customer-algorithm: AES256\r\n",
    b"If-Modified-Since: ",
    b"Fri, 31 Dec 9999 23:59:59 GMT",
    b"x-amz-tagging: ",
    b"Content-MD5: ",
    b"AAAAAAAAAAAAAAAAAAAAAA==",
]

LIMIT = 20_000
PUNCTUATION = TOKENS.index(b"&amp;")
NUMBERS = [token for token in TOKENS if token.lstrip(b"-").isdigit()]
_NUMBER = re.compile(rb"[0-9]+")
_WORD = re.compile(rb"[^\s/&=?:;,<>]+")


def _token(rng: random.Random) -> bytes:
    return rng.choice(TOKENS[:PUNCTUATION] if rng.random() < 0.4 else TOKENS)


def mutate(rng: random.Random, data: bytes, others: list[bytes], most: int = 10) -> bytes:
    """A few random changes: bytes, words, numbers, pieces of other inputs, cuts and repetitions."""
    changed = bytearray(data)
    for _ in range(min(most, rng.choice((1, 1, 1, 2, 3, 5, 10)))):
        _change(rng, changed, others)
        del changed[LIMIT:]
    return bytes(changed)


def _change(rng: random.Random, changed: bytearray, others: list[bytes]) -> None:
    # The first line says what is asked for: changes there are the ones that lead somewhere.
    line = changed.find(b"\n")
    at = rng.randrange((line if line > 0 and rng.random() < 0.4 else len(changed)) + 1)
    end = min(len(changed), at + rng.choice((1, 1, 2, 4, 16, 64, 1000)))
    kind = rng.randrange(11)
    if kind == 0 and changed:
        changed[at % len(changed)] = rng.randrange(256)
    elif kind == 1:
        changed[at:at] = _token(rng)
    elif kind == 2:
        changed[at:end] = _token(rng)
    elif kind == 3:
        del changed[at:end]
    elif kind == 4:
        changed[at:at] = changed[at:end] * rng.choice((1, 1, 2, 10, 100))
    elif kind == 5:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        changed[at:end] = other[start : start + rng.choice((1, 4, 16, 64, 1000))]
    elif kind == 6:
        changed += rng.choice(others)
    elif kind == 7 and changed:
        changed[at % len(changed)] ^= 1 << rng.randrange(8)
    elif kind == 8 and (found := list(_NUMBER.finditer(changed))):
        number = rng.choice(found)
        changed[number.start() : number.end()] = rng.choice(NUMBERS)
    elif found := list(_WORD.finditer(changed)):
        first = [word for word in found if word.start() < line]
        word = rng.choice(first if first and rng.random() < 0.5 else found)
        new = rng.choice((_token(rng), word[0] + _token(rng), _token(rng) + word[0], word[0] * 2, b""))
        changed[word.start() : word.end()] = new
