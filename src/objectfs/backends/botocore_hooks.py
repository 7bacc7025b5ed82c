"""Where botocore takes an answer of a server for a mistake in the program: what it does instead, on both backends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from objectfs.backends import redact

__all__ = ["first_look", "install", "tolerant_session"]


def tolerant_session(session: Any) -> None:
    """Let a date that cannot be read be none, where botocore would raise ValueError for the whole answer; and keep
    session tokens out of botocore's log."""
    from botocore.utils import parse_timestamp

    def parse(value: Any) -> datetime | None:
        try:
            found: datetime = parse_timestamp(value)
        except (ValueError, OverflowError, TypeError, RuntimeError):
            return None
        return found

    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_hide_tokens)
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse)


_TALKATIVE = tuple(
    f"botocore.{module}"
    for module in ("auth", "awsrequest", "endpoint", "handlers", "hooks", "httpsession", "parsers", "signers", "utils")
)


def _hide_tokens(record: logging.LogRecord) -> bool:
    """At DEBUG botocore writes down what it signs, and a server repeats that when the signature is wrong."""
    text = record.getMessage()
    hidden = redact.text(text)
    if hidden != text:
        record.msg, record.args = hidden, ()
    return True


def install(client: Any) -> None:
    """Have a botocore client leave redirects and error answers alone."""
    from botocore.handlers import parse_get_bucket_location

    def location(parsed: dict[str, Any], http_response: Any, **more: Any) -> None:
        if http_response.status_code < 300:  # an error's document is no location, and may be none at all
            parse_get_bucket_location(parsed, http_response, **more)

    events = client.meta.events
    events.register_first("needs-retry.s3", _redirected_already)
    events.unregister("after-call.s3.GetBucketLocation", parse_get_bucket_location)
    events.register("after-call.s3.GetBucketLocation", location)


def first_look(client: Any, look: Callable[..., None]) -> None:
    """Have ``look`` see each answer before botocore calls some of them failures."""
    from botocore.handlers import _handle_200_error

    events = client.meta.events
    events.unregister("before-parse.s3.*", _handle_200_error)
    events.register_first("before-parse.s3.*", look)
    events.register_first("before-parse.s3.*", _handle_200_error)


def _redirected_already(request_dict: dict[str, Any], **_: Any) -> None:
    """botocore's redirector asks for the bucket's region with a HEAD, and where that is redirected too, with another,
    until the stack is full. A redirect is the caller's to know of, as an error."""
    request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True
