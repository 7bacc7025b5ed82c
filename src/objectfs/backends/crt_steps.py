"""The steps that verbs of the crt backend are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from objectfs import _native, errors
from objectfs.backends.base import Steps
from objectfs.backends.crt_base import CrtBase

__all__ = ["all_of", "followed", "following", "one"]

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=CrtBase)


def following(backend: CrtBase, bucket: str, make: Callable[[], Steps[T]]) -> Steps[T]:
    """The steps that ``make`` makes, and once more where they show that the bucket is in another region, or that the
    token has expired. (Large transfers of theirs have been waiting for another: ``native/retry.pyx``.)"""
    region = backend.session.learned_region(bucket)
    try:
        yield from backend.ready(bucket)
        return (yield from make())
    except errors.ObjectFSError as error:
        if not backend.worth_repeating(bucket, error, region):
            raise
    yield from backend.ready(bucket)
    return (yield from make())


def followed(verb: Callable[Concatenate[C, str, P], Steps[T]]) -> Callable[Concatenate[C, str, P], Steps[T]]:
    """A verb on a bucket, :func:`following`."""

    def steps(self: C, bucket: str, /, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        return following(self, bucket, lambda: verb(self, bucket, *args, **kwargs))

    functools.update_wrapper(steps, verb)
    return steps


def one(op: _native.Op) -> Steps[_native.Response]:
    """Wait for an operation of one request."""
    (response,) = yield op
    found: _native.Response = response
    return found


def all_of(op: _native.Op) -> Steps[list[_native.Response]]:
    """Wait for an operation of many requests."""
    responses: list[_native.Response] = yield op
    return responses
