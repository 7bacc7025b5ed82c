"""Requests that are generated: the same from the same seed. Each scenario has a bucket of its own."""

from __future__ import annotations

import base64
import hashlib
import random
import zlib
from collections.abc import Callable

from .chunked import FORMS
from .wire import Request

Scenario = Callable[[random.Random], list[Request]]
KEYS = ["k", "a b", "a+b", "a%20b", "a//b", "/a", "a/", "ü/日本", "~-_.", "a'b\"c<d>&e", "x" * 300, "..", "a\tb", "{}"]
MIB5 = 5 * 1024 * 1024


def objects(rng: random.Random) -> list[Request]:
    """Puts with random headers, read back in several ways."""
    found = []
    choices = {
        "Content-Type": ["text/plain", "text/html; charset=utf-8", "x", "application/json"],
        "Cache-Control": ["no-cache", "max-age=1"],
        "Content-Disposition": ["attachment", 'inline; filename="a b.txt"'],
        "Content-Language": ["de", "de, en"],
        "Content-Encoding": ["gzip", "gzip,br"],
        "Expires": ["Thu, 01 Dec 1994 16:00:00 GMT"],
        "x-amz-meta-a": ["1", "two words", "a,b", "  padded  "],
        "x-amz-meta-Mixed-Case": ["Value"],
        "x-amz-website-redirect-location": ["/elsewhere"],
        "x-amz-storage-class": ["STANDARD", "WRONG"],
        "x-amz-tagging": ["a=1&b=", "a=%C3%BC", "a=1&a=2"],
    }
    for number, key in enumerate(KEYS * 2):
        names = rng.sample(sorted(choices), rng.randint(0, 4))
        headers = {name: rng.choice(choices[name]) for name in names}
        body = rng.randbytes(rng.choice([0, 1, 100, 3000]))
        n = f"{number:02}"
        found.append(Request(f"put {n}", "PUT", key, headers=headers, body=body))
        found.append(Request(f"head {n}", "HEAD", key))
        overrides = {}
        if rng.random() < 0.4:
            overrides = {"response-content-type": "image/png", "response-cache-control": "no-store"}
        found.append(Request(f"get {n}", "GET", key, overrides))
    found.append(Request("get missing", "GET", "missing"))
    found.append(Request("head missing", "HEAD", "missing"))
    found.append(Request("key too long", "PUT", "x" * 1025))
    found.append(Request("metadata too large", "PUT", "k", headers={"x-amz-meta-a": "x" * 2048}))
    found.append(Request("post to object", "POST", "k"))
    found += [Request(f"delete {number:02}", "DELETE", key) for number, key in enumerate([*KEYS, "missing"])]
    found.append(Request("delete missing bucket", "DELETE", "k", bucket="{bucket}-missing"))
    return found


def ranges(rng: random.Random) -> list[Request]:
    """Ranges of an object of 100 bytes, and of an empty one."""
    fixed = [
        "0-0",
        "99-",
        "99-99",
        "100-",
        "100-200",
        "0-1000",
        "-1",
        "-0",
        "-100",
        "-1000",
        "5-2",
        "-",
        "a-b",
        "1-2,4-5",
    ]
    values = [f"bytes={value}" for value in fixed] + [
        "bytes= 1-2",
        "BYTES=1-2",
        "lines=1-2",
        "1-2",
        "bytes=1-2-3",
        "bytes=",
    ]
    values += [f"bytes={a}-{b}" for a, b in ((rng.randint(0, 120), rng.randint(0, 120)) for _ in range(12))]
    found = [Request("put", "PUT", "k", body=rng.randbytes(100)), Request("put empty", "PUT", "e")]
    found += [Request(f"get {value}", "GET", "k", headers={"Range": value}) for value in values]
    found += [Request(f"head {value}", "HEAD", "k", headers={"Range": value}) for value in values[:6]]
    found += [Request(f"empty {value}", "GET", "e", headers={"Range": value}) for value in values[:10:2]]
    return found


def conditions(rng: random.Random) -> list[Request]:
    """Preconditions on reads, writes, deletes and copies."""
    old, new = "Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    tags = ["{etag:k}", '"no"', "*", '"no", {etag:k}', "W/{etag:k}"]
    found = [Request("put", "PUT", "k", body=b"body", save="k")]
    for number in range(40):
        headers = {}
        for name, values in (
            ("If-Match", tags),
            ("If-None-Match", tags),
            ("If-Modified-Since", [old, new, "nonsense"]),
            ("If-Unmodified-Since", [old, new, "nonsense"]),
        ):
            if rng.random() < 0.4:
                headers[name] = rng.choice(values)
        label = " ".join(f"{name}={value}" for name, value in headers.items()) or "none"
        found.append(Request(f"read {number:02} {label}", rng.choice(["GET", "HEAD"]), "k", headers=headers))
    for key in ("k", "missing"):
        for name, value in (("If-None-Match", "*"), ("If-Match", "{etag:k}"), ("If-Match", '"no"'), ("If-Match", "*"),
                            ("If-None-Match", "{etag:k}")):  # fmt: skip
            found.append(Request(f"put {key} {name} {value}", "PUT", key, headers={name: value}, body=b"body"))
            found.append(Request(f"clean {key} {name} {value}", "DELETE", "missing"))
    for value in ('"no"', "{etag:k}"):
        found.append(Request(f"delete If-Match {value}", "DELETE", "k", headers={"If-Match": value}))
        found.append(Request(f"get after delete If-Match {value}", "GET", "k"))
        found.append(Request(f"put again {value}", "PUT", "k", body=b"body", save="k"))
    source = {"x-amz-copy-source": "{bucket}/k"}
    for name, values in (
        ("if-match", tags[:2]),
        ("if-none-match", tags[:2]),
        ("if-modified-since", [old, new]),
        ("if-unmodified-since", [old, new]),
    ):
        for value in values:
            headers = {**source, f"x-amz-copy-source-{name}": value}
            found.append(Request(f"copy {name} {value}", "PUT", "copy", headers=headers))
    return found


def listings(rng: random.Random) -> list[Request]:
    """Both versions of the listing with random parameters, and pages followed."""
    keys = sorted({"".join(rng.choice("ab/ü+ ") for _ in range(rng.randint(1, 5))) for _ in range(45)} - {"/", "//"})
    found = [Request(f"put {number:02}", "PUT", key, body=b".") for number, key in enumerate(keys)]
    for number in range(60):
        query = {"list-type": "2"} if number % 2 else {}
        for name, values in (
            ("prefix", ["a", "a/", "b", "ü", "zzz", ""]),
            ("delimiter", ["/", "/", "a", "//", "+", ""]),
            ("max-keys", ["1", "3", "7", "0", "1000", "5000"]),
            ("encoding-type", ["url"]),
            ("start-after" if number % 2 else "marker", [*rng.sample(keys, 2), "a/", "zzz"]),
            ("fetch-owner", ["true", "false"]),
        ):
            if rng.random() < 0.5 and not (name == "fetch-owner" and not number % 2):
                query[name] = rng.choice(values)
        label = " ".join(f"{name}={value}" for name, value in query.items())
        found.append(Request(f"list {number:02} {label}", "GET", query=query))
    for kind, name in (({"list-type": "2"}, "continuation-token"), ({}, "marker")):
        version = kind.get("list-type", "1")
        query = {**kind, "max-keys": "9", "delimiter": "/"}
        found.append(Request(f"page 0 of v{version}", "GET", query=query, save="page"))
        for page in (1, 2, 3):
            following = {**query, name: "{next}"}
            found.append(Request(f"page {page} of v{version}", "GET", query=following, save="page"))
    bad = [{"max-keys": "-1"}, {"max-keys": "x"}, {"max-keys": "99999999999"}, {"encoding-type": "base64"}]
    bad += [{"list-type": "2", "continuation-token": "???"}, {"list-type": "3"}, {"list-type": "2", "max-keys": ""}]
    found += [Request(f"bad {query}", "GET", query=query) for query in bad]
    found.append(Request("missing bucket", "GET", bucket="{bucket}-missing"))
    return found


def _complete(*parts: tuple[object, str]) -> bytes:
    listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()


def multipart(rng: random.Random) -> list[Request]:
    """Uploads completed, refused and aborted; parts copied, listed and read."""
    big = rng.randbytes(1024) * (MIB5 // 1024)

    def part(number: object, body: bytes, name: str, upload: str = "{upload:u}") -> Request:
        query = {"partNumber": str(number), "uploadId": upload}
        return Request(f"part {number} {name}", "PUT", "m", query, body=body, save=name)

    def complete(name: str, body: bytes, upload: str = "{upload:u}", **headers: str) -> Request:
        return Request(f"complete {name}", "POST", "m", {"uploadId": upload}, headers=headers, body=body)

    u = "{upload:u}"
    found = [
        Request("create", "POST", "m", {"uploads": ""}, {"Content-Type": "text/css", "x-amz-meta-a": "1"}, save="u"),
        part(1, big, "one"),
        part(3, b"tail", "three"),
        part(2, b"small", "two"),
        part(0, b"x", "zero"),
        part(10001, b"x", "high"),
        part("x", b"x", "word"),
        part(1, b"x", "nowhere", "nosuchupload"),
        Request("list parts", "GET", "m", {"uploadId": u}),
        Request("list parts 1", "GET", "m", {"uploadId": u, "max-parts": "1"}),
        Request("list parts after 1", "GET", "m", {"uploadId": u, "part-number-marker": "1"}),
        Request("list parts of none", "GET", "m", {"uploadId": "nosuchupload"}),
        Request("list parts of another key", "GET", "other", {"uploadId": u}),
        Request("list uploads", "GET", query={"uploads": ""}),
        Request("list uploads prefix", "GET", query={"uploads": "", "prefix": "z"}),
        Request("get before complete", "GET", "m"),
        complete("too small", _complete((1, "{etag:one}"), (2, "{etag:two}"), (3, "{etag:three}"))),
        complete("wrong order", _complete((3, "{etag:three}"), (1, "{etag:one}"))),
        complete("twice the same", _complete((1, "{etag:one}"), (1, "{etag:one}"))),
        complete("wrong etag", _complete((1, '"0123456789abcdef0123456789abcdef"'))),
        complete("missing part", _complete((1, "{etag:one}"), (7, "{etag:one}"))),
        complete("no parts", b"<CompleteMultipartUpload></CompleteMultipartUpload>"),
        complete("no document", b""),
        complete("malformed", b"<CompleteMultipartUpload><Part>"),
        complete("another document", b"<Delete/>"),
        complete("no such upload", _complete((1, "{etag:one}")), "nosuchupload"),
        complete("right", _complete((1, "{etag:one}"), (3, "{etag:three}"))),
        Request("head", "HEAD", "m"),
        Request("head part 1", "HEAD", "m", {"partNumber": "1"}),
        Request("get part 2", "GET", "m", {"partNumber": "2"}),
        Request("get part 3", "GET", "m", {"partNumber": "3"}),
        Request("get range across parts", "GET", "m", headers={"Range": f"bytes={MIB5 - 3}-{MIB5 + 1}"}),
        complete("again", _complete((1, "{etag:one}"), (3, "{etag:three}"))),
        Request("create for copies", "POST", "c", {"uploads": ""}, save="c"),
    ]
    for value in ("bytes=0-4", "bytes=0-0", "bytes=10-5", "bytes=0-", "0-4", f"bytes=0-{2 * MIB5}", ""):
        headers = {"x-amz-copy-source": "{bucket}/m"} | ({"x-amz-copy-source-range": value} if value else {})
        query = {"partNumber": "1", "uploadId": "{upload:c}"}
        found.append(Request(f"copy part {value}", "PUT", "c", query, headers))
    missing = {"x-amz-copy-source": "{bucket}/missing"}
    found += [
        Request("copy part missing", "PUT", "c", {"partNumber": "1", "uploadId": "{upload:c}"}, missing),
        Request("abort", "DELETE", "c", {"uploadId": "{upload:c}"}),
        Request("abort again", "DELETE", "c", {"uploadId": "{upload:c}"}),
        Request("abort none", "DELETE", "c", {"uploadId": "nosuchupload"}),
        Request("list uploads of none", "GET", query={"uploads": ""}),
        Request("create in missing bucket", "POST", "m", {"uploads": ""}, bucket="{bucket}-missing"),
    ]
    return found


def copies(rng: random.Random) -> list[Request]:
    """Copies with directives, of odd keys, onto themselves, of what is not there."""
    headers = {"Content-Type": "text/css", "x-amz-meta-a": "1"}
    found = [Request("put", "PUT", "k", headers=headers, body=rng.randbytes(500), save="k")]
    source = "x-amz-copy-source"
    cases: list[tuple[str, str, dict[str, str]]] = [
        ("plain", "c", {source: "/{bucket}/k"}),
        ("no slash", "c", {source: "{bucket}/k"}),
        ("replace", "c", {source: "{bucket}/k", "x-amz-metadata-directive": "REPLACE", "x-amz-meta-b": "2"}),
        ("copy ignores metadata", "c", {source: "{bucket}/k", "x-amz-meta-b": "2"}),
        ("wrong directive", "c", {source: "{bucket}/k", "x-amz-metadata-directive": "MOVE"}),
        ("tags replaced", "c", {source: "{bucket}/k", "x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "n=2"}),
        ("onto itself", "k", {source: "{bucket}/k"}),
        ("onto itself replaced", "k", {source: "{bucket}/k", "x-amz-metadata-directive": "REPLACE"}),
        ("missing key", "c", {source: "{bucket}/missing"}),
        ("missing bucket", "c", {source: "{bucket}-missing/k"}),
        ("no key", "c", {source: "{bucket}"}),
        ("empty key", "c", {source: "{bucket}/"}),
        ("bad version", "c", {source: "{bucket}/k?versionId=nosuchversion"}),
    ]
    for name, key, more in cases:
        found.append(Request(name, "PUT", key, headers=more))
        found.append(Request(f"{name}: head", "HEAD", key))
    for number, key in enumerate(KEYS[1:9]):
        found.append(Request(f"put odd {number}", "PUT", key, body=key.encode()))
        from urllib.parse import quote

        found.append(Request(f"copy odd {number}", "PUT", "c", headers={source: "{bucket}/" + quote(key, safe="/")}))
        found.append(Request(f"get odd {number}", "GET", "c"))
    return found


def checksums(rng: random.Random) -> list[Request]:
    """Digests right, wrong and malformed; and bodies in chunks."""
    body = rng.randbytes(1000)
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    right = {
        "content-md5": md5,
        "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
        "x-amz-checksum-sha1": base64.b64encode(hashlib.sha1(body).digest()).decode(),
        "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    found = []
    for name, value in right.items():
        wrong = base64.b64encode(bytes(len(base64.b64decode(value)))).decode()
        for label, sent in (
            ("right", value),
            ("wrong", wrong),
            ("short", value[:4]),
            ("malformed", "???"),
            ("empty", ""),
        ):
            found.append(Request(f"{name} {label}", "PUT", "k", headers={name: sent}, body=body))
        found.append(Request(f"{name} kept", "HEAD", "k", headers={"x-amz-checksum-mode": "ENABLED"}))
    found += [
        Request("two checksums", "PUT", "k", headers=dict(list(right.items())[1:3]), body=body),
        Request("algorithm without checksum", "PUT", "k", headers={"x-amz-sdk-checksum-algorithm": "CRC32"}, body=body),
        Request("wrong payload hash", "PUT", "k", body=body, sign={"payload": "0" * 64}),
        Request("payload hash malformed", "PUT", "k", body=body, sign={"payload": "nonsense"}),
        Request("payload unsigned", "PUT", "k", body=body, sign={"payload": "UNSIGNED-PAYLOAD"}),
    ]
    for form in FORMS:
        for size in (0, 100, 20000):
            key = f"chunked-{form}-{size}".replace(" ", "-")
            found.append(Request(f"{form} {size}", "PUT", key, body=rng.randbytes(size), chunks=form))
            found.append(Request(f"{form} {size}: head", "HEAD", key))
    return found
