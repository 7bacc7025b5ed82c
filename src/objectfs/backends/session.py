"""What botocore decides for both backends: who asks (credentials), where (region, endpoint), and how a
request that is not on the hot path is written and its answer read.

botocore is imported with the first use of a :class:`Session`, never with ``import objectfs``.

The pipeline of botocore is used as it is, through its documented events: a ``before-send`` handler may answer
a request in the network's place. :meth:`Session.serialize` takes the finished request out of that handler,
and :meth:`SerializedRequest.parse` runs the same call again with the server's answer put in. So every
customisation that botocore has for S3 (parameter aliases, error documents under status 200, decoded listings,
SSE-C digests) applies to the crt backend too, and none is written again here. A call costs about 1 ms of CPU:
for hot verbs that is too much, and the crt backend writes those itself.
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from objectfs.backends.botocore_hooks import install, tolerant_session
from objectfs.config import Config
from objectfs.errors import ConfigError, CredentialsError, InvalidRequestError

__all__ = ["Endpoint", "SerializedRequest", "Session"]

_PLACEHOLDER_KEY = "k"
_PRESIGNABLE = {"get": "get_object", "put": "put_object", "head": "head_object", "delete": "delete_object"}


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests to a bucket go."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """Without the port."""
    port: int
    path_prefix: str
    """What stands before ``/key``, percent-encoded: ``""`` with virtual hosts, ``/bucket`` with path
    style."""
    virtual_host: bool
    signing_region: str
    signing_name: str

    @property
    def host_header(self) -> str:
        """The value of ``Host``: with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


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
    _session: Session = dataclasses.field(repr=False)

    def parse(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """The answer as botocore shapes it; errors are raised as botocore's ClientError."""
        return self._session.parse(self, status, headers, body)


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


class Session:
    """Credentials, region, endpoints and the service model, from a :class:`~objectfs.config.Config`.

    May be used from any thread.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.RLock()
        self._core: Any = None
        self._serializer: Any = None
        self._presigner: Any = None
        self._credentials: Any = None
        self._endpoints: dict[str | None, Endpoint] = {}
        self._exchange = _Exchange()

    def __repr__(self) -> str:
        return f"Session({self._config!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a Session is not pickled: make one from its config in the other process")

    @property
    def config(self) -> Config:
        return self._config

    # -- who -------------------------------------------------------------------------------------------------
    @property
    def botocore(self) -> Any:
        """The botocore session, made on first use."""
        with self._lock:
            if self._core is None:
                self._core = self._make_core()
            return self._core

    def _make_core(self) -> Any:
        import botocore.exceptions
        import botocore.session

        config = self._config
        try:
            core = botocore.session.Session(profile=config.aws_profile)
            tolerant_session(core)
            core.full_config  # noqa: B018 - reads AWS's files now: a broken one is reported here
            if config.aws_profile is not None and not config.anonymous and config.access_key_id is None:
                core.get_scoped_config()
        except botocore.exceptions.ProfileNotFound:
            known = ", ".join(sorted(botocore.session.Session().available_profiles)) or "none"
            raise ConfigError(
                f"profile={config.aws_profile!r} ({config.sources.get('profile', 'argument')}) is neither "
                f"a section [profiles.{config.aws_profile}] of the config file "
                f"nor a profile of AWS's files (those are: {known})"
            ) from None
        except botocore.exceptions.BotoCoreError as error:
            raise ConfigError(f"AWS's configuration files cannot be read: {error}") from None
        if config.access_key_id is not None and config.secret_access_key is not None:
            token = config.session_token
            core.set_credentials(
                config.access_key_id, config.secret_access_key.reveal(), token.reveal() if token else None
            )
        return core

    def credentials(self) -> Any:
        """botocore's credentials object, or None for anonymous requests.

        Raises:
            CredentialsError: none were found, or they could not be fetched.
        """
        if self._config.anonymous:
            return None
        with self._lock:
            if self._credentials is None:
                try:
                    self._credentials = self.botocore.get_credentials()
                except ConfigError:
                    raise
                except Exception as error:
                    raise _credentials_error(error) from None
            if self._credentials is None:
                raise CredentialsError(
                    "no credentials were found",
                    hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile=, log in with "
                    "`aws sso login`, or give anonymous=True for public buckets",
                )
            return self._credentials

    def frozen_credentials(self) -> tuple[str, str, str | None] | None:
        """Access key, secret and token as they stand now, refreshed if due; None for anonymous requests.

        Raises:
            CredentialsError: none were found, or the refresh failed and the old ones have expired.
        """
        credentials = self.credentials()
        if credentials is None:
            return None
        try:
            frozen = credentials.get_frozen_credentials()
        except Exception as error:  # a refresh runs processes, HTTP requests, SSO: anything may come out
            raise _credentials_error(error) from None
        return frozen.access_key, frozen.secret_key, frozen.token or None

    def credentials_refresh_due(self) -> bool:
        """Whether :meth:`frozen_credentials` would fetch new ones. Costs a clock read; static ones never are
        due."""
        credentials = self._credentials
        if credentials is None:
            return not self._config.anonymous
        check = getattr(credentials, "refresh_needed", None)
        return bool(check()) if check is not None else False

    # -- where -----------------------------------------------------------------------------------------------
    @property
    def region(self) -> str:
        """The region that requests are signed for: the config's, AWS's own, or us-east-1 as botocore has it
        for S3."""
        region: str | None = self._config.region or self.botocore.get_config_variable("region")
        return region or "us-east-1"

    @property
    def verify(self) -> bool | str:
        """False, True, or the path of a CA bundle; AWS_CA_BUNDLE, ca_bundle and REQUESTS_CA_BUNDLE are looked
        up."""
        if self._config.verify is not True:
            return self._config.verify
        bundle = self.botocore.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        return str(bundle) if bundle else True

    @property
    def custom_endpoint(self) -> bool:
        """Whether requests go to an endpoint that was named, not to AWS's own."""
        return self._config.endpoint_url is not None or not self.endpoint(None).host.endswith(
            (".amazonaws.com", ".amazonaws.com.cn")
        )

    def proxies(self, endpoint: Endpoint) -> dict[str, str]:
        """The proxies for that endpoint by scheme (HTTPS_PROXY, NO_PROXY and their like); empty for none."""
        from botocore.utils import get_environ_proxies

        found: dict[str, str] = get_environ_proxies(f"{endpoint.scheme}://{endpoint.host_header}")
        return found

    def endpoint(self, bucket: str | None, operation: str = "GetObject", key: str | None = None) -> Endpoint:
        """Where requests to that bucket go (None: to the service); worked out once for each bucket.

        ``bucket`` may be the ARN of an access point. ``operation`` and ``key`` do not change the answer for
        the operations on objects; they are taken so that a rule which needs them can be added without new
        callers.

        Raises:
            InvalidRequestError: the bucket's name cannot be.
            ConfigError: the settings contradict each other (path style with an ARN).
        """
        found = self._endpoints.get(bucket)
        if found is None:
            if bucket is None:
                request = self.serialize("ListBuckets", {})
                prefix = ""
            else:
                try:
                    request = self.serialize("GetObject", {"Bucket": bucket, "Key": _PLACEHOLDER_KEY})
                except (ConfigError, InvalidRequestError) as error:
                    error.operation = error.key = None  # nobody asked for these
                    raise
                prefix = request.path.removesuffix("/" + _PLACEHOLDER_KEY)
            found = Endpoint(
                scheme=request.scheme,
                host=request.host,
                port=request.port,
                path_prefix=prefix,
                virtual_host=bucket is not None and unquote(prefix).strip("/") != bucket,
                signing_region=request.signing_region,
                signing_name=request.signing_name,
            )
            self._endpoints[bucket] = found
        return found

    # -- how -------------------------------------------------------------------------------------------------
    @property
    def service_model(self) -> Any:
        """botocore's model of S3."""
        return self._client().meta.service_model

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

    def client_settings(self, **more: Any) -> dict[str, Any]:
        """The arguments for botocore's ``create_client("s3", …)`` that follow from the settings.

        ``more`` goes into botocore's own Config.
        """
        import botocore.config

        config = self._config
        more.setdefault("s3", {"addressing_style": config.addressing_style})
        return {
            "region_name": self.region,
            "endpoint_url": config.endpoint_url,
            "verify": None if self.verify is True else self.verify,
            "config": botocore.config.Config(**more),
        }

    def create_client(self, **more: Any) -> Any:
        """A botocore S3 client; ``more`` as for :meth:`client_settings`."""
        import botocore.exceptions

        try:
            with self._lock:  # botocore: "creating clients is not thread-safe"
                client = self.botocore.create_client("s3", **self.client_settings(**more))
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise ConfigError(f"botocore refuses the settings: {error}") from None
        install(client)
        return client

    def _client(self) -> Any:
        with self._lock:
            if self._serializer is None:
                import botocore

                client = self.create_client(
                    signature_version=botocore.UNSIGNED,
                    retries={"total_max_attempts": 1},
                    # the engine adds checksums of bodies; what S3 requires of small documents, botocore adds
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                )
                events = client.meta.events
                events.register_first("before-call.s3", self._on_call)
                events.register_last("request-created.s3", self._on_created)
                events.register_first("before-send.s3", self._on_send)
                self._serializer = client
            return self._serializer

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

    def presign(self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any]) -> str:
        """A presigned URL; ``method`` is get, put, head or delete, ``expires`` in seconds."""
        name = _PRESIGNABLE.get(str(method).lower())
        if name is None:
            raise InvalidRequestError(f"cannot presign {method!r}: one of {', '.join(_PRESIGNABLE)}", bucket=bucket)
        if not 1 <= expires <= 604_800:
            raise InvalidRequestError(f"expires={expires!r} must be from 1 to 604800 seconds (7 days)", bucket=bucket)
        with self._lock:
            if self._presigner is None:
                more: dict[str, Any] = {"signature_version": "s3v4"}
                if self._config.anonymous:
                    import botocore

                    more["signature_version"] = botocore.UNSIGNED
                self._presigner = self.create_client(**more)
        self.frozen_credentials()  # our error, not botocore's
        try:
            url: str = self._presigner.generate_presigned_url(
                name, Params={"Bucket": bucket, "Key": key, **params}, ExpiresIn=expires
            )
        except Exception as error:
            raise _parameter_error(error, name, bucket, key) from None
        return url

    # -- botocore's pipeline, without a network --------------------------------------------------------------
    def _call(self, operation: str, params: Mapping[str, Any], answer: Any) -> Any:
        client = self._client()
        method = self.method_name(operation)
        exchange = self._exchange
        exchange.active, exchange.answer = True, answer
        try:
            return getattr(client, method)(**params)
        except TypeError as error:
            raise InvalidRequestError(str(error), operation=operation) from None
        except Exception as error:
            if answer is not None and isinstance(getattr(error, "response", None), dict):
                raise
            raise _parameter_error(error, operation, params.get("Bucket"), params.get("Key")) from None
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
            signing_region=signing.get("region") or self.region,
            signing_name=signing.get("signing_name") or "s3",
            _session=self,
        )


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


def _parameter_error(error: Exception, operation: str, bucket: Any, key: Any) -> Exception:
    """What botocore says of parameters and endpoints, as an error of ours."""
    from botocore import exceptions

    where: dict[str, Any] = {
        "operation": operation,
        "bucket": bucket if isinstance(bucket, str) else None,
        "key": key if isinstance(key, str) else None,
    }
    if isinstance(error, (exceptions.ParamValidationError, exceptions.UnknownParameterError)):
        return InvalidRequestError(str(error), **where)
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError)):
        return _credentials_error(error)
    if isinstance(error, exceptions.BotoCoreError):
        # endpoint rules: an ARN with path style, FIPS with a custom endpoint, an unknown region
        return ConfigError(str(error), **where)
    return error


def _credentials_error(error: Exception) -> CredentialsError:
    # the text of botocore's errors names files, URLs and profiles, and no secret
    return CredentialsError(
        f"the credentials cannot be fetched: {error}",
        hint="Renew them (`aws sso login`), or choose another profile=",
    )
