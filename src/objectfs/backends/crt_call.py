"""Any S3 operation, and presigned URLs: written and read by botocore, sent by the engine.

docs/design/0008-call.md says what is decided here, and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from objectfs import _native, errors
from objectfs.backends.answer_check import MISREAD, unreadable
from objectfs.backends.base import Steps
from objectfs.backends.call_answer import received
from objectfs.backends.call_params import ENGINE_ALGORITHMS, Body, check_names, choose_algorithm, content_member
from objectfs.backends.crt_base import CrtBase
from objectfs.backends.crt_checksum import is_refusal
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_steps import one
from objectfs.backends.pipeline import SerializedRequest
from objectfs.backends.sdk_errors import translate, worth_another_attempt
from objectfs.backends.session import Endpoint
from objectfs.options import Options
from objectfs.types import PresignedPost, PresignedUrl

__all__ = ["CallVerbs"]


class CallVerbs(CrtBase):
    """Verbs of CrtBackend."""

    _refuses_checksums = False
    """Whether the endpoint was found to take no checksum of botocore's."""

    def call(self, operation: str, params: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        self.check_usable()
        model = check_names(self.session.pipeline().service_model, operation, params)
        algorithm = choose_algorithm(model, params, self.config.checksum)
        params = dict(params)
        content = content_member(model)
        if content in params:
            body = Body(params[content])
            if body.sendable:
                params[content] = body.data()
        native = algorithm if algorithm in ENGINE_ALGORITHMS else None
        if native is not None and content is None:
            raise errors.UnsupportedError(
                f"{algorithm} of a document cannot be computed",
                operation=operation,
                bucket=params.get("Bucket"),
                hint="Use ChecksumAlgorithm='CRC32'",
            )
        if native is not None:
            params.pop("ChecksumAlgorithm", None)
        elif algorithm is not None:
            params["ChecksumAlgorithm"] = algorithm
        attempt = 0
        followed = False
        bucket = params.get("Bucket")
        checksums = native is None and self.checksums.algorithm is not None and not self._refuses_checksums
        while True:
            attempt += 1
            region = self.session.learned_region(bucket)
            request = self.session.serialize(operation, params, checksums)
            response = yield from self._send(request, native)
            try:
                answer = self._read(request, response)
            except errors.ObjectFSError as error:
                error.about(operation, params.get("Bucket"), params.get("Key"))
                if not followed and self.worth_repeating(bucket, error, region):
                    followed, attempt = True, attempt - 1
                elif (
                    checksums
                    and content in params
                    and self.config.checksum == "auto"
                    and not (self.checksums.settled and self.checksums.algorithm)
                    and is_refusal(error)
                ):
                    checksums, attempt = False, attempt - 1
                elif (
                    # what the C library reports it has tried again already, but for a wrong checksum
                    (response.error_code and not isinstance(error, errors.ChecksumError))
                    or not worth_another_attempt(error)
                    or attempt >= self.config.max_attempts
                ):
                    raise
            else:
                if content in params and self.config.checksum == "auto":
                    self._refuses_checksums = not checksums and native is None
                return answer

    def _send(self, request: SerializedRequest, algorithm: str | None) -> Steps[_native.Response]:
        bucket = request.params.get("Bucket")
        endpoint = Endpoint(
            scheme=request.scheme,
            host=request.host,
            port=request.port,
            path_prefix="",
            virtual_host=False,
            signing_region=request.signing_region,
            signing_name=request.signing_name,
            sessions=request.sessions,
        )
        yield from self.ready(bucket, endpoint)
        target = self.target_at(bucket, endpoint)
        body = request.body if isinstance(request.body, (bytes, bytearray)) else request.body.read()
        headers = dict(request.headers)
        if body or request.method in ("PUT", "POST"):
            headers["Content-Length"] = str(len(body))
        asks = any(name.lower() == "x-amz-checksum-mode" for name in headers)
        path = f"{request.path}?{request.query}" if request.query else request.path
        op = target.engine.start(
            [
                _native.Request(
                    request.operation.encode(),
                    request.method.encode(),
                    path.encode("ascii"),
                    target.native,
                    target.headers(headers),
                    body=bytes(body) or None,
                    checksum=algorithm,
                    # also by CRC64NVME, S3's own default, which botocore needs awscrt for
                    validate="request" if asks and request.operation == "GetObject" else None,
                )
            ]
        )
        response = yield from one(op)
        return response

    def _read(self, request: SerializedRequest, response: _native.Response) -> dict[str, Any]:
        operation, params, status = request.operation, request.params, response.status
        bucket, key = params.get("Bucket"), params.get("Key")
        content = bytes(response.body or b"")
        if status == 0 or (response.error_code and status < 300 and b"<Error" not in content[:1024]):
            raise failure(response, operation, bucket, key)
        response.take_body()
        headers = response.headers
        try:
            return received(request.parse(status, response.fields, content), operation, params)
        except errors.ObjectFSError:
            raise
        except MISREAD:
            raise unreadable(status, headers) from None
        except Exception as error:
            found = translate(error, operation, bucket, key, status)
            if found is error:
                raise
            if isinstance(found, errors.ObjectFSError):
                found.crt_error = response.error
            raise found from None

    def presign(
        self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any], options: Options
    ) -> PresignedUrl:
        self.check_usable()
        return self.presigner.presign(method, bucket, key, expires, params, options)

    def presign_post(
        self, bucket: str, key: str, expires: int, fields: Mapping[str, str], conditions: Sequence[Any]
    ) -> PresignedPost:
        self.check_usable()
        return self.presigner.presign_post(bucket, key, expires, fields, conditions)
