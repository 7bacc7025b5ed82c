"""Documents as S3 answers them, and what a hostile server makes of them."""

from __future__ import annotations

from .draw import Draw

__all__ = ["DOCUMENTS", "make", "number", "spoil", "word"]

_NS = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_DATE = b"2026-11-25T10:00:00.000Z"
_ENTRY = (
    b"<Key>k1</Key><LastModified>" + _DATE + b'</LastModified><ETag>"e"</ETag><Size>5</Size>'
    b"<StorageClass>STANDARD</StorageClass>"
)
_OWNER = b"<Owner><ID>o</ID><DisplayName>n</DisplayName></Owner>"
_RESTORE = (
    b"<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>"
    + _DATE
    + b"</RestoreExpiryDate></RestoreStatus>"
)

DOCUMENTS: dict[str, bytes] = {
    "ListObjectsV2": b"<ListBucketResult" + _NS + b"><Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount>"
    b"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents>" + _ENTRY + _OWNER + _RESTORE + b"</Contents>"
    b"<Contents><Key>k2 &amp; &#x20AC;</Key><Size>6</Size></Contents>"
    b"<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>",
    "encoded": b"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
    b"<NextContinuationToken>t&amp;+%20</NextContinuationToken><Contents><Key>a%20b+c%25</Key><Size>1</Size></Contents>"
    b"<CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes></ListBucketResult>",
    "ListObjectVersions": b"<ListVersionsResult><Name>b</Name><IsTruncated>true</IsTruncated>"
    b"<NextKeyMarker>k1</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>"
    b"<Version>" + _ENTRY + b"<VersionId>v1</VersionId><IsLatest>true</IsLatest></Version>"
    b"<DeleteMarker><Key>k0</Key><VersionId>v0</VersionId><IsLatest>false</IsLatest></DeleteMarker>"
    b"</ListVersionsResult>",
    "DeleteObjects": b"<DeleteResult" + _NS + b"><Error><Key>k1</Key><Code>AccessDenied</Code><Message>no</Message>"
    b"</Error><Deleted><Key>k2</Key></Deleted></DeleteResult>",
    "CopyObject": b"<CopyObjectResult" + _NS + b"><LastModified>" + _DATE + b"</LastModified><ETag>&quot;e&quot;</ETag>"
    b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></CopyObjectResult>",
    "CreateMultipartUpload": b"<InitiateMultipartUploadResult" + _NS + b"><Bucket>b</Bucket><Key>k</Key>"
    b"<UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>",
    "CompleteMultipartUpload": b"<CompleteMultipartUploadResult" + _NS + b"><Location>l</Location><Key>k</Key>"
    b'<ETag>"e-2"</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></CompleteMultipartUploadResult>',
    "ListBuckets": b"<ListAllMyBucketsResult"
    + _NS
    + b">"
    + _OWNER
    + b"<Buckets><Bucket><Name>b</Name><CreationDate>"
    + _DATE
    + b"</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>",
    "GetObjectTagging": b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    "ListParts": b"<ListPartsResult><UploadId>u</UploadId><PartNumberMarker>0</PartNumberMarker>"
    b"<NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>"
    b'<ETag>"e"</ETag><Size>5</Size><LastModified>' + _DATE + b"</LastModified></Part></ListPartsResult>",
    "GetObjectAttributes": b"<GetObjectAttributesResponse><ETag>e</ETag><ObjectSize>5</ObjectSize>"
    b"<Checksum><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Checksum></GetObjectAttributesResponse>",
    "GetBucketLocation": b"<LocationConstraint" + _NS + b">eu-west-1</LocationConstraint>",
    "error": b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>no</Message>'
    b"<RequestId>r</RequestId><HostId>h</HostId></Error>",
    "page": b"<html><body><p>Please log in</p></body></html>",
    "nothing": b"",
}

_BOMB = (
    b'<!DOCTYPE z [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (name, b"&%c;" % (name - 1) * 10) for name in range(ord("b"), ord("j")))
    + b"]>"
)

_TOKENS = [
    b"<!-- <Contents><Key>no</Key><Size>1</Size></Contents> -->",
    b"<![CDATA[x<Key>y]]>",
    b"<!DOCTYPE a>",
    b'<!DOCTYPE a [<!ENTITY e "x">]>',
    b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
    b"&e;",
    b"&amp;",
    b"&#0;",
    b"&#xd800;",
    b"&#99999999999;",
    b"&#x26;",
    b"&&&&&&;",
    b"&i;",
    b"<?pi x?>",
    b"<Key>",
    b"</Key>",
    b"<Key/>",
    b"<Key>other</Key>",
    b"<Size>7</Size>",
    b"<Contents>",
    b"</Contents>",
    b"<Error><Code>SlowDown</Code></Error>",
    b"<Code>InternalError</Code>",
    b"<IsTruncated>true</IsTruncated>",
    b"<NextContinuationToken>t</NextContinuationToken>",
    b"<EncodingType>url</EncodingType>",
    b"</ListBucketResult>",
    b' a="b"',
    b" ",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"%",
    b"%zz",
    b"<",
    b">",
    b"&",
    b"]]>",
    b"-1",
    b"1e9",
    b"\xd9\xa1",
    b"\xc2\xb2",
    b"18446744073709551616",
    b"9" * 5000,
    b"<x>" * 2000,
    b"&" * 3000,
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59",
    b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    b"Mon, 01 Jan 2024 00:00:00 +999999999999",
    b"1e400",
    b"nan",
]

_PROLOGS = [
    b'<?xml version="1.0" encoding="UTF-8"?>\n',
    b"\xef\xbb\xbf",
    b"\n",
    b'<?xml version="1.0" encoding="utf-7"?>',
    b'<?xml version="1.0" encoding="nonsense"?>',
    b'<?xml version="1.0" encoding="utf-16"?>',
    b'<?xml version="1.0" encoding="shift_jis"?>',
    b'<?xml version="1.0" encoding="ISO-8859-1"?>',
    b'<?xml version="1.1"?>',
    b'<!DOCTYPE a [<!ENTITY e "x">]>',
    _BOMB,
    b"<!-- a -->",
]


def word(draw: Draw) -> bytes:
    """What a value, or a piece of a document, may be."""
    return draw.rest(draw.below(12)) if draw.chance(4) else draw.one_of(_TOKENS)


def number(draw: Draw) -> str:
    """What may stand where a number is wanted."""
    odd = ("0", "1", "-1", "+5", "0x5", " 7", "1.5", "1_0", "\xb2", "", "abc", "5, 5", "5;6", "9" * 30, "9" * 5000)
    return str(draw.below(3000)) if not draw.chance(2) else draw.one_of(odd)


def make(draw: Draw, name: str) -> bytes:
    """One document, more or less spoiled."""
    document = DOCUMENTS[name]
    while draw.chance(2):
        document = spoil(draw, document)
    return document


def spoil(draw: Draw, document: bytes) -> bytes:
    """One change."""
    tags = [at for at, byte in enumerate(document) if byte in b"<>"] or [0]
    at = min(len(document), draw.one_of(tags) + draw.below(2)) if draw.below(3) else draw.below(len(document) + 1)
    kind = draw.below(10)
    if kind == 0:
        return document[:at]
    if kind < 4:
        return document[:at] + word(draw) + document[at:]
    if kind == 4:
        return document[:at] + word(draw) + document[at + draw.below(20) :]
    if kind == 5:
        return document[:at] + document[at + draw.below(40) :]
    if kind == 6:
        end = at + draw.below(200)
        return document[:end] + document[at:end] + document[end:]
    if kind == 7:
        return draw.one_of(_PROLOGS) + document
    if kind == 8:
        other = DOCUMENTS[draw.one_of(list(DOCUMENTS))]
        return document[:at] + other + document[at:]
    return document[:at] + bytes((draw.byte(),)) + document[at + 1 :]
