"""What ``call`` is asked for, looked at before botocore does: names with suggestions, bodies, checksums."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping
from typing import Any

from objectfs import errors

__all__ = ["ALGORITHMS", "ENGINE_ALGORITHMS", "Body", "check_names", "choose_algorithm", "content_member", "read_body"]

ALGORITHMS = frozenset(("CRC32", "SHA1", "SHA256"))
"""What every botocore computes by itself."""

ENGINE_ALGORITHMS = frozenset(("CRC32C", "CRC64NVME"))
"""What it needs the package awscrt for, and the crt backend does not."""


def check_names(service: Any, operation: str, params: Mapping[str, Any]) -> Any:
    """botocore's model of the operation, whose parameters those are.

    Raises:
        InvalidRequestError: there is no such operation or parameter, or one is missing that must be there.
    """
    known = service.operation_names
    if operation not in known:
        raise errors.InvalidRequestError(f"{operation!r} is no operation of S3", hint=_nearest(operation, known))
    model = service.operation_model(operation)
    members = model.input_shape.members if model.input_shape is not None else {}
    bucket, key = params.get("Bucket"), params.get("Key")
    about: dict[str, Any] = {
        "operation": operation,
        "bucket": bucket if isinstance(bucket, str) else None,
        "key": key if isinstance(key, str) else None,
    }
    for name in params:
        if name not in members:
            hint = _nearest(name, members) or f"It has {', '.join(members) or 'none'}"
            raise errors.InvalidRequestError(f"{name!r} is no parameter of {operation}", hint=hint, **about)
    required = model.input_shape.required_members if model.input_shape is not None else ()
    missing = [name for name in required if name not in params and name not in ("Bucket", *model.idempotent_members)]
    if "Bucket" in required and "Bucket" not in params:
        missing.insert(0, "Bucket")
    if "Bucket" in params and not isinstance(
        bucket, str
    ):  # botocore's own checks of its text come before that of its type
        raise errors.InvalidRequestError(f"Bucket must be a string, not {type(bucket).__name__}", **about)
    if missing:
        raise errors.InvalidRequestError(f"{operation} needs {' and '.join(missing)}", **about)
    return model


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """What may have been meant: ``get_object`` and ``Getobject`` mean ``GetObject``."""
    by_form = {_form(one): one for one in known}
    near = difflib.get_close_matches(_form(name), by_form, 1)
    return f"Did you mean {by_form[near[0]]!r}?" if near else None


def _form(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def content_member(model: Any) -> str | None:
    """The parameter that is sent as it is (``Body`` of PutObject, UploadPart …), of operations that have one."""
    return model.input_shape.serialization.get("payload") if model.has_streaming_input else None


def choose_algorithm(model: Any, params: Mapping[str, Any], configured: str) -> str | None:
    """The checksum that the request's body is to have: None for what botocore does by itself.

    Args:
        configured: the client's ``checksum=``.

    Raises:
        UnsupportedError: nobody here can compute what the caller asks for.
    """
    member = model.http_checksum.get("requestAlgorithmMember")
    given = any(name.startswith("Checksum") and name not in (member, "ChecksumType") for name in params)
    if member is None or given:
        return None
    wanted = params.get(member)
    if wanted is None:
        return configured if configured not in ("auto", "off") and content_member(model) else None
    if isinstance(wanted, str) and wanted.upper() not in _computed() | ENGINE_ALGORITHMS:
        raise errors.UnsupportedError(
            f"{member}={wanted!r} cannot be computed here",
            operation=model.name,
            bucket=params.get("Bucket"),
            key=params.get("Key"),
            hint=f"Give the checksum itself as Checksum{wanted}=, or use {', '.join(sorted(ALGORITHMS))}",
        )
    return wanted.upper() if isinstance(wanted, str) else None


def _computed() -> frozenset[str]:
    """What this botocore computes: newer ones more, and with awscrt still more."""
    from botocore import httpchecksum

    names = getattr(httpchecksum, "_SUPPORTED_CHECKSUM_ALGORITHMS", ())
    return ALGORITHMS | {name.upper() for name in names}


class Body:
    """A request's content, that may have to be sent more than once.

    Args:
        given: bytes-like, text, or a binary file object, which is sent from where it stands. One that cannot seek is
            read into memory, for S3 wants to know the length first.
    """

    def __init__(self, given: Any) -> None:
        self._failure: BaseException | None = None
        self._start: int | None = None
        self._file: Any = None
        if not hasattr(given, "read"):
            self._data = _memory(given)
            return
        try:
            self._start = given.tell() if _can_seek(given) else None
        except (OSError, ValueError):  # a pipe
            self._start = None
        if self._start is None:
            self._data = read_body(given)
        else:
            self._file = given

    @property
    def sendable(self) -> bool:
        """Whether it is content at all; what is none, botocore has to refuse."""
        return self._file is not None or isinstance(self._data, (bytes, bytearray, str))

    def again(self) -> Any:
        """The content from its start: bytes, or a file object for botocore."""
        if self._file is None:
            return self._data
        self._file.seek(self._start)
        return _Guarded(self._file, self)

    def data(self) -> bytes:
        """All of it."""
        if self._file is not None:
            self._file.seek(self._start)
            return read_body(self._file)
        data = self._data
        return data.encode() if isinstance(data, str) else bytes(data)

    def check(self) -> None:
        """Raise what the file object raised: botocore would take it for a failure of the connection."""
        if self._failure is not None:
            raise self._failure


class _Guarded:
    """The caller's file object, that remembers what it raised."""

    def __init__(self, file: Any, body: Body) -> None:
        self._file, self._body = file, body

    def read(self, size: int | None = -1) -> Any:
        try:
            return _binary(self._file.read(-1 if size is None else size))
        except BaseException as error:
            self._body._failure = error
            raise

    def seek(self, offset: int, whence: int = 0) -> Any:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        place: int = self._file.tell()
        return place

    def seekable(self) -> bool:
        return True


def _can_seek(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if seekable is not None else hasattr(file, "seek") and hasattr(file, "tell")


def read_body(file: Any) -> bytes:
    """All that is left of a file object, read in pieces: a raw one gives what it has."""
    pieces = io.BytesIO()
    while piece := _binary(file.read(1024 * 1024)):
        pieces.write(piece)
    return pieces.getvalue()


def _binary(data: Any) -> Any:
    if isinstance(data, str):
        raise TypeError("the file is opened as text: open it in binary mode ('rb')")
    if data is None:
        raise TypeError("the file is non-blocking and has no data: only blocking files can be sent")
    return data


def _memory(given: Any) -> Any:
    """botocore takes bytes, bytearray and str; here any memory will do. What is none is for botocore to refuse."""
    if isinstance(given, (bytes, bytearray, str)):
        return given
    try:
        with memoryview(given) as view:
            return view.tobytes()
    except (TypeError, ValueError):
        return given
