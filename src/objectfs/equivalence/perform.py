"""One operation with one client."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from objectfs.client import Client
from objectfs.equivalence.outcome import Plain
from objectfs.equivalence.plan import PART_SIZE, Operation

__all__ = ["Performer"]

WRONG_ETAG = '"00000000000000000000000000000000"'


def content(size: int, salt: int) -> bytes:
    """The content of an object, the same wherever it is made."""
    return random.Random(salt).randbytes(size)


class Performer:
    """What one of the clients does.

    Args:
        client: the client; ``others`` makes one with other settings.
        folder: for files.
        prefixes: of side A and side B.
        own: which of them is this client's.
    """

    def __init__(
        self, client: Client, others: Any, bucket: str, folder: str, prefixes: tuple[str, str], own: int
    ) -> None:
        self._client, self._others, self._bucket, self._folder = client, others, bucket, folder
        self._prefixes, self._own = prefixes, own
        self._prefix = ""
        self._plain = Plain("", exact=False)

    def perform(self, operation: Operation) -> Any:
        """What came of it: a plain value, an error's too."""
        side = self._own if operation.side is None else operation.side
        self._prefix = self._prefixes[side]
        self._plain = Plain(self._prefix, exact=operation.side is not None)
        try:
            return getattr(self, operation.name)(**operation.args)
        except Exception as error:
            return self._plain.error(error)

    def _key(self, key: str) -> str:
        return self._prefix + key

    def _path(self, data: bytes | None = None) -> str:
        path = os.path.join(self._folder, f"file-{self._own}")
        if data is not None:
            with open(path, "wb") as file:
                file.write(data)
        return path

    # -- writing -----------------------------------------------------------------------------------------------------
    def put(self, key: str, size: int, salt: int, options: dict[str, Any]) -> Any:
        return self._plain.put(self._client.put(self._bucket, self._key(key), content(size, salt), **options))

    def put_file(self, key: str, size: int, salt: int, options: dict[str, Any]) -> Any:
        path = self._path(content(size, salt))
        return self._plain.put(self._client.put_file(self._bucket, self._key(key), path, **options))

    def put_stream(self, key: str, size: int, salt: int, piece: int, options: dict[str, Any]) -> Any:
        pieces = _pieces(content(size, salt), piece)
        return self._plain.put(self._client.put(self._bucket, self._key(key), pieces, **options))

    def put_many(self, keys: list[str], size: int, salt: int) -> Any:
        items = {self._key(key): content(size, salt + at) for at, key in enumerate(keys)}
        results = self._client.put_many(self._bucket, items)
        return {self._plain.key(key): self._plain.put(result) for key, result in results.items()}

    def put_large(self, key: str, size: int, salt: int, how: str, options: dict[str, Any]) -> Any:
        data, name = content(size, salt), self._key(key)
        if how == "memory":
            return self._plain.put(self._client.put(self._bucket, name, data, **options))
        if how == "file":
            return self._plain.put(self._client.put_file(self._bucket, name, self._path(data), **options))
        if how == "stream":
            return self._plain.put(self._client.put(self._bucket, name, _pieces(data, 1_000_000), **options))
        with self._client.open(self._bucket, name, "wb", **options) as file:
            file.write(data)
        return self._plain.info(self._client.head(self._bucket, name))

    def write(self, key: str, size: int, salt: int, text: bool) -> Any:
        data = content(size, salt)
        if text:
            with self._client.open(self._bucket, self._key(key), "w", encoding="utf-8", newline="\n") as words:
                words.write(data.hex())
        else:
            with self._client.open(self._bucket, self._key(key), "wb") as file:
                for piece in _pieces(data, 10_000):
                    file.write(piece)
        return self._plain.info(self._client.head(self._bucket, self._key(key)))

    def delete(self, key: str) -> Any:
        return self._client.delete(self._bucket, self._key(key))

    def delete_many(self, keys: list[str]) -> Any:
        failures = self._client.delete_many(self._bucket, [self._key(key) for key in keys])
        return {self._plain.key(key): self._plain.error(error) for key, error in failures.items()}

    def copy(self, source: str, key: str, options: dict[str, Any]) -> Any:
        bucket = self._bucket
        result = self._client.copy(bucket, self._key(source), bucket, self._key(key), **options)
        made = self._client.head(bucket, self._key(key))
        return [self._plain.put(result, made.size), self._plain.info(made)]

    def tagging(self, key: str, tags: dict[str, str]) -> Any:
        where: dict[str, Any] = {"Bucket": self._bucket, "Key": self._key(key)}
        made = self._client.call(
            "PutObjectTagging",
            **where,
            Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]},
        )
        found = self._client.call("GetObjectTagging", **where)
        return [self._plain.answer(made), self._plain.answer(found)]

    def upload_by_parts(self, key: str, ends: str) -> Any:
        where: dict[str, Any] = {"Bucket": self._bucket, "Key": self._key(key)}
        call, plain = self._client.call, self._plain.answer
        made = call("CreateMultipartUpload", **where, Metadata={"by": "parts"})
        upload: dict[str, Any] = {**where, "UploadId": made["UploadId"]}
        found = [plain(made)]
        try:
            parts = []
            for number, size in ((1, PART_SIZE), (2, 1000)):
                part = call("UploadPart", **upload, PartNumber=number, Body=content(size, number))
                parts.append({"PartNumber": number, "ETag": part["ETag"]})
                found.append(sorted(name for name in part if name != "ResponseMetadata"))
            listed = call("ListParts", **upload)
            found.append([[part["PartNumber"], part["Size"]] for part in listed["Parts"]])
            if ends in ("wrong etag", "no parts"):
                wrong = [] if ends == "no parts" else [{"PartNumber": 1, "ETag": WRONG_ETAG}]
                try:
                    call("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": wrong})
                except Exception as error:
                    found.append(self._plain.error(error))
            elif ends == "complete":
                done = call("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": parts})
                found.append({"ETag": self._plain.etag(done.get("ETag")), "Key": self._plain.key(done.get("Key"))})
                upload = {}
        finally:
            if upload:
                call("AbortMultipartUpload", **upload)
        return found

    # -- reading -----------------------------------------------------------------------------------------------------
    def _buffer(self, buffer: Any) -> Any:
        return [self._plain.content(buffer), self._plain.info(buffer.info, moved=True)]

    def get(self, key: str) -> Any:
        return self._buffer(self._client.get(self._bucket, self._key(key)))

    def get_range(self, key: str, start: int | None, end: int | None) -> Any:
        # the headers of the whole, of a range and of an empty one are each the backend's choice of a request
        return self._plain.content(self._client.get(self._bucket, self._key(key), start, end))

    def get_conditional(self, key: str, condition: str, holds: bool, head: bool) -> Any:
        name = self._key(key)
        info = self._client.head(self._bucket, name)
        value: Any
        if condition == "if_match":
            value = info.etag if holds else WRONG_ETAG
        elif condition == "if_none_match":
            value = WRONG_ETAG if holds else info.etag
        else:
            past = (condition == "if_modified_since") == holds
            value = datetime(2001, 1, 1, tzinfo=UTC) if past else (info.last_modified or _now()) + timedelta(0)
        options: Any = {condition: value}
        if head:
            return self._plain.info(self._client.head(self._bucket, name, **options))
        return self._buffer(self._client.get(self._bucket, name, **options))

    def get_into(self, key: str, room: int, start: int | None, end: int | None) -> Any:
        memory = bytearray(room)
        length = self._client.get_into(self._bucket, self._key(key), memory, start, end)
        return [length, self._plain.content(memory[:length])]

    def get_file(self, key: str, start: int | None, end: int | None) -> Any:
        path = self._path()
        info = self._client.get_file(self._bucket, self._key(key), path, start, end)
        with open(path, "rb") as file:
            return [self._plain.content(file.read()), info.size, info.etag]

    def get_many(self, keys: list[str], on_error: Any) -> Any:
        names = [self._key(key) for key in keys]
        return self._first_failure(lambda: self._many(self._client.get_many(self._bucket, names, on_error=on_error)))

    def iter_many(self, keys: list[str], on_error: Any) -> Any:
        names = [self._key(key) for key in keys]

        def ask() -> Any:
            pairs = list(self._client.iter_many(self._bucket, names, on_error=on_error, ordered=True))
            return [[self._plain.key(key) for key, _ in pairs], self._many([result for _, result in pairs])]

        return self._first_failure(ask)

    def _first_failure(self, ask: Any) -> Any:
        """Which of several failures is the first, nobody says."""
        try:
            return ask()
        except Exception as error:
            return {**self._plain.error(error), "key": "…"}

    def _many(self, results: list[Any]) -> Any:
        return [
            self._plain.error(each) if isinstance(each, Exception) else self._plain.content(each) for each in results
        ]

    def get_ranges(self, key: str, ranges: list[tuple[int, int]]) -> Any:
        return self._many(list(self._client.get_ranges(self._bucket, self._key(key), ranges)))

    def head(self, key: str) -> Any:
        return self._plain.info(self._client.head(self._bucket, self._key(key)))

    def exists(self, key: str) -> Any:
        return self._client.exists(self._bucket, self._key(key))

    def read(self, key: str, text: bool, steps: list[tuple[int, int]]) -> Any:
        if text:
            with self._client.open(self._bucket, self._key(key), "r", encoding="latin-1") as words:
                return self._plain.content(words.read().encode("latin-1"))
        found = []
        with self._client.open(self._bucket, self._key(key), "rb") as file:
            for position, size in steps:
                file.seek(position)
                found.append(self._plain.content(file.read(size)))
            found.append(str(file.seek(0, io.SEEK_END)))
        return found

    def list(
        self, prefix: str, delimiter: str | None, start_after: str | None, limit: int | None, page: int | None
    ) -> Any:
        if page is None:
            entries = self._client.list(
                self._bucket,
                self._key(prefix),
                delimiter,
                start_after=None if start_after is None else self._key(start_after),
                limit=limit,
            )
            return self._plain.entries(list(entries))
        # small pages, which only the operation itself has
        params: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._key(prefix), "MaxKeys": page}
        if delimiter is not None:
            params["Delimiter"] = delimiter
        found = []
        for _ in range(100):
            answer = self._client.call("ListObjectsV2", **params)
            found.append(
                {
                    "keys": [self._plain.key(each["Key"]) for each in answer.get("Contents", ())],
                    "prefixes": [self._plain.key(each["Prefix"]) for each in answer.get("CommonPrefixes", ())],
                    "truncated": answer.get("IsTruncated"),
                }
            )
            if not answer.get("IsTruncated"):
                break
            params["ContinuationToken"] = answer["NextContinuationToken"]
        return found

    def list_versions(self, prefix: str, delimiter: str | None, limit: int | None) -> Any:
        entries = self._client.list_versions(self._bucket, self._key(prefix), delimiter, limit=limit)
        return self._plain.entries(list(entries))

    def call_get(self, operation: str, key: str) -> Any:
        return self._plain.answer(self._client.call(operation, Bucket=self._bucket, Key=self._key(key)))

    # -- what is refused -----------------------------------------------------------------------------------------------
    def refused(self, what: str) -> Any:
        client, bucket, key = self._client, self._bucket, self._key("refused")
        nowhere = f"{bucket[:40]}-no-such-bucket"
        if what in ("wrong secret", "unknown key id", "anonymous"):
            return self._other(what)
        wrong: Any = 7
        attempts: dict[str, Any] = {
            "get of no bucket": lambda: client.get(nowhere, key),
            "put into no bucket": lambda: client.put(nowhere, key, b"x"),
            "list of no bucket": lambda: list(client.list(nowhere)),
            "head of no bucket": lambda: client.head(nowhere, key),
            "delete from no bucket": lambda: client.delete(nowhere, key),
            "empty key": lambda: client.get(bucket, ""),
            "long key": lambda: client.put(bucket, self._key("n" * 1100), b"x"),
            "bad bucket name": lambda: client.get("no bucket's name/", key),
            "no such upload": lambda: client.call(
                "UploadPart", Bucket=bucket, Key=key, UploadId="none", PartNumber=1, Body=b"x"
            ),
            "no such operation": lambda: client.call("GetNothing", Bucket=bucket),
            "missing parameter": lambda: client.call("GetObject", Bucket=bucket),
            "wrong checksum": lambda: client.put(bucket, key, b"x", expected_checksum=("SHA256", "A" * 43 + "=")),
            "wrong type": lambda: client.put(bucket, key, wrong),
            "no such version": lambda: client.get(bucket, key, version_id="none"),
            "no such file": lambda: client.put_file(bucket, key, os.path.join(self._folder, "none")),
            "folder in the way": lambda: client.get_file(bucket, key, self._folder),
        }
        return str(type(attempts[what]()).__name__)

    def _other(self, what: str) -> Any:
        other = self._others(what)
        found = []
        for attempt in (
            lambda: other.get(self._bucket, self._key("plain")),
            lambda: other.put(self._bucket, self._key("refused"), b"x"),
            lambda: list(other.list(self._bucket, self._prefix, limit=1)),
        ):
            try:
                attempt()
                found.append("done")
            except Exception as error:
                found.append(self._plain.error(error))
        return found

    def presign(self, method: Any, key: str) -> Any:
        url = self._client.presign(method, self._bucket, self._key(key), 600)
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        signed = {name: value for name, value in query if name not in ("X-Amz-Date", "X-Amz-Signature")}
        return [url.method, parts.scheme, parts.netloc, parts.path.replace(self._quoted(), ""), signed, url.headers]

    def _quoted(self) -> str:
        return self._prefix


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _now() -> datetime:
    return datetime.now(UTC)
