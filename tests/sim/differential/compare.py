"""What is compared of two answers: status, code, the headers that S3 documents, and the body element by element.

What must differ is taken out: times, request ids, owners, upload and version ids, the bucket's name.
"""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from .wire import Answer, Sender

HEADERS = re.compile(
    r"etag|content-(type|range|length|encoding|disposition|language)|cache-control|expires|accept-ranges|location"
    r"|x-amz-(meta-.*|version-id|delete-marker|tagging-count|mp-parts-count|checksum-.*|storage-class"
    r"|copy-source-version-id|bucket-region|website-redirect-location)"
)
_TIMES = {"LastModified", "Initiated", "CreationDate"}
_OWNERS = {"Owner", "Initiator"}
_TOKENS = {"ContinuationToken", "NextContinuationToken"}
_ERRORS = {"Code"}
Facts = dict[str, str]


def facts(answer: Answer, sender: Sender, method: str) -> Facts:
    """Path to value. What one answer does not have is not in its facts."""
    found: Facts = {"status": str(answer.status)}
    body: Facts = {}
    root = _parse(answer.body) if answer.headers.get("content-type", "").partition(";")[0] in _XML else None
    if root is not None:
        _decode(root)
    if root is not None and root.tag == "Error":
        found["code"] = root.findtext("Code") or ""
        return found
    if root is not None:
        _flatten(root, root.tag, body)
    elif answer.body:
        body["body"] = answer.body[:200].decode("latin-1")
        body["size"] = str(len(answer.body))
    if answer.status < 300:
        found |= {
            f"header.{name}": _clean(name, value, sender)
            for name, value in answer.headers.items()
            if HEADERS.fullmatch(name) and not (name == "content-length" and (root is not None or method != "HEAD"))
        }
    found |= {name: _clean(name, value, sender) for name, value in body.items()}
    return found


_XML = {"application/xml", "text/xml"}
_ENCODED = {"Key", "Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker"}


def _decode(root: ET.Element) -> None:
    """Which characters encoding-type=url leaves alone is the server's choice."""
    if root.findtext("EncodingType") == "url":
        for node in root.iter():
            if node.tag in _ENCODED and node.text:
                node.text = unquote_plus(node.text)


def _parse(body: bytes) -> ET.Element | None:
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        return None
    for node in root.iter():
        node.tag = node.tag.partition("}")[2] if "}" in node.tag else node.tag
    return root


def _flatten(node: ET.Element, path: str, out: Facts) -> None:
    children = list(node)
    if node.tag in ("TagSet", "DeleteResult"):
        # Tags have no order, nor has what is deleted at once.
        children.sort(key=lambda child: child.findtext("Key") or "")
    name = path.rpartition(".")[2]
    if name in _OWNERS:
        out[path] = "an owner"
    elif not children:
        out[path] = node.text or ""
    counts = Counter(child.tag for child in children)
    seen: Counter[str] = Counter()
    repeated = {"Contents", "CommonPrefixes", "Version", "DeleteMarker", "Part", "Upload", "Tag", "Deleted", "Error"}
    for child in children:
        if name in _OWNERS:
            break
        step = child.tag
        if step in repeated or counts[step] > 1:
            step = f"{child.tag}.{seen[child.tag]}"
            seen[child.tag] += 1
        _flatten_child(child, f"{path}.{step}", out)


def _flatten_child(child: ET.Element, path: str, out: Facts) -> None:
    if child.tag in _TIMES:
        out[path] = "a time" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", child.text or "") else "no time"
    elif child.tag in _OWNERS:
        out[path] = "an owner"
    elif child.tag in _TOKENS:
        out[path] = "a token"
    else:
        _flatten(child, path, out)


def _clean(name: str, value: str, sender: Sender) -> str:
    last = name.rpartition(".")[2]
    if last in ("VersionId", "x-amz-version-id", "VersionIdMarker", "NextVersionIdMarker", "DeleteMarkerVersionId"):
        return value if value in ("null", "") else "an id"
    if last in ("UploadId", "NextUploadIdMarker", "UploadIdMarker"):
        return "an id" if value else ""
    value = value.replace(sender.bucket, "BUCKET").replace(sender.host, "HOST")
    if last.lower() == "etag":
        return value if value.startswith('"') and value.endswith('"') else f"unquoted {value}"
    return value


def differences(ours: Facts, theirs: Facts) -> list[tuple[str, str, str]]:
    """(path, ours, theirs), with ``-`` for what is absent. Where the outcome differs, no more is said."""
    for path in ("status", "code"):
        if ours.get(path) != theirs.get(path):
            pair = [f"{side.get('status')} {side.get('code', '')}".strip() for side in (ours, theirs)]
            return [("outcome", *pair)]  # type: ignore[list-item]
    paths = sorted(ours.keys() | theirs.keys())
    return [(path, ours.get(path, "-"), theirs.get(path, "-")) for path in paths if ours.get(path) != theirs.get(path)]
