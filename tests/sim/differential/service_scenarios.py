"""Generated requests about buckets, versions, tags, many deletes, and signatures."""

from __future__ import annotations

import base64
import hashlib
import random

from .scenarios import KEYS, Scenario, checksums, conditions, copies, listings, multipart, objects, ranges
from .wire import Request


def _md5(body: bytes) -> dict[str, str]:
    return {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}


def buckets(rng: random.Random) -> list[Request]:
    """Names right and wrong, the life of a bucket, and what a bucket says of documents that it has not."""
    region = (
        b"<CreateBucketConfiguration><LocationConstraint>eu-west-9</LocationConstraint></CreateBucketConfiguration>"
    )
    found = [
        Request("create again", "PUT"),
        Request("head", "HEAD"),
        Request("location", "GET", query={"location": ""}),
        Request("head missing", "HEAD", bucket="{bucket}-missing"),
        Request("location missing", "GET", query={"location": ""}, bucket="{bucket}-missing"),
        Request("delete missing", "DELETE", bucket="{bucket}-missing"),
        Request("create malformed", "PUT", bucket="{bucket}-2", body=b"<CreateBucketConfiguration>"),
        Request("create in another region", "PUT", bucket="{bucket}-3", body=region),
        Request("create another", "PUT", bucket="{bucket}-4"),
        Request("delete another", "DELETE", bucket="{bucket}-4"),
        Request("delete another again", "DELETE", bucket="{bucket}-4"),
        Request("put in it", "PUT", "k"),
        Request("delete not empty", "DELETE"),
        Request("post", "POST"),
        Request("post unknown", "POST", query={"unknown": ""}),
        Request("service put", "PUT", bucket=""),
        Request("acl", "GET", query={"acl": ""}),
        Request("versioning", "GET", query={"versioning": ""}),
        Request("versions", "GET", query={"versions": ""}),
    ]
    names = ["a", "ab", "Upper-Case", "192.168.1.1", "a..b", "-abc", "abc-", "a" * 64, "a_b-c", "a.-b", "ü-bucket"]
    found += [Request(f"name {name}", "PUT", bucket=name) for name in names]
    absent = "tagging cors lifecycle policy website encryption replication logging notification requestPayment"
    for name in [*absent.split(), "object-lock", "publicAccessBlock", "ownershipControls"]:
        found.append(Request(f"absent {name}", "GET", query={name: ""}))
    document = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    found += [
        Request("put tags", "PUT", query={"tagging": ""}, headers=_md5(document), body=document),
        Request("get tags", "GET", query={"tagging": ""}),
        Request("put tags malformed", "PUT", query={"tagging": ""}, headers=_md5(b"<Tagging>"), body=b"<Tagging>"),
        Request("delete tags", "DELETE", query={"tagging": ""}),
        Request("get tags gone", "GET", query={"tagging": ""}),
    ]
    rng.shuffle(found)
    return found


def tagging(rng: random.Random) -> list[Request]:
    """An object's tags, by header and by document."""

    def document(*tags: tuple[str, str]) -> bytes:
        text = "".join(f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in tags)
        return f"<Tagging><TagSet>{text}</TagSet></Tagging>".encode()

    found = [Request("put", "PUT", "k", body=b"x"), Request("get before", "GET", "k", {"tagging": ""})]
    bodies = {
        "one": document(("a", "1")),
        "unicode": document(("ü", "日本")),
        "empty value": document(("a", "")),
        "none": document(),
        "ten": document(*((f"k{n}", str(rng.randint(0, 9))) for n in range(10))),
        "eleven": document(*((f"k{n}", "v") for n in range(11))),
        "twice": document(("a", "1"), ("a", "2")),
        "long key": document(("k" * 129, "v")),
        "long value": document(("k", "v" * 257)),
        "no key": document(("", "v")),
        "malformed": b"<Tagging><TagSet>",
        "another document": b"<Other/>",
        "empty body": b"",
    }
    for name, body in bodies.items():
        found.append(Request(f"put {name}", "PUT", "k", {"tagging": ""}, _md5(body), body))
        found.append(Request(f"get {name}", "GET", "k", {"tagging": ""}))
    headers = ["a=1", "a=1&b=2", "a", "a=", "=1", "a=1&a=2", "&".join(f"k{n}=v" for n in range(11)), "a=%zz"]
    for value in headers:
        found.append(Request(f"header {value}", "PUT", "h", headers={"x-amz-tagging": value}, body=b"x"))
        found.append(Request(f"header {value}: get", "GET", "h", {"tagging": ""}))
    found += [
        Request("head with tags", "HEAD", "k"),
        Request("delete", "DELETE", "k", {"tagging": ""}),
        Request("get deleted", "GET", "k", {"tagging": ""}),
        Request("of missing", "GET", "missing", {"tagging": ""}),
        Request("put of missing", "PUT", "missing", {"tagging": ""}, _md5(bodies["one"]), bodies["one"]),
    ]
    return found


def versioning(rng: random.Random) -> list[Request]:
    """Versions, delete markers, suspension, and the null version."""

    def status(value: str) -> Request:
        body = f"<VersioningConfiguration><Status>{value}</Status></VersioningConfiguration>".encode()
        return Request(f"versioning {value}", "PUT", query={"versioning": ""}, headers=_md5(body), body=body)

    found = [Request("put null", "PUT", "k", body=b"null"), status("Wrong"), status("Enabled")]
    found += [
        Request("get status", "GET", query={"versioning": ""}),
        Request("put 1", "PUT", "k", body=b"one", save="1"),
        Request("put 2", "PUT", "k", body=b"two", save="2"),
        Request("get", "GET", "k"),
        Request("get 1", "GET", "k", {"versionId": "{version:1}"}),
        Request("get null", "GET", "k", {"versionId": "null"}),
        Request("get none", "GET", "k", {"versionId": "nosuchversion"}),
        Request("list", "GET", query={"versions": ""}),
        Request("list 2", "GET", query={"versions": "", "max-keys": "2"}),
        Request("delete", "DELETE", "k", save="marker"),
        Request("get deleted", "GET", "k"),
        Request("head deleted", "HEAD", "k"),
        Request("get marker", "GET", "k", {"versionId": "{version:marker}"}),
        Request("get 2 deleted", "GET", "k", {"versionId": "{version:2}"}),
        Request("list marker", "GET", query={"versions": ""}),
        Request("objects", "GET", query={"list-type": "2"}),
        Request("copy version", "PUT", "c", headers={"x-amz-copy-source": "{bucket}/k?versionId={version:1}"}),
        Request("copy deleted", "PUT", "c", headers={"x-amz-copy-source": "{bucket}/k"}),
        Request("delete marker", "DELETE", "k", {"versionId": "{version:marker}"}),
        Request("get restored", "GET", "k"),
        Request("delete 2", "DELETE", "k", {"versionId": "{version:2}"}),
        Request("get after 2", "GET", "k"),
        Request("delete version again", "DELETE", "k", {"versionId": "{version:2}"}),
        Request("delete missing", "DELETE", "never", save="never"),
        status("Suspended"),
        Request("put suspended", "PUT", "k", body=b"suspended"),
        Request("get suspended", "GET", "k"),
        Request("delete suspended", "DELETE", "k"),
        Request("get after suspended", "GET", "k"),
        Request("list all", "GET", query={"versions": ""}),
        Request("list prefix", "GET", query={"versions": "", "prefix": "c"}),
        Request("list from", "GET", query={"versions": "", "key-marker": "c"}),
        Request("delete bucket", "DELETE"),
    ]
    return found


def many(rng: random.Random) -> list[Request]:
    """DeleteObjects, right and malformed."""
    from xml.sax.saxutils import escape

    def document(keys: list[str], quiet: str = "") -> bytes:
        listed = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        return f"<Delete>{quiet}{listed}</Delete>".encode()

    keys = [key for key in KEYS if "\t" not in key and key != "{}"]
    found = [Request(f"put {number}", "PUT", key) for number, key in enumerate(keys)]
    bodies = {
        "some": document(keys[:5]),
        "the same": document(keys[:2]),
        "quiet": document(keys[5:], "<Quiet>true</Quiet>"),
        "missing": document(["missing"]),
        "thousand": document([f"x{number}" for number in range(1000)], "<Quiet>true</Quiet>"),
        "thousand and one": document([f"x{number}" for number in range(1001)], "<Quiet>true</Quiet>"),
        "none": document([]),
        "empty key": document([""]),
        "malformed": b"<Delete><Object>",
        "another document": b"<Other/>",
        "empty body": b"",
        "entities": b'<!DOCTYPE x [<!ENTITY e "k">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    }
    for name, body in bodies.items():
        found.append(Request(f"delete {name}", "POST", query={"delete": ""}, headers=_md5(body), body=body))
    found.append(Request("without digest", "POST", query={"delete": ""}, body=bodies["some"]))
    found.append(Request("wrong digest", "POST", query={"delete": ""}, headers=_md5(b"x"), body=bodies["some"]))
    found.append(Request("left", "GET"))
    return found


def signatures(rng: random.Random) -> list[Request]:
    """Signatures of each form, and what is wrong with them."""

    def get(name: str, **options: object) -> Request:
        return Request(name, "GET", "k ü+", sign=dict(options))

    found = [
        Request("put", "PUT", "k ü+", body=b"x"),
        get("right"),
        get("wrong secret", secret="wrong"),
        get("unknown key", access="nobody"),
        get("slow clock", offset=-1000),
        get("fast clock", offset=1000),
        get("clock within bounds", offset=-800),
        get("another region", region="eu-west-9"),
        get("another service", service="ec2"),
        get("anonymous", unsigned=True),
        get("no date", drop=["x-amz-date"]),
        get("no payload hash", drop=["x-amz-content-sha256"]),
        get("changed payload hash", change={"x-amz-content-sha256": "0" * 64}),
        get("further header", change={"x-amz-meta-a": "1"}),
        get("further plain header", change={"x-other": "1"}),
        get("changed query", target=[("k%20", "k%20?x=1&")]),
    ]
    old = "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
    half = "AWS4-HMAC-SHA256 Credential=a, Signature=b"
    values = ["", "nonsense", "AWS4-HMAC-SHA256", half, "AWS test:abc", "Basic dGVzdDp0ZXN0", old, "Bearer x"]
    found += [get(f"authorization {value[:60]}", change={"authorization": value}) for value in values]
    found += [
        get("presigned", presigned=60),
        get("presigned week", presigned=604800),
        get("presigned longer", presigned=604801),
        get("presigned zero", presigned=0, offset=-5),
        get("presigned negative", presigned=-1),
        get("presigned words", presigned="x"),
        get("presigned expired", presigned=60, offset=-100),
        get("presigned in future", presigned=60, offset=2000),
        get("presigned wrong secret", presigned=60, secret="wrong"),
        get("presigned unknown key", presigned=60, access="nobody"),
        get("presigned another region", presigned=60, region="eu-west-9"),
        get("presigned cut signature", presigned=60, target=[("X-Amz-Signature=", "X-Amz-Signature=0")]),
        get("presigned no signature", presigned=60, target=[("&X-Amz-Signature=", "&x=")]),
        get("presigned no expires", presigned=60, target=[("X-Amz-Expires=60&", "")]),
        get("presigned no date", presigned=60, target=[("X-Amz-Date=", "Y=")]),
        get("presigned no headers", presigned=60, target=[("X-Amz-SignedHeaders=host&", "")]),
        get("presigned algorithm", presigned=60, target=[("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")]),
        get("presigned further query", presigned=60, target=[("?", "?x=1&")]),
        Request("presigned put", "PUT", "p", body=b"by url", sign={"presigned": 60}),
        Request("presigned get", "GET", "p", sign={"presigned": 60}),
    ]
    for number in range(12):
        key = "".join(rng.choice("ab~-_.+ %ü/:@!$&'()*,;=") for _ in range(8)).strip("/")
        query = {rng.choice(["x-id", "response-content-language"]): rng.choice(["a b", "ü", "+", "%", "a=b&c", "~"])}
        found.append(Request(f"odd put {number:02}", "PUT", key, body=b"x"))
        found.append(Request(f"odd get {number:02}", "GET", key, query, sign=rng.choice([{}, {"presigned": 60}])))
    return found


SCENARIOS: dict[str, Scenario] = {
    "objects": objects,
    "ranges": ranges,
    "conditions": conditions,
    "listings": listings,
    "multipart": multipart,
    "copies": copies,
    "checksums": checksums,
    "buckets": buckets,
    "tagging": tagging,
    "versioning": versioning,
    "many": many,
    "signatures": signatures,
}
