"""What botocore says of settings, parameters and credentials before anything is sent, as errors of ours."""

from __future__ import annotations

from typing import Any

from objectfs.errors import ConfigError, CredentialsError, InvalidRequestError

__all__ = ["credentials_error", "is_wrong_type", "no_credentials", "parameter_error"]


def no_credentials() -> CredentialsError:
    """Nobody has said who asks."""
    return CredentialsError(
        "no credentials were found",
        hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile=, log in with "
        "`aws sso login`, or give anonymous=True for public buckets",
    )


def is_wrong_type(error: Exception) -> bool:
    """Whether the endpoint's rules met a parameter of a wrong type. They see it before the check of parameters does
    that would say so, in botocore up to 1.38."""
    from botocore import exceptions

    return isinstance(error, exceptions.EndpointProviderError) and "is the wrong type" in str(error)


def parameter_error(error: Exception, operation: str, bucket: Any, key: Any) -> Exception:
    """What botocore says of parameters and endpoints, as an error of ours."""
    from botocore import exceptions

    where: dict[str, Any] = {
        "operation": operation,
        "bucket": bucket if isinstance(bucket, str) else None,
        "key": key if isinstance(key, str) else None,
    }
    if isinstance(error, (exceptions.ParamValidationError, exceptions.UnknownParameterError)) or is_wrong_type(error):
        return InvalidRequestError(str(error), **where)
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError)):
        return credentials_error(error)
    if isinstance(error, exceptions.BotoCoreError):
        # endpoint rules: an ARN with path style, FIPS with a custom endpoint, an unknown region
        return ConfigError(str(error), **where)
    return error


def credentials_error(error: Exception) -> CredentialsError:
    # the text of botocore's errors names files, URLs and profiles, and no secret
    return CredentialsError(
        f"the credentials cannot be fetched: {error}",
        hint="Renew them (`aws sso login`), or choose another profile=",
    )
