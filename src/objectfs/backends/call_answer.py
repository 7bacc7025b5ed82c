"""What ``call`` gives back: botocore's shapes, with streams that are all there and event streams that end."""

from __future__ import annotations

import io
import struct
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from typing import Any

from objectfs import errors
from objectfs.backends.answers import number

__all__ = ["EventStream", "received"]

_PIECE = 64 * 1024
"""Bytes that botocore's decoder is given at a time: it copies what it has left with each event."""


def received(response: dict[str, Any], operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """An answer of botocore's with its stream in memory: reading it is part of the request, and fails as one.

    A body becomes a :class:`botocore.response.StreamingBody` over memory, an event stream an :class:`EventStream`.
    """
    from botocore import eventstream
    from botocore.response import StreamingBody

    # botocore was allowed one attempt; those that were made are counted elsewhere
    response.get("ResponseMetadata", {}).pop("MaxAttemptsReached", None)
    for name, value in response.items():
        if isinstance(value, StreamingBody):
            try:
                data = value.read()
            finally:
                value.close()
            response[name] = StreamingBody(io.BytesIO(data), len(data))
        elif isinstance(value, eventstream.EventStream):
            metadata = response.get("ResponseMetadata", {})
            headers = {key.lower(): str(text) for key, text in metadata.get("HTTPHeaders", {}).items()}
            try:
                data = b"".join(value._raw_stream.stream())
            finally:
                value.close()
            length = number(headers.get("content-length"))
            if length is not None and length != len(data):
                raise errors.TruncatedError(f"{len(data)} of {length} bytes of the answer arrived")
            response[name] = EventStream(data, value, operation, params, headers)
    return response


class EventStream:
    """The events of an answer (``Payload`` of SelectObjectContent), once: ``for`` and ``async for`` both do.

    Each event is a dict with one name: ``{"Records": {"Payload": b"…"}}``, ``Stats``, ``Progress``, ``Cont``, ``End``.

    Iteration raises:
        ChecksumError: the bytes of an event are not those that were sent.
        TruncatedError: the stream ended within an event, or before its ``End``: the result is not all there.
        ServerError: it cannot be read otherwise.
        ObjectFSError: of another class: the error that the server put into the stream.
    """

    def __init__(
        self, data: bytes, source: Any, operation: str, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> None:
        self._data = memoryview(data)
        self._parser, self._shape = source._parser, source._output_shape
        self._where = (operation, params.get("Bucket"), params.get("Key"))
        self._headers = headers
        self._events = self._iterate()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._events

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._aiterate()

    async def _aiterate(self) -> AsyncIterator[dict[str, Any]]:
        for event in self._events:
            yield event

    def close(self) -> None:
        """Let go of what has not been looked at. Iteration then ends."""
        self._events.close()
        self._data = memoryview(b"")

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _iterate(self) -> Generator[dict[str, Any], None, None]:
        ended = False
        try:
            for message in self._messages():
                event = self._parse(message)
                ended = ended or "End" in event
                if event:  # of a kind that botocore does not know: nothing that it could tell
                    yield event
        except errors.ObjectFSError as error:
            raise error.about(*self._where) from None
        if not ended:
            raise errors.TruncatedError("the event stream ended without its End event").about(*self._where)

    def _messages(self) -> Iterator[Any]:
        from botocore import eventstream

        buffer = eventstream.EventStreamBuffer()
        used = 0
        for start in range(0, len(self._data), _PIECE):
            buffer.add_data(bytes(self._data[start : start + _PIECE]))
            while True:
                try:
                    message = next(buffer, None)
                except eventstream.ChecksumMismatch as error:
                    raise errors.ChecksumError(f"an event of the stream is damaged: {error}") from None
                except (eventstream.ParserError, struct.error, ValueError, LookupError, TypeError):
                    raise errors.ServerError("the event stream cannot be read") from None
                if message is None:
                    break
                used += message.prelude.total_length
                yield message
        if used != len(self._data):
            raise errors.TruncatedError("the event stream ended within an event")

    def _parse(self, message: Any) -> dict[str, Any]:
        raw = message.to_response_dict()
        try:
            event: dict[str, Any] = self._parser.parse(raw, self._shape)
        except Exception:  # what a parser raises on a document that is none
            raise errors.ServerError("an event of the stream cannot be read") from None
        if raw["status_code"] == 200:
            return event
        detail = event.get("Error", {})
        code = detail.get("Code") or raw["headers"].get(":error-code")
        error = errors.from_response(
            self._where[0],
            status=500 if code == "InternalError" else 400,
            code=code,
            message=detail.get("Message") or raw["headers"].get(":error-message"),
            headers=self._headers,
        )
        error.status = 200  # is what the server answered before it found out
        raise error
