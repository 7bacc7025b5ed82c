"""How a request that is not on the hot path is written, and its answer read: by botocore, without a network.

The pipeline of botocore is used as it is, through its documented events: a ``before-send`` handler may answer
a request in the network's place. :meth:`Pipeline.serialize` takes the finished request out of that handler,
and :meth:`SerializedRequest.parse` runs the same call again with the server's answer put in. So every
customisation that botocore has for S3 (parameter aliases, error documents under status 200, decoded listings,
SSE-C digests) applies to the crt backend too, and none is written again here. A call costs about 1 ms of CPU:
for hot verbs that is too much, and the crt backend writes those itself.
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from objectfs.backends.refusals import parameter_error
from objectfs.errors import InvalidRequestError

__all__ = ["Pipeline", "SerializedRequest"]

_ENGINE_HEADERS = frozenset(
    (
        "host",
        "content-length",
        "user-agent",
        "expect",
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "x-amzn-trace-id",
    )
)


class _Captured(BaseException):
    """Carries the finished request out of botocore's pipeline; no ``Exception``, so that no handler retries
    it."""


@dataclasses.dataclass(slots=True)
class SerializedRequest:
    """An unsigned request, ready for an engine that signs and sends."""

    operation: str
    params: Mapping[str, Any] = dataclasses.field(repr=False)  # may hold an SSE-C key, as may the headers
    method: str
    scheme: str
    host: str
    port: int
    path: str
    """Percent-encoded, with the bucket where it is path style."""
    query: str
    """Without the question mark; percent-encoded."""
    headers: dict[str, str] = dataclasses.field(repr=False)
    """Without Host, Content-Length, User-Agent and what a signer adds."""
    body: Any = dataclasses.field(repr=False)
    """bytes, or a binary file object."""
    signing_region: str
    signing_name: str
    _pipeline: Pipeline = dataclasses.field(repr=False)

    def parse(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """The answer as botocore shapes it; errors are raised as botocore's ClientError."""
        return self._pipeline.parse(self, status, headers, body)


class _Raw(io.BytesIO):
    """A received body in the place of urllib3's response."""

    def stream(self, amt: int = 65536, decode_content: bool | None = None) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk


class _Exchange(threading.local):
    """What the events of the call on this thread are to do."""

    active = False
    answer: tuple[int, Mapping[str, str], bytes] | None = None
    signing: Mapping[str, Any] = {}
    request: Any = None


class Pipeline:
    """botocore's pipeline for S3 with nothing at its end. May be used from any thread.

    Args:
        create_client: makes a botocore S3 client with the given settings of botocore's Config.
        region: what requests are signed for where botocore names no region.
    """

    def __init__(self, create_client: Callable[..., Any], region: str) -> None:
        import botocore

        self._region = region
        self._exchange = _Exchange()
        self._client = create_client(
            signature_version=botocore.UNSIGNED,
            retries={"total_max_attempts": 1},
            # the engine adds checksums of bodies; what S3 requires of small documents, botocore adds
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        events = self._client.meta.events
        events.register_first("before-call.s3", self._on_call)
        events.register_last("request-created.s3", self._on_created)
        events.register_first("before-send.s3", self._on_send)

    @property
    def service_model(self) -> Any:
        """botocore's model of S3."""
        return self._client.meta.service_model

    def method_name(self, operation: str) -> str:
        """The method of a botocore client for an operation: ``get_object`` for ``GetObject``.

        Raises:
            InvalidRequestError: S3 has no such operation.
        """
        from botocore import xform_name

        known = self.service_model.operation_names
        if operation not in known:
            near = difflib.get_close_matches(str(operation), known, 1)
            raise InvalidRequestError(
                f"{operation!r} is no operation of S3", hint=f"Did you mean {near[0]!r}?" if near else None
            )
        name: str = xform_name(operation)
        return name

    def serialize(self, operation: str, params: Mapping[str, Any]) -> SerializedRequest:
        """The unsigned request for any operation of the S3 model, with botocore's parameter names.

        Raises:
            InvalidRequestError: there is no such operation, or a parameter is unknown, missing or of a wrong
                type.
        """
        try:
            self._call(operation, params, None)
        except _Captured:
            request = self._exchange.request
            signing = self._exchange.signing
            self._exchange.request = None
            return self._serialized(operation, params, request, signing)
        raise AssertionError("botocore answered without sending")  # pragma: no cover

    def parse(self, request: SerializedRequest, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """What botocore makes of an answer. Errors come out as botocore's ClientError."""
        rewind = getattr(request.body, "seek", None)
        if rewind is not None:
            rewind(0)
        result: dict[str, Any] = self._call(request.operation, request.params, (status, headers, body))
        return result

    def _call(self, operation: str, params: Mapping[str, Any], answer: Any) -> Any:
        method = self.method_name(operation)
        exchange = self._exchange
        exchange.active, exchange.answer = True, answer
        try:
            return getattr(self._client, method)(**params)
        except TypeError as error:
            raise InvalidRequestError(str(error), operation=operation) from None
        except Exception as error:
            if answer is not None and isinstance(getattr(error, "response", None), dict):
                raise
            raise parameter_error(error, operation, params.get("Bucket"), params.get("Key")) from None
        finally:
            exchange.active, exchange.answer = False, None

    def _on_call(self, params: dict[str, Any], **_: Any) -> None:
        # trailing checksums make the body chunked, which is the signer's business and not ours: use the
        # header
        algorithm = params.get("context", {}).get("checksum", {}).get("request_algorithm")
        if isinstance(algorithm, dict) and algorithm.get("in") == "trailer":
            algorithm["in"] = "header"

    def _on_created(self, request: Any, **_: Any) -> None:
        self._exchange.signing = dict(request.context.get("signing") or {})

    def _on_send(self, request: Any, **_: Any) -> Any:
        if self._exchange.answer is None:
            self._exchange.request = request
            raise _Captured
        from botocore.awsrequest import AWSResponse, HeadersDict

        status, headers, body = self._exchange.answer
        received: Any = HeadersDict(dict(headers))
        return AWSResponse(request.url, status, received, _Raw(body))

    def _serialized(
        self, operation: str, params: Mapping[str, Any], request: Any, signing: Mapping[str, Any]
    ) -> SerializedRequest:
        url = urlsplit(request.url)
        headers = {}
        for name, value in request.headers.items():
            if name.lower() not in _ENGINE_HEADERS:
                headers[name] = value.decode("utf-8") if isinstance(value, bytes) else str(value)
        body = request.body
        if body is None:
            body = b""
        elif isinstance(body, str):
            body = body.encode("utf-8")
        return SerializedRequest(
            operation=operation,
            params=params,
            method=request.method,
            scheme=url.scheme,
            host=url.hostname or "",
            port=url.port or (443 if url.scheme == "https" else 80),
            path=url.path or "/",
            query=url.query,
            headers=headers,
            body=body,
            signing_region=signing.get("region") or self._region,
            signing_name=signing.get("signing_name") or "s3",
            _pipeline=self,
        )
