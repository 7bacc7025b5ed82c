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
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from objectfs.backends.answer_check import check_answer
from objectfs.backends.botocore_hooks import first_look
from objectfs.backends.call_params import check_names, content_member
from objectfs.backends.refusals import parameter_error
from objectfs.errors import InvalidRequestError

__all__ = ["Pipeline", "SerializedRequest"]

Fields = Sequence[tuple[str, str]]
"""An answer's headers as they came: (name, value)."""

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
    sessions: bool
    """Whether it is signed with what CreateSession gives (directory buckets)."""
    _pipeline: Pipeline = dataclasses.field(repr=False)

    def parse(self, status: int, headers: Fields, body: bytes) -> dict[str, Any]:
        """The answer as botocore shapes it; errors are raised as botocore raises them."""
        return self._pipeline.parse(self, status, headers, body)


class _Raw(io.BytesIO):
    """A received body in the place of urllib3's response."""

    def stream(self, amt: int = 65536, decode_content: bool | None = None) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk


class _Exchange(threading.local):
    """What the events of the call on this thread are to do."""

    active = False
    answer: tuple[int, Fields, bytes] | None = None
    signing: Mapping[str, Any] = {}
    request: Any = None


class Pipeline:
    """botocore's pipeline for S3 with nothing at its end. May be used from any thread.

    Args:
        create_client: makes a botocore S3 client with the given settings of botocore's Config.
        region: what requests are signed for where botocore names no region.
        checksums: uploads carry a checksum where S3 takes one, answers are validated; else only where S3 insists.
    """

    def __init__(self, create_client: Callable[..., Any], region: str, checksums: bool = True) -> None:
        self._create_client = create_client
        self._region = region
        self._checksums = checksums
        self._exchange = _Exchange()
        self._lock = threading.Lock()
        self._clients: dict[bool, Any] = {}

    def _client(self, checksums: bool) -> Any:
        with self._lock:
            found = self._clients.get(checksums)
            if found is None:
                found = self._clients[checksums] = self._make_client(checksums)
            return found

    def _make_client(self, checksums: bool) -> Any:
        client = self._create_client(
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_supported" if checksums else "when_required",
            response_checksum_validation="when_supported" if self._checksums else "when_required",
        )
        events = client.meta.events
        # the engine signs. Of a client that is told not to sign, the endpoint's rules would not say for whom
        events.unregister("request-created.s3", client._request_signer.handler)
        events.register_first("before-call.s3", self._on_call)
        events.register_last("request-created.s3", self._on_created)
        events.register_first("before-send.s3", self._on_send)
        first_look(client, self._on_answer)
        return client

    @property
    def service_model(self) -> Any:
        """botocore's model of S3."""
        return self._client(self._checksums).meta.service_model

    def serialize(self, operation: str, params: Mapping[str, Any], checksums: bool | None = None) -> SerializedRequest:
        """The unsigned request for any operation of the S3 model, with botocore's parameter names.

        Args:
            checksums: False for an endpoint that takes none where S3 does not insist; as configured if not given.

        Raises:
            InvalidRequestError: there is no such operation, or a parameter is unknown, missing or of a wrong type.
        """
        client = self._client(self._checksums if checksums is None else checksums)
        check_names(client.meta.service_model, operation, params)
        exchange = self._exchange
        exchange.active, exchange.answer = True, None
        try:
            getattr(client, _method(operation))(**params)
        except _Captured:
            request, exchange.request = exchange.request, None
            return self._serialized(operation, params, request)
        except TypeError as error:
            raise InvalidRequestError(str(error), operation=operation) from None
        except Exception as error:
            raise parameter_error(error, operation, params.get("Bucket"), params.get("Key")) from None
        finally:
            exchange.active = False
        raise AssertionError("botocore answered without sending")  # pragma: no cover

    def parse(self, request: SerializedRequest, status: int, headers: Fields, body: bytes) -> dict[str, Any]:
        """What botocore makes of an answer. Errors come out as botocore has them."""
        client = self._client(self._checksums)
        params = dict(request.params)
        content = content_member(client.meta.service_model.operation_model(request.operation))
        if content in params:  # it has been sent, and nothing of an answer depends on it
            params[content] = b""
        exchange = self._exchange
        exchange.active, exchange.answer = True, (status, headers, body)
        try:
            result: dict[str, Any] = getattr(client, _method(request.operation))(**params)
        finally:
            exchange.active, exchange.answer = False, None
        return result

    def _on_call(self, params: dict[str, Any], **_: Any) -> None:
        # trailing checksums make the body chunked, which is the signer's business and not ours: use the
        # header
        algorithm = params.get("context", {}).get("checksum", {}).get("request_algorithm")
        if isinstance(algorithm, dict) and algorithm.get("in") == "trailer":
            algorithm["in"] = "header"

    def _on_created(self, request: Any, **_: Any) -> None:
        context = request.context
        self._exchange.signing = {"type": context.get("auth_type"), **(context.get("signing") or {})}

    def _on_answer(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        check_answer(operation_model, response_dict)

    def _on_send(self, request: Any, **_: Any) -> Any:
        if self._exchange.answer is None:
            self._exchange.request = request
            raise _Captured
        from botocore.awsrequest import AWSResponse, HeadersDict

        status, headers, body = self._exchange.answer
        received: Any = HeadersDict()
        for name, value in headers:
            received[name] = f"{received[name]}, {value}" if name in received else value
        return AWSResponse(request.url, status, received, _Raw(body))

    def _serialized(self, operation: str, params: Mapping[str, Any], request: Any) -> SerializedRequest:
        signing = self._exchange.signing
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
            sessions=signing.get("type") == "v4-s3express",
            _pipeline=self,
        )


def _method(operation: str) -> str:
    from botocore import xform_name

    name: str = xform_name(operation)
    return name
