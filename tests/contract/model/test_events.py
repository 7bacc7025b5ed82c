"""Event streams through ``call``: SelectObjectContent, event by event, and what becomes of damaged ones."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest

import objectfs
from objectfs import errors

from .conftest import settings
from .recorder import Recorder, answer, chunked

PARAMS: dict[str, Any] = {
    "Bucket": "b",
    "Key": "k",
    "Expression": "SELECT * FROM S3Object",
    "ExpressionType": "SQL",
    "InputSerialization": {"CSV": {}},
    "OutputSerialization": {"CSV": {}},
}


def frame(headers: dict[str, str], payload: bytes = b"") -> bytes:
    """One message of the stream, as AWS's documentation of SelectObjectContent draws it."""
    fields = b""
    for name, value in headers.items():
        text = value.encode()
        fields += bytes((len(name),)) + name.encode() + b"\x07" + len(text).to_bytes(2, "big") + text
    prelude = (16 + len(fields) + len(payload)).to_bytes(4, "big") + len(fields).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + fields + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


def event(kind: str, payload: bytes = b"", content_type: str = "text/xml") -> bytes:
    return frame({":message-type": "event", ":event-type": kind, ":content-type": content_type}, payload)


def failure(code: str, message: str) -> bytes:
    return frame({":message-type": "error", ":error-code": code, ":error-message": message})


def numbers(kind: str) -> bytes:
    inner = "<BytesScanned>512</BytesScanned><BytesProcessed>1024</BytesProcessed><BytesReturned>2</BytesReturned>"
    return event(kind, f"<{kind}>{inner}</{kind}>".encode())


RECORDS = [b"1,2\n", "ä,鍵\n".encode(), bytes(range(256)) * 700]
STREAM = [
    event("Cont"),
    event("Records", RECORDS[0], "application/octet-stream"),
    numbers("Progress"),
    event("Records", RECORDS[1], "application/octet-stream"),
    event("Records", RECORDS[2], "application/octet-stream"),
    numbers("Stats"),
    event("End"),
]
DETAILS = {"Details": {"BytesScanned": 512, "BytesProcessed": 1024, "BytesReturned": 2}}
EVENTS = [
    {"Cont": {}},
    {"Records": {"Payload": RECORDS[0]}},
    {"Progress": DETAILS},
    {"Records": {"Payload": RECORDS[1]}},
    {"Records": {"Payload": RECORDS[2]}},
    {"Stats": DETAILS},
    {"End": {}},
]


def select(recorder: Recorder, client: objectfs.Client, body: bytes) -> Any:
    reply = answer(200, [("x-amz-request-id", "REQUEST")], body)
    recorder.handle = lambda _: reply
    return client.call("SelectObjectContent", **PARAMS)["Payload"]


def test_events(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    for client in clients.values():
        assert list(select(recorder, client, b"".join(STREAM))) == EVENTS
        reply = chunked(b"".join(STREAM))
        recorder.handle = lambda _, reply=reply: reply  # type: ignore[misc]
        with client.call("SelectObjectContent", **PARAMS)["Payload"] as payload:
            assert next(iter(payload)) == EVENTS[0]
            assert list(payload) == EVENTS[1:]  # it goes on where it was
            assert list(payload) == []
        closed = select(recorder, client, b"".join(STREAM))
        closed.close()
        assert list(closed) == []


def test_events_async(recorder: Recorder, clients: dict[str, objectfs.Client]) -> None:
    reply = answer(200, (), b"".join(STREAM))
    recorder.handle = lambda _: reply

    async def collect(name: str) -> list[Any]:
        async with objectfs.AsyncClient(**settings(recorder, name)) as client:
            payload = (await client.call("SelectObjectContent", **PARAMS))["Payload"]
            return [item async for item in payload]

    for name in clients:
        assert asyncio.run(collect(name)) == EVENTS


def test_errors_within(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    for client in clients.values():
        for code, kind in (
            ("CSVParsingError", errors.InvalidRequestError),
            ("InternalError", errors.ServerError),
            ("SlowDown", errors.ThrottledError),
            ("AccessDenied", errors.AccessDeniedError),
        ):
            payload = select(recorder, client, STREAM[1] + failure(code, "line 2 & <more>") + STREAM[-1])
            assert next(iter(payload)) == EVENTS[1]
            with pytest.raises(errors.ObjectFSError) as caught:
                list(payload)
            assert type(caught.value) is kind
            found = caught.value
            assert (found.operation, found.bucket, found.key) == ("SelectObjectContent", "b", "k")
            assert (found.status, found.code, found.message) == (200, code, "line 2 & <more>")
            assert found.request_id == "REQUEST"


def test_cut_short(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """Wherever a stream ends before its end, that is an error, and never a short result."""
    whole = b"".join(STREAM[:3] + STREAM[5:])
    ends = {0, len(whole) - len(STREAM[-1]), *range(1, len(whole), 37), *range(len(whole) - 20, len(whole))}
    for client in clients.values():
        for end in sorted(ends):
            payload = select(recorder, client, whole[:end])
            with pytest.raises(errors.TruncatedError) as caught:
                list(payload)
            assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("SelectObjectContent", "b", "k")


def test_damaged(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """Every byte of an event is under one of its two checksums."""
    first, rest = STREAM[1], b"".join(STREAM[2:])
    for client in clients.values():
        for place in range(len(first)):
            damaged = bytearray(first)
            damaged[place] ^= 0x10
            payload = select(recorder, client, bytes(damaged) + rest)
            with pytest.raises(errors.ChecksumError):
                list(payload)


def test_unreadable(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """What is sound by its checksums, and makes no sense."""
    twice = frame({":message-type": "event", ":event-type": "Records"})
    headers = b"\x01a\x07\x00\x01b" * 2
    prelude = (16 + len(headers)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers
    doubled = message + zlib.crc32(message).to_bytes(4, "big")
    huge = (2**30).to_bytes(4, "big") + (2**29).to_bytes(4, "big")
    for client in clients.values():
        for body in (doubled, huge + zlib.crc32(huge).to_bytes(4, "big"), event("Stats", b"<Stats><no")):
            with pytest.raises((errors.ServerError, errors.TruncatedError)):
                list(select(recorder, client, body + STREAM[-1]))
        # of a kind that nobody knows yet: passed over, as AWS's SDKs do
        assert list(select(recorder, client, event("Novelty", b"x") + twice + STREAM[-1]))[-1] == {"End": {}}


def test_connection_lost(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    reply = chunked(b"".join(STREAM[:4]), end=b"")
    short = answer(200, [("Connection", "close")], STREAM[0], length=len(STREAM[0]) + 10)
    for client in clients.values():
        for sent in (reply, short):
            recorder.handle = lambda _, sent=sent: sent  # type: ignore[misc]
            with pytest.raises(errors.TruncatedError) as caught:
                client.call("SelectObjectContent", **PARAMS)
            assert caught.value.operation == "SelectObjectContent"
