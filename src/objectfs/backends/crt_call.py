"""Any S3 operation, and presigned URLs: written and read by botocore, sent by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectfs import _native, errors
from objectfs.backends.base import Steps
from objectfs.backends.crt_base import CrtBase, one
from objectfs.backends.crt_errors import failure

__all__ = ["CallVerbs"]


class CallVerbs(CrtBase):
    """Verbs of CrtBackend."""

    def call(self, operation: str, params: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        bucket = params.get("Bucket")
        target = self.target(bucket if isinstance(bucket, str) and bucket else None)
        request = self.session.serialize(operation, params)
        body = request.body if isinstance(request.body, (bytes, bytearray)) else request.body.read()
        headers = dict(request.headers)
        if body or request.method in ("PUT", "POST"):
            headers["Content-Length"] = str(len(body))
        path = f"{request.path}?{request.query}" if request.query else request.path
        op = target.engine.start(
            [
                _native.Request(
                    operation.encode(),
                    request.method.encode(),
                    path.encode("ascii"),
                    target.native,
                    target.headers(headers),
                    body=bytes(body) or None,
                )
            ]
        )
        response = yield from one(op)
        key = params.get("Key")
        if response.status == 0:
            raise failure(response, operation, bucket, key)
        content = bytes(response.body) if response.body is not None else b""
        try:
            return request.parse(response.status, response.headers, content)
        except Exception as error:
            if isinstance(error, errors.ObjectFSError):
                raise
            answer = getattr(error, "response", None)
            details = answer.get("Error", {}) if isinstance(answer, dict) else {}
            code, message = details.get("Code"), details.get("Message")
            # botocore's own words, where the answer had none
            if not code or str(code).isdigit():
                code = message = None
            if response.status < 300 and message is None:
                message = "the server's answer cannot be read"
            raise errors.from_response(
                operation,
                status=response.status,
                code=code,
                message=message,
                bucket=bucket,
                key=key,
                headers=response.headers,
                crt_error=response.error,
            ) from None

    def presign(self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any]) -> str:
        return self.presigner.presign(method, bucket, key, expires, params)
