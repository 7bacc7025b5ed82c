"""What botocore decides for both backends: who asks (credentials) and where (region, endpoint, proxies).

How a request is written and read is its decision too, where the backends do not do it themselves: a session
has botocore's :class:`~objectfs.backends.pipeline.Pipeline`, and works endpoints out with it.

botocore is imported with the first use of a :class:`Session`, never with ``import objectfs``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import ipaddress
import logging
import os
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from objectfs.backends.botocore_hooks import install, tolerant_session
from objectfs.backends.pipeline import Pipeline, SerializedRequest
from objectfs.backends.refusals import credentials_error, no_credentials
from objectfs.backends.replacing import Replacing, read_again
from objectfs.config import Config
from objectfs.errors import ConfigError, CredentialsError, InvalidRequestError, ObjectFSError

__all__ = ["Endpoint", "Session"]

log = logging.getLogger("objectfs.session")

_PLACEHOLDER_KEY = "k"

_REGION = re.compile("[A-Za-z0-9-]{1,64}")
"""It becomes a part of a host name: what a server calls a region must not lead anywhere else."""


@functools.cache
def _loader(data_path: str | None) -> Any:
    """botocore's models as read from its files, for all clients of the process: a second Client takes 9 ms instead of
    63."""
    from botocore.loaders import create_loader

    return create_loader(data_path)


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
    sessions: bool = False
    """Whether requests are signed with what CreateSession gives (directory buckets)."""

    @property
    def host_header(self) -> str:
        """The value of ``Host``: with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


class Session:
    """Credentials, region, endpoints and the service model, from a :class:`~objectfs.config.Config`.

    May be used from any thread.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.RLock()
        self._core: Any = None
        self._pipelines: dict[str, Pipeline] = {}
        self._regions: dict[str, str] = {}
        self._credentials: Any = None
        self._replacing = Replacing()
        self._endpoints: dict[str | None, Endpoint] = {}

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
            core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
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
                    found = self.botocore.get_credentials()
                    # also for the clients that botocore makes, and signs the requests of
                    self.botocore._credentials = self._credentials = read_again(found, self._find_credentials)
                except ConfigError:
                    raise
                except Exception as error:
                    raise credentials_error(error) from None
            if self._credentials is None:
                raise no_credentials()
            return self._credentials

    def _find_credentials(self) -> Any:
        return self._make_core().get_credentials()

    def replace_credentials(self) -> bool:
        """Fetch others than those in force, whose token a server has called expired; whether there are others now, or
        since a moment ago, so that the request is worth repeating."""
        return self._replacing.replace(self._credentials)

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
            raise credentials_error(error) from None
        return frozen.access_key, frozen.secret_key, frozen.token or None

    def credentials_refresh_due(self) -> bool:
        """Whether :meth:`frozen_credentials` would fetch new ones. Costs a clock read; static ones never are
        due."""
        credentials = self._credentials
        if credentials is None:
            return not self._config.anonymous
        check = getattr(credentials, "refresh_needed", None)
        return bool(check()) if check is not None else False

    def credentials_expire(self) -> bool:
        """Whether the credentials in use are of a kind that is fetched anew from time to time."""
        return getattr(self._credentials, "refresh_needed", None) is not None

    def credentials_left(self, limit: float) -> float:
        """The seconds that the credentials are good for, or less, but not less than the half of it; at most
        ``limit``."""
        check = getattr(self._credentials, "refresh_needed", None)
        while check is not None and limit > 0.1 and check(refresh_in=limit):
            limit /= 2
        return limit

    # -- where -----------------------------------------------------------------------------------------------
    @property
    def region(self) -> str:
        """The region that requests are signed for: the config's, AWS's own, or us-east-1 as botocore has it
        for S3."""
        region: str | None = self._config.region or self.botocore.get_config_variable("region")
        return region or "us-east-1"

    def learned_region(self, bucket: str | None) -> str | None:
        """The region of a bucket that a server has told to be in another one than ours."""
        return self._regions.get(bucket) if bucket is not None else None

    def elsewhere(self, bucket: str | None, error: ObjectFSError, asked: str | None) -> bool:
        """Whether ``error`` says that the bucket is in another region than was asked.

        Args:
            asked: what :meth:`learned_region` answered when the request was made.
        """
        region = error.bucket_region
        if bucket is None or region is None or bucket.startswith("arn:") or not _REGION.fullmatch(region):
            return False
        return region != (asked or self.region)

    def follow(self, bucket: str | None, error: ObjectFSError, asked: str | None) -> bool:
        """Whether the request is worth repeating, since the bucket is :meth:`elsewhere`: then its region is remembered,
        and requests to it are made for there from now on."""
        if not self.elsewhere(bucket, error, asked):
            return False
        region = error.bucket_region
        assert bucket is not None
        assert region is not None
        with self._lock:
            if self._regions.get(bucket) != region:
                self._regions[bucket] = region
                self._endpoints.pop(bucket, None)
                log.info("the bucket %s is in region %s: requests to it go there", bucket, region)
        return True

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
            learned = self.learned_region(bucket)
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
                sessions=request.sessions,
            )
            with self._lock:
                if learned == self.learned_region(bucket):  # else it is out of date already
                    self._endpoints[bucket] = found
        return found

    # -- how -------------------------------------------------------------------------------------------------
    def pipeline(self, region: str | None = None) -> Pipeline:
        """botocore's way of writing requests and reading answers, made on first use; for a region, if not ours."""
        region = region or self.region
        with self._lock:
            found = self._pipelines.get(region)
            if found is None:
                make = functools.partial(self._client_for_writing, region=region)
                found = self._pipelines[region] = Pipeline(make, region, self._config.checksum != "off")
            return found

    def _client_for_writing(self, **more: Any) -> Any:
        """A botocore client that writes requests which others sign: nobody's credentials are looked for."""
        return self.create_client(keys=("unused", "unused"), **more)

    def serialize(self, operation: str, params: Mapping[str, Any], checksums: bool | None = None) -> SerializedRequest:
        """See :meth:`~objectfs.backends.pipeline.Pipeline.serialize`."""
        bucket = params.get("Bucket")
        region = self.learned_region(bucket) if isinstance(bucket, str) else None
        return self.pipeline(region).serialize(operation, params, checksums)

    def client_settings(self, region: str | None = None, **more: Any) -> dict[str, Any]:
        """The arguments for botocore's ``create_client("s3", …)`` that follow from the settings.

        ``more`` goes into botocore's own Config.
        """
        import botocore.config

        config = self._config
        # what is not set is left to AWS's own files and variables
        more.setdefault(
            "s3",
            {
                name: getattr(config, name)
                for name in ("addressing_style", "use_accelerate_endpoint")
                if name in config.sources and getattr(config, name) is not None
            },
        )
        more.setdefault("use_dualstack_endpoint", config.use_dualstack_endpoint)
        more.setdefault("use_fips_endpoint", config.use_fips_endpoint)
        if _is_address(config.endpoint_url):  # WriteGetObjectResponse: no name can stand before an address
            more.setdefault("inject_host_prefix", False)
        return {
            "region_name": region or self.region,
            "endpoint_url": config.endpoint_url,
            "verify": None if self.verify is True else self.verify,
            "config": botocore.config.Config(**more),
        }

    def create_client(self, keys: tuple[str, str] | None = None, region: str | None = None, **more: Any) -> Any:
        """A botocore S3 client; ``region`` and ``more`` as for :meth:`client_settings`, ``keys`` in the place of the
        credentials."""
        import botocore.exceptions

        settings = self.client_settings(region, **more)
        if keys is None:
            with contextlib.suppress(CredentialsError):  # it is told when something is to be signed
                self.credentials()
        else:
            settings["aws_access_key_id"], settings["aws_secret_access_key"] = keys
        try:
            with self._lock:  # botocore: "creating clients is not thread-safe"
                client = self.botocore.create_client("s3", **settings)
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise ConfigError(f"botocore refuses the settings: {error}") from None
        install(client)
        return client


def _is_address(url: str | None) -> bool:
    """Whether an endpoint is named by its IP address."""
    try:
        ipaddress.ip_address(urlsplit(url or "").hostname or "")
    except ValueError:
        return False
    return True
